"""EMG from the pose of a person in front of a camera, while the video is being received."""

import math
import time as clock
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core.batch import blank_batch
from video2emg.core.equipment import check_equipment
from video2emg.core.errors import UserError
from video2emg.core.thinning import thinned
from video2emg.data.film_pose import FilmOptions, FilmPose, SeenFilm, assemble
from video2emg.data.readers import live
from video2emg.inference.pose_input import PoseInput
from video2emg.inference.run import Run
from video2emg.inference.stream import StreamUpdate, streamed_muscles
from video2emg.pose import estimate

STEP_S = 0.4  # between two predictions
DELAY_S = 0.4  # r with the EMG of the whole film is 0.97, without a delay 0.90 (benchmarks.film)
_HISTORY_S = 20.0  # from which gravity, heading and the lengths of the body are estimated
_FIRST_S = 1.0  # of history before the first prediction
_LONGEST_GAP_S = 0.5  # without a picture, after which everything begins anew


class PoseStream:
    """Estimates the pose in each picture and applies a run that reads poses.

    The model is not causal. It is given the last window (`config.data.seconds`) every `STEP_S`, and
    the EMG is that of `delay_s` before its end. The axes and the lengths of the body are estimated
    from the last 20 s.

    Attributes:
      muscles: C channels.
      delay_s: s by which the EMG is older than the newest picture, at least; at most `STEP_S` more.
    """

    def __init__(
        self,
        run: Run,
        action: str = "",
        load: float | None = None,
        equipment: str = "",
        film: FilmOptions | None = None,
        delay_s: float = DELAY_S,
        picture_px: int = 0,
    ) -> None:
        """Loads the pose estimator and compiles the model.

        Args:
          run: see `inference.run.open_run`.
          action: the exercise; if empty, the channels of all actions are predicted.
          load: kg.
          equipment: where the load is; else the action says it.
          film: of the pose estimator, and what is known of the body and the camera.
          delay_s: s by which the EMG is late; the less, the less the model sees of what follows.
          picture_px: length of the longer edge of the pictures in the updates; 0 for none.

        Raises:
          UserError: an unknown action or equipment, or no weights of the pose estimator.
        """
        check_equipment(equipment, "--equipment")
        self.muscles = streamed_muscles(run, action)
        self.delay_s = delay_s
        self._picture_px = picture_px
        self._run = run
        self._film = film or FilmOptions()
        if not self._film.rate > 0:
            raise UserError(f"--pose_rate {self._film.rate:g}: must be pictures per second")
        self._load, self._equipment, self._action = load, equipment, action
        self._model = estimate.load(self._film.net, self._film.weights)
        self._blank = blank_batch(run.window, 1, self.muscles)
        self._blank["emg_mask"][:] = True
        if load is not None:
            self._blank["load"][:], self._blank["load_mask"][:] = load, True
        run.forward(self._blank)
        self._begin(0)

    def _begin(self, sample: int) -> None:
        """Forgets everything; the next sample that is predicted is this one."""
        self._recorder = estimate.PoseRecorder(self._model)
        self._pictures: list[tuple[float, Image.Image]] = []  # since the last update
        self._first = self._next = sample
        self._due = sample / self._run.window.emg_rate + _FIRST_S

    def follow(self, source: str) -> Iterator[StreamUpdate]:
        """Yields the EMG of a camera or stream as its frames arrive; see `readers.live`."""
        last: live.LiveFrame | None = None
        frames = ((frame.time, frame) for frame in live.live_frames(source))
        for time, frame in thinned(frames, self._film.rate):
            if last is not None and time - last.time > _LONGEST_GAP_S:
                yield self._update(last, 0.0, is_late=True)
                self._begin(math.ceil(time * self._run.window.emg_rate - 1e-6))
            picture = frame.decode()
            self._recorder.add(time, picture)
            if self._picture_px:
                small = picture.copy()
                small.thumbnail((self._picture_px, self._picture_px))
                self._pictures.append((time, small))
            self._recorder.forget_before(time - _HISTORY_S)
            if time >= self._due - 1e-6:
                self._due = time + STEP_S
                yield self._update(frame, self.delay_s)
            last = frame
        if last is not None:
            yield self._update(last, 0.0)

    def _update(self, frame: live.LiveFrame, delay: float, is_late: bool = False) -> StreamUpdate:
        """The EMG that is new at a frame; `is_late` if the frame was followed by a pause."""
        end = math.ceil((frame.time - delay) * self._run.window.emg_rate - 1e-6)
        end = max(end, self._next)
        time = np.arange(self._next, end) / self._run.window.emg_rate
        pose = self._pose()
        emg, in_domain = self._predict(pose, frame.time, time)
        self._next = end
        pictures, self._pictures = self._pictures, []
        latency = math.nan if is_late else clock.perf_counter() - frame.received
        shown = pose if self._picture_px else None
        return StreamUpdate(time, emg, in_domain, latency, shown, pictures)

    def _pose(self) -> FilmPose:
        """What was seen in the last seconds."""
        film = SeenFilm(Path("camera"), self._recorder.watched(), (), "", ())
        return assemble([film], self._film)

    def _predict(
        self, pose: FilmPose, now: float, time: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n C"], bool]:
        """EMG at some instants of the window that ends now; NaN where the pose is not known."""
        window = self._run.window
        # On the grid of the samples, so that none has to be interpolated.
        start = max(math.floor((now - window.seconds) * window.emg_rate) + 1, self._first)
        # A film without a repetition is refused, but a stream may hold one later: only the times
        # and joints that the gates refuse are unknown.
        recording = PoseInput(
            pose, window, self._film.body.height, self._load, self._equipment, self._action
        )
        inputs = recording.read_window(start / window.emg_rate)
        outputs = self._run.forward(self._blank | {k: v[None] for k, v in inputs.items()})
        rows = np.round(time * window.emg_rate).astype(int) - start
        known = recording.known(time) & (rows >= 0)
        emg = np.where(known[:, None], outputs.emg[0][np.clip(rows, 0, None)], math.nan)
        score = self._run.ood_detector.score(outputs.encoder_features)
        return emg, bool(score.inside[0] and known.any())
