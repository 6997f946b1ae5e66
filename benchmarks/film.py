"""How fast `predict` is on a film, with the model in the package.

    python -m benchmarks.film --video squat.mp4 --net full --pose_rate 10 --times 3

Predicts the film several times in one process, without report and overlay. Prints the real-time
factor (seconds of film by seconds of work) of the pose estimator and of the whole road, and the
memory of the process after each time: it must not grow.
"""

import argparse
import resource
import time
from pathlib import Path

import video2emg
from video2emg.data.film_pose import FilmOptions, film_to_pose
from video2emg.pose.body import BodyOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--net", default="full")
    parser.add_argument("--pose_rate", type=float, default=10.0)
    parser.add_argument("--pose_weights", default="")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    film = FilmOptions(
        net=options.net,
        weights=options.pose_weights,
        rate=options.pose_rate,
        body=BodyOptions(1.75),
    )
    start = time.perf_counter()
    predictor = video2emg.load()
    print(f"model opened in {time.perf_counter() - start:.1f} s")
    for number in range(1, options.times + 1):
        start = time.perf_counter()
        pose = film_to_pose(options.video, film)
        middle = time.perf_counter()
        prediction = predictor.predict_pose(pose, equipment="none", height=1.75)
        end = time.perf_counter()
        seconds = prediction.duration
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{number}: {seconds:.1f} s of film; pose {seconds / (middle - start):.1f} times real "
            f"time, all {seconds / (end - start):.1f} times; peak memory {peak:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
