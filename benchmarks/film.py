"""How fast `predict` is on a film, with the model in the package.

    python -m benchmarks.film --video squat.mp4 --net full --pose_rate 10 --times 3

Predicts the film several times in one process, without report and overlay. Prints the real-time
factor (seconds of film by seconds of work) of the pose estimator and of the whole way, and the
memory of the process after each time: it must not grow. With `--minutes 60` the film is repeated
until it is so long. With `--stream`, the film also goes through `predict --camera` with several
delays; prints the real-time factor, the latency, and how far the streamed EMG agrees with that of
the whole film, then how many pictures a second a stream takes that also writes the overlay.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import video2emg
from benchmarks.predict import looped
from video2emg.data.film_pose import FilmOptions, film_to_pose
from video2emg.inference.output.live_overlay import LiveOverlay
from video2emg.inference.output.overlay import HEIGHT
from video2emg.inference.pose_stream import PoseStream
from video2emg.inference.prediction import Prediction
from video2emg.inference.run import Run
from video2emg.pose.body import BodyOptions

DELAYS_S = (0.0, 0.2, 0.4, 0.8, 1.2)
_SETTLED_S = 1.0  # from which on streamed and whole EMG are compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--net", default="full")
    parser.add_argument("--pose_rate", type=float, default=10.0)
    parser.add_argument("--pose_weights", default="")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.minutes:
            long = looped(f"film={options.video}", 60 * options.minutes, Path(folder))
            options.video = Path(long.removeprefix("film="))
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Predicts and prints."""
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
    if options.stream:
        for delay in DELAYS_S:
            stream_film(predictor.run, options.video, film, delay, prediction)
        stream_overlay(predictor.run, options.video, film)


def stream_film(run: Run, path: Path, film: FilmOptions, delay: float, whole: Prediction) -> None:
    """Prints what the stream of a film costs, and its agreement with the whole film."""
    stream = PoseStream(run, equipment="none", film=film, delay_s=delay)
    start = time.perf_counter()
    updates = list(stream.follow(str(path)))
    seconds = time.perf_counter() - start
    columns = [stream.muscles.index(muscle) for muscle in whole.muscles]
    streamed = np.concatenate([update.emg for update in updates])[:, columns]
    n = min(len(streamed), len(whole.emg))
    streamed, emg = streamed[:n], whole.emg[:n]
    known = np.isfinite(streamed).all(1) & np.isfinite(emg).all(1) & (whole.time[:n] >= _SETTLED_S)
    streamed, emg = streamed[known], emg[known]
    active = np.flatnonzero(emg.std(0) >= np.median(emg.std(0)))
    r = np.mean([np.corrcoef(streamed[:, c], emg[:, c])[0, 1] for c in active])
    median, high = 1e3 * np.percentile([update.latency for update in updates], [50, 95])
    print(
        f"stream, {delay:g} s late: r {r:.3f} with the whole film ({len(active)} more active "
        f"channels); {whole.duration / seconds:.1f} times real time; latency {median:.0f} ms "
        f"(median), {high:.0f} ms (95 %)",
        flush=True,
    )


def stream_overlay(run: Run, path: Path, film: FilmOptions) -> None:
    """Prints how many pictures a second a stream with an overlay takes."""
    stream = PoseStream(run, equipment="none", film=film, picture_px=HEIGHT)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        overlay = LiveOverlay(
            Path(folder) / "overlay.mp4", stream.muscles, "", "mvc", True, film.rate
        )
        with overlay:
            for update in stream.follow(str(path)):
                overlay.add(update)
                count += len(update.pictures)
        seconds = time.perf_counter() - start
    print(f"stream with overlay: {count / seconds:.1f} pictures a second", flush=True)


if __name__ == "__main__":
    main()
