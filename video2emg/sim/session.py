"""Records several repetitions in a row, by one subject and with fixed cameras."""

import dataclasses
import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.sim import record as sim
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.trials import Trial


@dataclasses.dataclass(frozen=True)
class Session:
    """A recorded set.

    Attributes:
      clips: the repetitions, each on its own clock.
      starts: start of each repetition, s from the start of the set.
    """

    clips: tuple[Clip, ...]
    starts: tuple[float, ...]

    def film(self, view: str) -> Iterator[tuple[float, Image.Image]]:
        """(s, picture) of one camera over the whole set.

        Raises:
          UserError: the camera is unknown.
        """
        if view not in self.clips[0].views:
            raise UserError(f"no view {view!r} in the set; there are {self.clips[0].views}")
        for start, clip in zip(self.starts, self.clips, strict=True):
            for frame in np.flatnonzero(clip.frame_view == clip.views.index(view)):
                with Image.open(io.BytesIO(clip.frames[frame])) as picture:
                    yield start + float(clip.frame_time[frame]), picture.convert("RGB")


def record_set(
    number: int,
    seed: int,
    exercise: str,
    load: float,
    errors: Sequence[dict[str, float]],
    studio: sim.Studio,
) -> Session:
    """Records a set; a pure function of its arguments.

    The stance is drawn anew for each repetition. So there is a small jump between repetitions, when
    the body is nearly at rest.

    Args:
      number: of the subject.
      seed: of the subject, the tempo and everything else that is drawn.
      exercise: name.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      errors: severity by error, one entry per repetition.
      studio: cameras; their positions are drawn once.

    Raises:
      UserError: the exercise or an error is unknown, or the subject cannot do a repetition.
    """
    if exercise not in EXERCISES:
        raise UserError(f"unknown exercise {exercise!r}; there are {', '.join(EXERCISES)}")
    unknown = {name for severity in errors for name in severity} - set(EXERCISES[exercise].errors)
    if unknown:
        raise UserError(
            f"{exercise}: unknown errors {sorted(unknown)}; there are "
            f"{', '.join(EXERCISES[exercise].errors)}"
        )
    subject = subjects.sample(number, seed)
    fixed_cameras = dataclasses.replace(studio, camera_seed=seed)
    clips, starts, now = [], [], 0.0
    for n, severity in enumerate(errors):
        # An independent seed for each repetition.
        trial_seed = int(np.random.default_rng([seed, number, n]).integers(2**31))
        trial = Trial(n, subject, exercise, load, tuple(severity.items()), trial_seed)
        clip = sim.record(trial, fixed_cameras)
        clips.append(clip)
        starts.append(now)
        # The next repetition starts one frame after the last frame of this one.
        now += float(clip.frame_time[-1]) + 1 / studio.fps
    return Session(tuple(clips), tuple(starts))
