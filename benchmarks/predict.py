"""How much faster than real time `predict` is, from the video file to EMG (and score).

    python benchmarks/predict.py --checkpoint runs/aqa --video runs/set/front.mp4 --video …

Start-up and compilation are left out: the same video is predicted twice, the second time counts.
"""

import argparse
import os
import resource
import time

import video2emg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--video", action="append", required=True)
    given = parser.parse_args()
    model = video2emg.load(given.checkpoint)
    for _ in range(2):
        wall, used = time.perf_counter(), time.process_time()
        found = model.predict(given.video)
        wall, used = time.perf_counter() - wall, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    judged = sum(one.score is not None for one in found.repetitions)
    print(f"{found.duration:.1f} s of video, {len(given.video)} views, {os.cpu_count()} cores, "
          f"{len(found.repetitions)} repetitions, {judged} judged")  # fmt: skip
    print(f"{wall:.2f} s: {found.duration / wall:.1f} times real time; "
          f"{used:.2f} s of processor: {found.duration / used:.1f} times; "
          f"{memory:.2f} GiB at most")  # fmt: skip


if __name__ == "__main__":
    main()
