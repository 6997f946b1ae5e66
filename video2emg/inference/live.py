"""`launch.py predict --camera`: EMG while the video is being received."""

import contextlib
import csv
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from video2emg.core.errors import Interrupted, UserError
from video2emg.core.files import folder
from video2emg.data.film_pose import FilmOptions
from video2emg.inference.output.live_overlay import LiveOverlay
from video2emg.inference.output.overlay import HEIGHT
from video2emg.inference.output.pose_overlay import FILM
from video2emg.inference.output.tables import TABLE
from video2emg.inference.pose_input import LOAD_NOT_TOLD, knows_load
from video2emg.inference.pose_stream import PoseStream
from video2emg.inference.prediction import RELATIVE
from video2emg.inference.run import PRETRAINED, Run, open_run
from video2emg.inference.stream import Stream, StreamUpdate
from video2emg.inference.video_stream import VideoStream
from video2emg.parallel.hosts import log
from video2emg.train.stop import Stop


def run(
    run: str | Path = PRETRAINED,
    camera: str = "0",
    out: str = "",
    action: str = "",
    load: float | None = None,
    equipment: str = "",
    film: FilmOptions | None = None,
    overlay: bool = False,
) -> int:
    """Follows a camera until it ends or Ctrl-C; prints a JSON line per sample.

    Args:
      run: workdir of a finished run that is causal or reads poses.
      camera: see `readers.live.live_frames`; `view=` in front names one of the run's views.
      out: folder in which the same rows are written to emg.csv; empty: none.
      action: the exercise; if empty, the channels of all actions are predicted.
      load: kg.
      equipment: where the load is, for runs that read poses; else the action says it.
      film: how runs that read poses are given one.
      overlay: whether the film with skeleton and muscles is written to overlay.mp4 in `out`.

    Returns:
      The exit status.
    """
    opened, film = open_run(run), film or FilmOptions()
    stream: Stream
    told = knows_load(action, equipment, load)
    if opened.reads_pose:
        size = HEIGHT if overlay else 0
        stream = PoseStream(opened, action, load, equipment, film, picture_px=size)
        source = camera
        if not told:
            log(LOAD_NOT_TOLD)
    elif overlay:
        raise UserError("--overlay with --camera needs a run that reads poses")
    else:
        stream, source = _video_stream(opened, camera, action, load)
    log("ready")
    latencies: list[float] = []
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_open_table(folder(out, "--out"))) if out else None
        drawn = None
        if overlay:
            unit = opened.config.data.normalisation if told else RELATIVE
            path = folder(out, "--out") / FILM
            simulated = bool(opened.ood_detector.about["simulated"])
            drawn = LiveOverlay(path, stream.muscles, action, unit, simulated, film.rate)
            stack.enter_context(drawn)
        stop = stack.enter_context(Stop())
        try:
            with stop.at_once():
                _write_rows(stream, source, file, drawn, stop, latencies)
        except (Interrupted, KeyboardInterrupt):
            log("stopped")  # the usual end of a camera
        except BrokenPipeError:
            # The reader of standard output has left; what is buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if latencies:
        median, high = 1e3 * np.percentile(latencies, [50, 95])
        delay = stream.delay_s
        note = f", of what was filmed {delay:g} s before or earlier" if delay else ""
        log(
            f"{len(latencies)} predictions; from arrival to EMG {median:.0f} ms (median), "
            f"{high:.0f} ms (95 %){note}"
        )
    return 0


def _video_stream(
    run: Run, camera: str, action: str, load: float | None
) -> tuple[VideoStream, str]:
    """The stream of a run that reads pictures, and its source."""
    view, sign, source = camera.partition("=")
    if not sign or view not in run.window.views:
        view, source = "", camera
    stream = VideoStream(run, action, view, load)
    if (count := len(run.window.views)) > 1:
        log(f"the model was trained with {count} cameras and is given one")
    return stream, source


def _write_rows(
    stream: Stream,
    source: str,
    file: TextIO | None,
    drawn: LiveOverlay | None,
    stop: Stop,
    latencies: list[float],
) -> None:
    """Writes each sample to standard output and to the files; appends the latencies, s."""
    table = None
    if file is not None:
        header = ["time_s", "in_domain", *stream.muscles]
        table = csv.DictWriter(file, header, lineterminator="\n")
        table.writeheader()
    for update in stream.follow(source):
        stop.agreed()  # a signal that came during a callback of PyAV was lost there
        if not math.isnan(update.latency):
            latencies.append(update.latency)
        for row in _rows(update, stream.muscles):
            print(json.dumps(row))
            if table is not None:
                table.writerow(row | {"in_domain": str(row["in_domain"]).lower()})
        sys.stdout.flush()
        if file is not None:
            file.flush()
        if drawn is not None:
            drawn.add(update)


def _open_table(path: Path) -> TextIO:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return (path / f"{TABLE}.csv").open("w", newline="")
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from None


def _rows(update: StreamUpdate, muscles: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """One row per sample."""
    for time, values in zip(update.time, update.emg, strict=True):
        emg = {
            muscle: None if math.isnan(x) else round(float(x), 5)
            for muscle, x in zip(muscles, values, strict=True)
        }
        in_domain = update.in_domain and not np.isnan(values).all()
        yield {"time_s": round(float(time), 4), "in_domain": bool(in_domain), **emg}
