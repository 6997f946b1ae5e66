"""EMG from the pictures of a camera, by a causal model, while the video is being received."""

import collections
import time as clock
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8

from video2emg.core.batch import blank_batch
from video2emg.core.errors import UserError
from video2emg.data.readers import live
from video2emg.data.video import letterbox
from video2emg.inference.run import Run
from video2emg.inference.stream import StreamUpdate, streamed_muscles


class VideoStream:
    """Applies a causal run to one frame after the other.

    The EMG of an instant depends on the frames of the last window (`config.data.seconds`) only: it
    is the model's prediction for the end of that window.

    Attributes:
      muscles: C channels.
      lookahead_frames: later frames that the EMG of an instant waits for
        (`config.model.lookahead_s`).
      delay_s: the same in s.
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
        if not run.config.model.causal:
            raise UserError(
                f"{run.workdir}: its model looks ahead in time; for live video train a causal one "
                "(configs/v2emg.py:causal)"
            )
        views = run.window.views
        if view and view not in views:
            raise UserError(f"--camera {view}=…: the views of the model are {', '.join(views)}")
        self.muscles = streamed_muscles(run, action)
        self._run, self._view = run, views.index(view) if view else 0
        self.lookahead_frames = round(run.config.model.lookahead_s * run.window.frame_rate)
        self.delay_s = self.lookahead_frames / run.window.frame_rate
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
