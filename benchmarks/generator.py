"""Speed of the simulated gym: clips per second on one core, and where the time goes.

Wall time depends on the machine, so the result is also given in *units*: one unit is the time that
the same process needs for a fixed NumPy workload (see `unit`), measured before and after. Compare
units across machines and versions, never seconds.

    python -m benchmarks.generator --clips 12
"""

import argparse
import collections
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import threadpoolctl
from PIL import Image

from video2emg.sim import raster, record
from video2emg.sim.trials import plan_trials

# For comparison, the feasibility study's generator on one core, measured with this file's `unit`:
# one 96 px picture with a floor shadow, drawn frame by frame. Its clips were single repetitions
# with few electrodes, so its time per clip cannot be compared with that of sets.
STUDY_PICTURE_UNITS = 0.31
STUDY_SIZE = 96


# Function → what it makes.
PARTS = {
    (record, "move"): "movement, torques",
    (record, "work"): "muscles",
    (record, "surface_emg"): "sEMG",
    (raster.Scene, "film"): "rendering",
    (Image.Image, "save"): "JPEG",
}


def unit() -> float:
    """Seconds for 40 products of 256 × 256 matrices and 40 FFTs of 2¹⁶ samples (float64)."""
    rng = np.random.default_rng(0)
    matrix, series = rng.normal(size=(256, 256)), rng.normal(size=1 << 16)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(40):
            matrix @ matrix
            np.fft.rfft(series)
        times.append(time.perf_counter() - start)
    return min(times)


@contextlib.contextmanager
def timed(owner: object, name: str, spent: dict[str, float]) -> Iterator[None]:
    """Adds the time spent in one function to `spent[name]`."""
    function: Callable = getattr(owner, name)

    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - start

    setattr(owner, name, wrapper)
    try:
        yield
    finally:
        setattr(owner, name, function)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=12, help="how many clips to record")
    parser.add_argument("--size", type=int, default=STUDY_SIZE, help="of the pictures, px")
    args = parser.parse_args()

    trials = plan_trials(n_subjects=-(-args.clips // 6), sets=1, seed=0)[: args.clips]
    studio = record.Studio(size=args.size)
    spent: dict[str, float] = collections.defaultdict(float)
    attempts = pictures = 0
    with threadpoolctl.threadpool_limits(1), contextlib.ExitStack() as stack:
        before = unit()
        record.record(trials[0], studio)  # imports and first calls
        for owner, name in PARTS:
            stack.enter_context(timed(owner, name, spent))
        start = time.perf_counter()
        for trial in trials:
            clip = record.record(trial, studio)
            attempts += clip.provenance["attempts"]
            pictures += len(clip.frames)
        total = time.perf_counter() - start
        one = statistics.mean([before, unit()])

    clips = len(trials)
    print(f"{clips} clips, {pictures / clips:.0f} pictures of {args.size} px each, one core")
    print(f"{clips / total:.2f} clips/s; one clip {total / clips / one:.2f} units of {one:.4f} s")
    print(f"{attempts / clips:.2f} attempts per clip")
    parts = [(part, spent[name]) for (_, name), part in PARTS.items()]
    for part, seconds in [*parts, ("rest", total - sum(spent.values()))]:
        print(f"  {part:18s}{seconds / total:6.1%}{seconds / clips / one:8.3f} units per clip")
    if args.size == STUDY_SIZE:
        faster = STUDY_PICTURE_UNITS / (spent["film"] / pictures / one)
        print(f"one picture, speed relative to the feasibility study: {faster:.1f}")


if __name__ == "__main__":
    main()
