"""What `predict` costs: speed, memory, the report, live latency; writes them into docs/predict.md.

    python -m benchmarks.make_set --out runs/set --repetitions 10
    python -m benchmarks.predict --checkpoint runs/aqa --causal runs/causal --set runs/set --write

Start-up and compilation are left out of the times. Memory is the peak of a process of its own; the
hour is the set again and again, in one file per camera. The report needs Chromium.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

import video2emg
from video2emg.cli.publish import ROOT, put

PAGE, MARK = ROOT / "docs" / "predict.md", "measured"


def films(folder: Path) -> list[str]:
    """The cameras of a set, as `--video` takes them."""
    return [f"{path.stem}={path}" for path in sorted(folder.glob("*.mp4"))]


def speed(checkpoint: str, videos: list[str]) -> list[str]:
    """Seconds of video per second, from the file to EMG and score."""
    model = video2emg.load(checkpoint)
    for _ in range(2):
        wall, used = time.perf_counter(), time.process_time()
        found = model.predict(videos)
        wall, used = time.perf_counter() - wall, time.process_time() - used
    judged = sum(one.score is not None for one in found.repetitions)
    return [
        f"| decoding to EMG and score, {found.duration:.0f} s of {len(videos)} cameras, "
        f"{len(found.repetitions)} repetitions, {judged} judged | "
        f"{found.duration / wall:.0f} × real time; {found.duration / used:.0f} × per core |"
    ]


def looped(video: str, seconds: float, out: Path) -> str:
    """The same film again and again, without decoding it."""
    import av

    view, _, path = video.partition("=")
    target = out / f"{view}.mp4"
    with av.open(str(target), "w") as container:
        stream, offset = None, 0
        while stream is None or offset * float(stream.time_base) < seconds:
            with av.open(path) as source:
                own = source.streams.video[0]
                if stream is None:
                    stream = container.add_stream_from_template(own)
                    stream.time_base = own.time_base
                ends, step = [0], round(1 / Fraction(own.average_rate) / own.time_base)
                for packet in source.demux(own):
                    if packet.dts is None:
                        continue
                    ends.append(packet.pts + step)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    container.mux(packet)
                offset += max(ends)
    return f"{view}={target}"


def peak(checkpoint: str, videos: list[str]) -> tuple[float, float, float]:
    """(GiB at most, s of video, s it took) of a process that predicts once."""
    program = (
        "import json, resource, sys, time, video2emg\n"
        "model = video2emg.load(sys.argv[1]); began = time.perf_counter()\n"
        "found = model.predict(sys.argv[2:])\n"
        "most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        "print(json.dumps([most, found.duration, time.perf_counter() - began]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, checkpoint, *videos], cwd=ROOT, check=True,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    most, seconds, took = json.loads(done.stdout.splitlines()[-1])
    return most, seconds, took


def memory(checkpoint: str, videos: list[str], minutes: float) -> list[str]:
    """Peaks for two minutes and for an hour."""
    rows = []
    for length in (2.0, minutes):
        with tempfile.TemporaryDirectory() as folder:
            films = [looped(video, 60 * length, Path(folder)) for video in videos]
            most, seconds, took = peak(checkpoint, films)
        rows.append(
            f"| memory at most, {seconds / 60:.0f} minutes of {len(videos)} cameras | "
            f"{most:.2f} GiB ({seconds / took:.0f} × real time, compilation included) |"
        )
    return rows


def report(checkpoint: str, videos: list[str]) -> list[str]:
    """Time until the report stands in headless Chromium, and its weight."""
    from selenium import webdriver

    from video2emg.inference.output import report

    model = video2emg.load(checkpoint)
    found = model.predict(videos)
    graph = None if model.run.judge is None else model.run.judge.graph
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.write(found, path, graph=graph)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
            options.add_argument(f"--{flag}")
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        times = []
        try:
            for _ in range(5):
                browser.get("about:blank")
                began = time.perf_counter()
                browser.get(f"file://{path}")
                while not browser.execute_script("return document.documentElement.dataset.ready"):
                    time.sleep(0.01)
                times.append(time.perf_counter() - began)
        finally:
            browser.quit()
        weight = path.stat().st_size / 2**20
    return [
        f"| report of {len(found.repetitions)} repetitions, ready in headless Chromium (median of "
        f"5; the slowest) | {np.median(times):.2f} s; {max(times):.2f} s; {weight:.1f} MiB |"
    ]


def latency(checkpoint: str, video: str) -> list[str]:
    """From the arrival of a frame to its EMG, with frames coming as fast as they can be taken."""
    from video2emg.inference.run import open_run
    from video2emg.inference.stream import EMGStream

    view, _, path = video.partition("=")
    stream = EMGStream(open_run(checkpoint), view=view)
    found = 1e3 * np.array([moment.latency for moment in stream.follow(path)])
    middle, high = np.percentile(found, [50, 95])
    return [
        f"| live, from a frame's arrival to its EMG, {len(found)} frames: median; 95 % | "
        f"{middle:.0f} ms; {high:.0f} ms |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="workdir of an assessment or main job")
    parser.add_argument("--causal", default="", help="workdir of a causal run, for the latency")
    parser.add_argument("--set", type=Path, required=True, help="folder of benchmarks.make_set")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the long video")
    parser.add_argument("--only", default="speed,memory,report,latency")
    parser.add_argument("--write", action="store_true", help="put the table into docs/predict.md")
    given = parser.parse_args()
    videos, wanted = films(given.set), given.only.split(",")
    # Only as many cameras as the model has.
    known = video2emg.load(given.checkpoint).run.window.views
    videos = [video for video in videos if video.partition("=")[0] in known]
    parts = {
        "speed": lambda: speed(given.checkpoint, videos),
        "memory": lambda: memory(given.checkpoint, videos, given.minutes),
        "report": lambda: report(given.checkpoint, videos),
        "latency": lambda: latency(given.causal, videos[0]) if given.causal else [],
    }
    rows = [row for name, part in parts.items() if name in wanted for row in part()]
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    head = [f"| {os.cpu_count()} cores, load {busy:.1f} | measured |", "|---|---|"]
    table = "\n".join(head + rows)
    print(table)
    if given.write:
        put(PAGE, table, MARK)


if __name__ == "__main__":
    main()
