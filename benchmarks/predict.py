"""Speed and memory of `predict`, loading time of the report, and latency of live video.

    python -m benchmarks.make_set --out runs/set --repetitions 10
    python -m benchmarks.predict --run runs/aqa --causal runs/causal --set runs/set --write

`--write` updates the table in docs/predict.md. Times do not include start-up and compilation.
Memory is the peak of a separate process; its long video repeats the set, in one file per camera.
The report needs Chromium.
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
from video2emg.run.pages import ROOT, put

PAGE, MARK = ROOT / "docs" / "predict.md", "measured"


def video_arguments(folder: Path) -> list[str]:
    """The cameras of a set, as values of `--video`."""
    return [f"{path.stem}={path}" for path in sorted(folder.glob("*.mp4"))]


def speed(run: str, videos: list[str]) -> list[str]:
    """Seconds of video per second, from the file to EMG and score."""
    model = video2emg.load(run)
    for _ in range(2):
        wall, used = time.perf_counter(), time.process_time()
        prediction = model.predict(videos)
        wall, used = time.perf_counter() - wall, time.process_time() - used
    scored = sum(repetition.score is not None for repetition in prediction.repetitions)
    duration = prediction.duration
    return [
        f"| decoding to EMG and score, {duration:.0f} s of {len(videos)} cameras, "
        f"{len(prediction.repetitions)} repetitions, {scored} scored | "
        f"{duration / wall:.0f} × real time; {duration / used:.0f} × per core |"
    ]


def looped(video: str, seconds: float, out: Path) -> str:
    """Repeats a video for at least `seconds` without decoding it."""
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


def peak_memory(run: str, videos: list[str]) -> tuple[float, float, float]:
    """(GiB, s of video, s of computing) of a process that predicts once."""
    program = (
        "import json, resource, sys, time, video2emg\n"
        "model = video2emg.load(sys.argv[1]); began = time.perf_counter()\n"
        "prediction = model.predict(sys.argv[2:])\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        "print(json.dumps([peak, prediction.duration, time.perf_counter() - began]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, run, *videos],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    peak, duration, elapsed = json.loads(finished.stdout.splitlines()[-1])
    return peak, duration, elapsed


def memory(run: str, videos: list[str], minutes: float) -> list[str]:
    """Peaks for two minutes and for a long video."""
    rows = []
    for length in (2.0, minutes):
        with tempfile.TemporaryDirectory() as folder:
            long_videos = [looped(video, 60 * length, Path(folder)) for video in videos]
            peak, duration, elapsed = peak_memory(run, long_videos)
        rows.append(
            f"| peak memory, {duration / 60:.0f} minutes of {len(videos)} cameras | "
            f"{peak:.2f} GiB ({duration / elapsed:.0f} × real time, compilation included) |"
        )
    return rows


def report(run: str, videos: list[str]) -> list[str]:
    """Time until the report is ready in headless Chromium, and its size."""
    from selenium import webdriver

    from video2emg.inference.output import report

    model = video2emg.load(run)
    prediction = model.predict(videos)
    graph = None if model.run.aqa_head is None else model.run.aqa_head.graph
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.write(prediction, path, graph=graph)
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
        size = path.stat().st_size / 2**20
    return [
        f"| report of {len(prediction.repetitions)} repetitions, ready in headless Chromium "
        f"(median of 5; slowest) | {np.median(times):.2f} s; {max(times):.2f} s; {size:.1f} MiB |"
    ]


def latency(run: str, video: str) -> list[str]:
    """From the arrival of a frame to its EMG, with frames coming as fast as they are processed."""
    from video2emg.inference.run import open_run
    from video2emg.inference.video_stream import VideoStream

    view, _, path = video.partition("=")
    stream = VideoStream(open_run(run), view=view)
    latencies = 1e3 * np.array([update.latency for update in stream.follow(path)])
    median, high = np.percentile(latencies, [50, 95])
    return [
        f"| live, from a frame's arrival to its EMG, {len(latencies)} frames: median; 95 % | "
        f"{median:.0f} ms; {high:.0f} ms |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="workdir of a Video→EMG or AQA run")
    parser.add_argument("--causal", default="", help="workdir of a causal run, for the latency")
    parser.add_argument("--set", type=Path, required=True, help="folder of benchmarks.make_set")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the long video")
    parser.add_argument("--only", default="speed,memory,report,latency")
    parser.add_argument("--write", action="store_true", help="put the table into docs/predict.md")
    args = parser.parse_args()
    # The set may have more cameras than the model.
    views = video2emg.load(args.run).run.window.views
    videos = [v for v in video_arguments(args.set) if v.partition("=")[0] in views]
    measurements = {
        "speed": lambda: speed(args.run, videos),
        "memory": lambda: memory(args.run, videos, args.minutes),
        "report": lambda: report(args.run, videos),
        "latency": lambda: latency(args.causal, videos[0]) if args.causal else [],
    }
    chosen = args.only.split(",")
    rows = [row for name, measure in measurements.items() if name in chosen for row in measure()]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    head = [f"| {os.cpu_count()} cores, load {load:.1f} | measured |", "|---|---|"]
    table = "\n".join(head + rows)
    print(table)
    if args.write:
        put(PAGE, table, MARK)


if __name__ == "__main__":
    main()
