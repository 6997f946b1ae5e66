"""`launch.py predict --camera`: EMG while the video is being received."""

import collections
import contextlib
import csv
import dataclasses
import json
import os
import sys
import time as clock
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Float, UInt8

from video2emg.core.batch import blank_batch
from video2emg.core.errors import Interrupted, UserError
from video2emg.core.files import folder
from video2emg.data.readers import live
from video2emg.data.video import letterbox
from video2emg.inference.output.tables import TABLE
from video2emg.inference.run import Run, open_run
from video2emg.parallel.hosts import log
from video2emg.train.stop import Stop


@dataclasses.dataclass(frozen=True)
class StreamUpdate:
    """EMG that became available with one frame. C channels; n samples, those between two frames.

    A model with a lookahead gives n = 0 for its first frames, and the missing samples at the end.

    Attributes:
      time: [n] s from the first frame.
      emg: [n, C] predicted envelope, in units of the run's normalisation.
      in_domain: whether the last window of frames resembles the training clips.
      latency: s since the arrival of the newest frame.
    """

    time: Float[np.ndarray, " n"]
    emg: Float[np.ndarray, "n C"]
    in_domain: bool
    latency: float


class EMGStream:
    """Applies a causal run to one frame after the other.

    The EMG of an instant depends on the frames of the last window (`config.data.seconds`) only: it
    is the model's prediction for the end of that window.

    Attributes:
      muscles: C channels.
      lookahead_frames: later frames that the EMG of an instant waits for
        (`config.model.lookahead_s`).
    """

    def __init__(
        self, run: Run, action: str = "", view: str = "", load: float | None = None
    ) -> None:
        """Compiles the model, so that the first frame does not wait for it.

        Args:
          run: see `inference.run.open_run`.
          action: the exercise; if empty, the channels of all actions are predicted.
          view: of the camera; if empty, the run's first.
          load: kg, an input of models with `load` in `extra_inputs`.

        Raises:
          UserError: the model is not causal, or the action or view is unknown.
        """
        if run.reads_pose:
            raise UserError(f"{run.workdir}: its model reads poses, which --camera cannot give it")
        if not run.config.model.causal:
            raise UserError(
                f"{run.workdir}: its model looks ahead in time; for live video train a causal one "
                "(configs/v2emg.py:causal)"
            )
        muscles_by_action = run.ood_detector.about["muscles"]
        if action and action not in muscles_by_action:
            raise UserError(f"--action {action!r}: the model knows {', '.join(muscles_by_action)}")
        views = run.window.views
        if view and view not in views:
            raise UserError(f"--camera {view}=…: the views of the model are {', '.join(views)}")
        actions = [action] if action else list(muscles_by_action)
        self.muscles = tuple(dict.fromkeys(m for name in actions for m in muscles_by_action[name]))
        self._run, self._view = run, views.index(view) if view else 0
        self.lookahead_frames = round(run.config.model.lookahead_s * run.window.frame_rate)
        self._frames: collections.deque[np.ndarray] = collections.deque(
            maxlen=len(run.window.frame_time)
        )
        self._blank = blank_batch(run.window, 1, self.muscles)
        self._blank["view"] = run.window.view_index[None]
        self._blank["emg_mask"][:] = True
        if load is not None:
            self._blank["load"][:], self._blank["load_mask"][:] = load, True
        self.push(np.zeros((run.window.size, run.window.size, 3), np.uint8))
        self._frames.clear()

    def push(
        self, frame: UInt8[np.ndarray, "S S 3"], reset: bool = False
    ) -> tuple[Float[np.ndarray, "n C"], bool]:
        """Adds a frame.

        Args:
          frame: fitted into the model's square.
          reset: forget the frames before it.

        Returns:
          EMG of the time between two frames, and whether the last window is in domain. The EMG
          belongs to the frame that came `lookahead_frames` before this one. The first
          `lookahead_frames` frames therefore give none (n = 0); `flush` gives the remaining EMG.
        """
        if reset:
            self._frames.clear()
        self._frames.append(frame)
        count, batch = len(self._frames), {k: v.copy() for k, v in self._blank.items()}
        batch["video"][0, self._view, :count] = np.stack(self._frames)
        batch["video_mask"][0, self._view, :count] = True
        outputs = self._run.forward(batch)
        self._window_emg = outputs.emg[0]
        in_domain = bool(self._run.ood_detector.score(outputs.encoder_features).inside[0])
        first, end = count - 1 - self.lookahead_frames, count - self.lookahead_frames
        return self._emg_of_frames(max(first, 0), max(end, 0)), in_domain

    def flush(self) -> Float[np.ndarray, "n C"]:
        """EMG of the last `lookahead_frames` frames, predicted without later frames."""
        first = max(len(self._frames) - self.lookahead_frames, 0)
        return self._emg_of_frames(first, len(self._frames))

    def _emg_of_frames(self, first: int, end: int) -> Float[np.ndarray, "n C"]:
        """The latest EMG of some frames of the window."""
        samples = len(self._window_emg) // len(self._run.window.frame_time)
        return self._window_emg[first * samples : end * samples]

    def follow(self, source: str) -> Iterator[StreamUpdate]:
        """Yields the EMG of a camera or stream as its frames arrive; see `readers.live`."""
        window = self._run.window
        per_frame = round(window.emg_rate / window.frame_rate)
        last, in_domain = None, False

        def update(frame: live.ClockFrame, emg: np.ndarray, end: int) -> StreamUpdate:
            time = (end * per_frame + np.arange(-len(emg), 0)) / window.emg_rate
            return StreamUpdate(time, emg, in_domain, clock.perf_counter() - frame.received)

        frames = live.live_frames(source)
        for frame in live.frames_on_clock(frames, window.frame_rate, window.seconds):
            if frame.restart and last is not None and self.lookahead_frames:
                yield update(last, self.flush(), last.number + 1)
            pixels = np.asarray(letterbox(frame.decode(), window.size))
            emg, in_domain = self.push(pixels, frame.restart)
            yield update(frame, emg, frame.number + 1 - self.lookahead_frames)
            last = frame
        if last is not None and self.lookahead_frames:
            yield update(last, self.flush(), last.number + 1)


def run(
    run: str | Path, camera: str, out: str = "", action: str = "", load: float | None = None
) -> int:
    """Follows a camera until it ends or Ctrl-C; prints a JSON line per sample.

    Args:
      run: workdir of a finished causal run.
      camera: see `readers.live.live_frames`; `view=` in front names one of the run's views.
      out: folder in which the same rows are written to emg.csv; empty: none.
      action: see `EMGStream`.
      load: see `EMGStream`.

    Returns:
      The exit status.
    """
    opened = open_run(run)
    view, sign, source = camera.partition("=")
    if not sign or view not in opened.window.views:
        view, source = "", camera
    stream = EMGStream(opened, action, view, load)
    if (count := len(opened.window.views)) > 1:
        log(f"the model was trained with {count} cameras and is given one")
    log("ready")
    latencies: list[float] = []
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_open_table(folder(out, "--out"))) if out else None
        stop = stack.enter_context(Stop())
        try:
            with stop.at_once():
                _write_rows(stream, source, file, stop, latencies)
        except (Interrupted, KeyboardInterrupt):
            log("stopped")  # the usual end of a camera
        except BrokenPipeError:
            # The reader of standard output has left; what is buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if latencies:
        median, high = 1e3 * np.percentile(latencies, [50, 95])
        lookahead = stream.lookahead_frames / opened.window.frame_rate
        note = f", of what was filmed {lookahead:g} s before" if lookahead else ""
        log(
            f"{len(latencies)} frames; from arrival to EMG {median:.0f} ms (median), "
            f"{high:.0f} ms (95 %){note}"
        )
    return 0


def _write_rows(
    stream: EMGStream, source: str, file: TextIO | None, stop: Stop, latencies: list[float]
) -> None:
    """Writes each sample to standard output and to the file; appends the latency of each frame."""
    table = None
    if file is not None:
        header = ["time_s", "in_domain", *stream.muscles]
        table = csv.DictWriter(file, header, lineterminator="\n")
        table.writeheader()
    for update in stream.follow(source):
        stop.agreed()  # a signal that came during a callback of PyAV was lost there
        latencies.append(update.latency)
        for row in _rows(update, stream.muscles):
            print(json.dumps(row))
            if table is not None:
                table.writerow(row | {"in_domain": str(row["in_domain"]).lower()})
        sys.stdout.flush()
        if file is not None:
            file.flush()


def _open_table(path: Path) -> TextIO:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return (path / f"{TABLE}.csv").open("w", newline="")
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from None


def _rows(update: StreamUpdate, muscles: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """One row per sample."""
    for time, values in zip(update.time, update.emg, strict=True):
        emg = {muscle: round(float(x), 5) for muscle, x in zip(muscles, values, strict=True)}
        yield {"time_s": round(float(time), 4), "in_domain": update.in_domain, **emg}
