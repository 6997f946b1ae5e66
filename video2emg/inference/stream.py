"""What streams of EMG have in common: `video_stream` and `pose_stream` are the two kinds."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core.errors import UserError
from video2emg.data.film_pose import FilmPose
from video2emg.inference.run import Run


@dataclasses.dataclass(frozen=True)
class StreamUpdate:
    """EMG that became available with one frame. C channels; n samples, 0 if there is no new EMG.

    Attributes:
      time: [n] s from the first frame.
      emg: [n, C] predicted envelope, in units of the run's normalisation; NaN where a pose that is
        needed is not known.
      in_domain: whether the last window of frames resembles the training clips.
      latency: s since the arrival of the newest frame; NaN if a pause has followed it.
      pose: of the last seconds, with the pictures, if they are asked for; else None.
      pictures: (s, picture) since the update before, small, if they are asked for.
    """

    time: Float[np.ndarray, " n"]
    emg: Float[np.ndarray, "n C"]
    in_domain: bool
    latency: float
    pose: FilmPose | None = None
    pictures: Sequence[tuple[float, Image.Image]] = ()


@runtime_checkable
class Stream(Protocol):
    """Predicts EMG while frames arrive.

    Attributes:
      muscles: C channels.
      delay_s: s by which the EMG is older than the newest frame, at least.
    """

    muscles: tuple[str, ...]
    delay_s: float

    def follow(self, source: str) -> Iterator[StreamUpdate]:
        """Yields the EMG of a camera or stream as its frames arrive; see `readers.live`."""
        ...


def streamed_muscles(run: Run, action: str) -> tuple[str, ...]:
    """The channels of an exercise; of all exercises without one.

    Raises:
      UserError: the run does not know the exercise.
    """
    by_action = run.ood_detector.about["muscles"]
    if action and action not in by_action:
        raise UserError(f"--action {action!r}: the model knows {', '.join(by_action)}")
    actions = [action] if action else list(by_action)
    return tuple(dict.fromkeys(muscle for name in actions for muscle in by_action[name]))
