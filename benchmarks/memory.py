"""Memory of the input over 10⁵ clips, each read once in an epoch of training batches.

    python -m benchmarks.memory                  # counts 1,000, 10,000 and 100,000

A dataset of 100 different small clips is built as every other; its ArrayRecord file is then
written anew with 10⁵ records of these, so that every index is a record of its own on disk. One
process makes shuffled, augmented batches of them, with a cache that holds a small part, and says
what it occupies after so many clips (resident, and of that what is not backed by a file).
"""

import argparse
import json
import pathlib
import tempfile
import time

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module

from benchmarks import input as input_benchmark
from video2emg.core import emg
from video2emg.core.batch import Window
from video2emg.core.clip import Clip
from video2emg.data import build, store
from video2emg.data.augment import Augmentation
from video2emg.data.examples import Examples

VIEWS, RATE, EMG_RATE, SIZE, BATCH = ("front",), 5.0, 500.0, 32, 20
MUSCLES = ("left_vastus_lateralis", "right_vastus_lateralis")


def make_clip(index: int) -> Clip:
    rng = np.random.default_rng(index)
    frames = [
        input_benchmark.jpeg(rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)) for _ in range(5)
    ]
    return Clip(
        clip_id=f"clip{index}",
        dataset="benchmark",
        subject=f"s{index % 9}",
        action="squat",
        views=VIEWS,
        frames=frames,
        frame_view=np.zeros(5, np.int32),
        frame_time=np.arange(5) / RATE,
        muscles=MUSCLES,
        emg=rng.normal(size=(int(EMG_RATE), 2)).astype(np.float32),
        emg_unit="mV",
        emg_rate=EMG_RATE,
        emg_max=np.ones(2, np.float32),
    )


class Small(input_benchmark.Benchmark):
    """A few small clips."""

    @classmethod
    def maker(cls, manual_dir, config):
        return make_clip


def dataset(folder: pathlib.Path, count: int) -> pathlib.Path:
    """A dataset of `count` records."""
    built = build.build(Small, "n100", folder, None, "")
    info = json.loads((built / "dataset_info.json").read_text())
    paths, lengths = sorted(built.glob("*.array_record*")), []
    for number, path in enumerate(paths):
        reader = array_record_module.ArrayRecordReader(str(path))
        records = reader.read_all()
        reader.close()
        writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
        lengths.append(len(range(number, count, len(paths))))
        for index in range(lengths[-1]):
            writer.write(records[index % len(records)])
        writer.close()
    info["splits"][0]["shardLengths"] = [str(length) for length in lengths]
    (built / "dataset_info.json").write_text(json.dumps(info))
    return built


def occupied() -> tuple[float, float]:
    """MiB resident, and of that anonymous."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return int(sizes["VmRSS"]) / 1024, int(sizes["RssAnon"]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--cache_mib", type=float, default=8.0)
    args = parser.parse_args()
    window = Window(1.0, RATE, 50.0, SIZE, VIEWS, 2)
    with tempfile.TemporaryDirectory() as folder:
        built = dataset(pathlib.Path(folder), max(args.counts))
        size = sum(f.stat().st_size for f in built.iterdir()) / 2**20
        source = tfds.builder_from_directory(built).as_data_source(split="train")
        clips = store.ClipSource(source, str(built))
        assert len(clips) == max(args.counts)
        examples = Examples(
            clips, window, emg.Chain(), emg.Normalisation("mvc"), int(args.cache_mib * 2**20)
        )
        print(
            f"{len(clips)} clips, {size:.0f} MiB on disk, cache of {args.cache_mib:.0f} MiB; "
            f"before reading: {occupied()[0]:.0f} MiB",
            flush=True,
        )
        batches = iter(train_batches(examples, Augmentation(), BATCH, 0, threads=2))
        seen: set[int] = set()
        start = time.perf_counter()
        for batch in batches:
            seen |= set(np.asarray(batch["index"]).tolist())
            if len(seen) in args.counts:
                resident, anonymous = occupied()
                print(
                    f"{len(seen):7d} clips: {resident:.0f} MiB, {anonymous:.0f} of them "
                    f"anonymous; {len(seen) / (time.perf_counter() - start):.0f} clips/s",
                    flush=True,
                )
            if len(seen) == len(clips):
                break


if __name__ == "__main__":
    main()
