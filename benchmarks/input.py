"""Input: decoding against PyAV, bytes per clip, and builds of 100 to 10,000 clips.

    python -m benchmarks.input                     # decoding and sizes
    python -m benchmarks.input --build             # builds: clips per second, peak memory

Decoding: a film of noise that moves becomes a clip as `recordings/default` keeps it (10 Hz, 112 px
JPEG). One core then makes whole examples of it (record, pictures, envelope of four channels, no
cache), and PyAV decodes (a) an H.264 file of just those frames to RGB, (b) the film that they were
taken from. Turns alternate, so that both see the same machine.
"""

import argparse
import dataclasses
import fractions
import io
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import av
import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image

from video2emg.core import emg
from video2emg.core.batch import Window
from video2emg.core.clip import Clip
from video2emg.data import build, store
from video2emg.data.datasets import schema
from video2emg.data.datasets.builder import ClipBuilder
from video2emg.data.examples import Examples
from video2emg.data.readers import film

SECONDS, FPS, SIZE, CHANNELS, EMG_RATE = 3.0, 10.0, 112, 4, 1000.0
MUSCLES = tuple(
    f"{side}_{muscle}"
    for muscle in ("vastus_lateralis", "biceps_femoris")
    for side in ("left", "right")
)
TURNS = 15


def pictures(count: int, size: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth noise that moves: as hard to compress as a room, not as a blank wall."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (24, 48, 3), np.uint8))
    room = np.asarray(coarse.resize((2 * size, size), Image.Resampling.BICUBIC), np.int16)
    room = np.clip(room + rng.normal(0, 4, room.shape), 0, 255).astype(np.uint8)
    return [room[:, s : s + size] for s in np.linspace(0, size, count).astype(int)]


def write_film(path: pathlib.Path, frames: list[np.ndarray], rate: float) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fractions.Fraction(rate))
        stream.width, stream.height = frames[0].shape[1], frames[0].shape[0]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def bare(path: pathlib.Path) -> int:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(
            frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0)
        )


def make_clip(index: int, frames: list[bytes] | None = None) -> Clip:
    """A clip as large as one of a recording; its signals are noise of its own."""
    rng = np.random.default_rng(index)
    if frames is None:
        frames = [jpeg(p) for p in pictures(int(SECONDS * FPS), 64, index % 7)]
    return Clip(
        clip_id=f"clip{index}",
        dataset="benchmark",
        subject=f"s{index % 9}",
        action="squat",
        views=("front",),
        frames=frames,
        frame_view=np.zeros(len(frames), np.int32),
        frame_time=np.arange(len(frames)) / FPS,
        muscles=MUSCLES,
        emg=rng.normal(size=(int(SECONDS * EMG_RATE), CHANNELS)).astype(np.float32),
        emg_unit="mV",
        emg_rate=EMG_RATE,
        emg_max=np.ones(CHANNELS, np.float32),
    )


def jpeg(picture: np.ndarray) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(picture).save(memory, "JPEG", quality=90)
    return memory.getvalue()


@dataclasses.dataclass(kw_only=True)
class Size(tfds.core.BuilderConfig):
    """How many clips."""

    clips: int


class Benchmark(ClipBuilder):
    """Clips of noise."""

    pkg_dir_path = epath.Path(__file__).parent  # else TFDS asks for the package of `__main__`
    BUILDER_CONFIGS = [Size(name=f"n{n}", clips=n) for n in (2, 100, 1000, 10_000)]  # noqa: RUF012

    @classmethod
    def plan(cls, manual_dir, config):
        return {"train": range(cls.builder_configs[config].clips)}

    @classmethod
    def maker(cls, manual_dir, config):
        return make_clip


def decoding(folder: pathlib.Path) -> None:
    whole = folder / "film.mp4"
    write_film(whole, pictures(int(SECONDS * 30), 480), 30.0)
    frames, _ = film.encode_frames(whole, fps=FPS, size=SIZE)
    same = folder / "same.mp4"
    write_film(same, [np.asarray(Image.open(io.BytesIO(f))) for f in frames], FPS)
    clip = make_clip(0, frames)
    folder = build_one(folder, clip)
    source = tfds.builder_from_directory(folder).as_data_source(split="train")
    window = Window(SECONDS, FPS, 50.0, SIZE, ("front",), CHANNELS)
    reference = emg.Normalisation("mvc")

    def ours() -> None:
        clips = store.ClipSource(source, str(folder))
        Examples(clips, window, emg.Chain(), reference).read_window(0, 0.0)

    parts = {"ours": ours, "same frames": lambda: bare(same), "whole film": lambda: bare(whole)}
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(TURNS + 2):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            if turn >= 2:
                taken[name].append(time.perf_counter() - start)
    median = {name: float(np.median(times)) for name, times in taken.items()}
    print(f"{len(frames)} frames of {SIZE} px, {CHANNELS} channels; median of {TURNS} turns")
    print(f"ours: {1 / median['ours']:.0f} clips/s on one core")
    for name in ("same frames", "whole film"):
        print(f"ours / PyAV, {name}: {median[name] / median['ours']:.2f}")
    record = sum(f.stat().st_size for f in folder.glob("*.array_record*"))
    print(f"bytes per clip: {record} (pictures {sum(map(len, frames))}, EMG {clip.emg.nbytes})")
    print(f"H.264 of the same pictures {same.stat().st_size}, of the film {whole.stat().st_size}")


def build_one(folder: pathlib.Path, clip: Clip) -> pathlib.Path:
    class One(Benchmark):
        def _shard_iterators_per_split(self, dl_manager):
            return {"train": [lambda: iter([(clip.clip_id, schema.to_example(clip))])]}

    return build.build(One, "n2", folder / "data", None, "")


def building(counts: list[int]) -> None:
    """One process per size: the peak is that process's own, sampled together with its workers."""
    for count in counts:
        with tempfile.TemporaryDirectory() as data:
            start = time.perf_counter()
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.input", "--one", str(count), "--data", data],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            peak = [0.0, 0.0]
            watch = threading.Thread(target=_watch, args=(child, peak))
            watch.start()
            assert child.stdout is not None
            child.stdout.read()
            assert child.wait() == 0
            watch.join()
            taken = time.perf_counter() - start
            files = [f for f in pathlib.Path(data).rglob("*array_record*") if f.is_file()]
            print(
                f"{count:6d} clips: {count / taken:6.1f} clips/s, peak {peak[0]:.0f} MiB of the "
                f"builder, {peak[1]:.0f} MiB with its workers; {len(files)} shards, "
                f"{sum(f.stat().st_size for f in files) / count / 1024:.0f} KiB per clip",
                flush=True,
            )


def _watch(child: subprocess.Popen, peak: list[float]) -> None:
    while child.poll() is None:
        own, everybody = _resident(child.pid)
        peak[:] = max(peak[0], own), max(peak[1], everybody)
        time.sleep(0.1)


def _resident(pid: int) -> tuple[float, float]:
    """MiB of a process, and of it with its children and theirs."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, ProcessLookupError):
        return 0.0, 0.0
    own = next(
        (float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")),
        0.0,
    )
    return own, own + sum(_resident(int(other))[1] for other in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", action="store_true", help="builds instead of decoding")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        build.build(Benchmark, f"n{args.one}", pathlib.Path(args.data), None, "")
    elif args.build:
        building(args.counts)
    else:
        with tempfile.TemporaryDirectory() as folder:
            decoding(pathlib.Path(folder))


if __name__ == "__main__":
    main()
