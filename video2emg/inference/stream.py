"""`launch.py predict --camera`: EMG while the video comes in."""

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

from video2emg.core.errors import Interrupted, UserError
from video2emg.core.files import folder
from video2emg.data.readers import film, live
from video2emg.inference.output.tables import TABLE
from video2emg.inference.run import Run, nothing, open_run
from video2emg.inference.video_input import places
from video2emg.parallel.hosts import log
from video2emg.train.stop import Stop


@dataclasses.dataclass(frozen=True)
class StreamUpdate:
    """What is said when a frame has come. C channels; n samples, as many as between two frames.

    A model that is late says nothing (n = 0) of its first frames, and at the end what it owes.

    Attributes:
      time: [n] s from the first frame.
      emg: [n, C] predicted envelope, in units of the run's reference.
      inside: whether the last seconds look like what the run has learned from.
      latency: s from the newest frame's arrival.
    """

    time: Float[np.ndarray, " n"]
    emg: Float[np.ndarray, "n C"]
    inside: bool
    latency: float


class EMGStream:
    """A causal run that is shown one frame after the other.

    What it says depends on the frames of the last window (`config.data.seconds`) and on no other:
    it is what the model says of that window's last instant.

    Attributes:
      muscles: C channels.
      late: frames after an instant that are waited for (`config.model.lookahead_s`).
    """

    def __init__(self, run: Run, action: str = "", view: str = "") -> None:
        """Compiles, so that the first frame does not wait for it.

        Args:
          run: opened, see `inference.run`.
          action: the exercise; without it all channels that the run knows are predicted.
          view: of the camera; else the run's first.

        Raises:
          UserError: the run looks ahead, or knows no such action or view.
        """
        if not run.config.model.get("causal", False):
            raise UserError(f"{run.workdir}: its model looks ahead in time; for live video train "
                            "one that does not (configs/v2emg.py:causal)")  # fmt: skip
        known = run.domain.about["muscles"]
        if action and action not in known:
            raise UserError(f"--action {action!r}: the model has learned {', '.join(known)}")
        views = run.window.views
        if view and view not in views:
            raise UserError(f"--camera {view}=…: the model knows the views {', '.join(views)}")
        several = [action] if action else list(known)
        self.muscles = tuple(dict.fromkeys(m for name in several for m in known[name]))
        self._run, self._view = run, views.index(view) if view else 0
        self.late = round(run.config.model.get("lookahead_s", 0.0) * run.window.frame_rate)
        self._frames: collections.deque[np.ndarray] = collections.deque(
            maxlen=len(run.window.frame_time)
        )
        self._blank = nothing(run.window, 1, self.muscles) | {"view": places(run.window)[None]}
        self._blank["emg_mask"][:] = True
        self.push(np.zeros((run.window.size, run.window.size, 3), np.uint8), anew=True)
        self._frames.clear()

    def push(
        self, pixels: UInt8[np.ndarray, "S S 3"], anew: bool = False
    ) -> tuple[Float[np.ndarray, "n C"], bool]:
        """The EMG of the time between two frames, and whether the last window is in domain.

        It is the time from the instant of the frame before which `late` others have come. So the
        first `late` frames bring nothing (n = 0); `owed` says the rest.

        Args:
          pixels: the frame, fitted into the model's square.
          anew: forget the frames before it.
        """
        if anew:
            self._frames.clear()
        self._frames.append(pixels)
        count, batch = len(self._frames), {k: v.copy() for k, v in self._blank.items()}
        batch["video"][0, self._view, :count] = np.stack(self._frames)
        batch["video_mask"][0, self._view, :count] = True
        seen = self._run.watcher(batch)
        self._said = seen.emg[0]
        inside = bool(self._run.domain.score(seen.encoder_features).inside[0])
        return self._of(max(count - 1 - self.late, 0), max(count - self.late, 0)), inside

    def owed(self) -> Float[np.ndarray, "n C"]:
        """The EMG of the last `late` frames, as far as it can be said without those to come."""
        return self._of(max(len(self._frames) - self.late, 0), len(self._frames))

    def _of(self, first: int, end: int) -> Float[np.ndarray, "n C"]:
        """What was last said of some frames of the window."""
        samples = len(self._said) // len(self._run.window.frame_time)
        return self._said[first * samples : end * samples]

    def follow(self, source: str) -> Iterator[StreamUpdate]:
        """Yields what is to be said of a camera or stream, as it comes; see `readers.live`."""
        window = self._run.window
        per_frame = round(window.emg_rate / window.frame_rate)
        last, inside = None, False

        def moment(beat: live.Beat, emg: np.ndarray, end: int) -> StreamUpdate:
            time = (end * per_frame + np.arange(-len(emg), 0)) / window.emg_rate
            return StreamUpdate(time, emg, inside, clock.perf_counter() - beat.at)

        for beat in live.on_beat(live.arrivals(source), window.frame_rate, window.seconds):
            if beat.anew and last is not None and self.late:
                yield moment(last, self.owed(), last.number + 1)
            emg, inside = self.push(film.fit(beat.look(), window.size), beat.anew)
            yield moment(beat, emg, beat.number + 1 - self.late)
            last = beat
        if last is not None and self.late:
            yield moment(last, self.owed(), last.number + 1)


def run(
    checkpoint: str, camera: str, out: str = "", action: str = "", data_dir: str | None = None
) -> int:
    """Follows a camera until it ends or Ctrl-C; a JSON line per sample to standard output.

    Args:
      checkpoint: workdir of a finished causal run.
      camera: see `readers.live.arrivals`; `view=` in front says which of the run's views it is.
      out: folder that also receives emg.csv, row by row; empty: none.
      action: see `EMGStream`.
      data_dir: see `inference.run.open_run`.

    Returns:
      The exit status.
    """
    opened = open_run(checkpoint, data_dir)
    view, sign, source = camera.partition("=")
    named = bool(sign) and view in opened.window.views
    stream = EMGStream(opened, action, view if named else "")
    if (count := len(opened.window.views)) > 1:
        log(f"the model was trained with {count} cameras and is shown one")
    log("ready")
    latencies: list[float] = []
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_opened(folder(out, "--out")))] if out else []
        header = ["time_s", "in_domain", *stream.muscles]
        tables = [csv.DictWriter(file, header, lineterminator="\n") for file in files]
        for table in tables:
            table.writeheader()
        stop = stack.enter_context(Stop())
        try:
            with stop.at_once():
                for moment in stream.follow(source if named else camera):
                    stop.agreed()  # a signal in the midst of a library's callback was lost there
                    latencies.append(moment.latency)
                    for row in _rows(moment, stream.muscles):
                        print(json.dumps(row))
                        for table in tables:
                            table.writerow(row | {"in_domain": str(row["in_domain"]).lower()})
                    for file in (sys.stdout, *files):
                        file.flush()
        except (Interrupted, KeyboardInterrupt):
            log("stopped")  # as a camera is
        except BrokenPipeError:
            # Whoever read has had enough; what is still buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if latencies:
            middle, high = 1e3 * np.percentile(latencies, [50, 95])
            late = stream.late / opened.window.frame_rate
            waits = f", of what was seen {late:g} s before" if late else ""
            log(f"{len(latencies)} frames; from arrival to EMG {middle:.0f} ms (median), "
                f"{high:.0f} ms (95 %){waits}")  # fmt: skip
    return 0


def _opened(path: Path) -> TextIO:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return (path / f"{TABLE}.csv").open("w", newline="")
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from None


def _rows(moment: StreamUpdate, muscles: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """One row per sample."""
    for time, values in zip(moment.time, moment.emg, strict=True):
        emg = {muscle: round(float(x), 5) for muscle, x in zip(muscles, values, strict=True)}
        yield {"time_s": round(float(time), 4), "in_domain": moment.inside, **emg}
