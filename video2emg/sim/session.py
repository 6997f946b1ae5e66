"""Several repetitions in a row, by one subject before cameras that stay where they are."""

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


@dataclasses.dataclass(frozen=True)
class Session:
    """A recorded set.

    Attributes:
      clips: the repetitions, each on its own clock.
      starts: when each begins, s from the start of the set.
    """

    clips: tuple[Clip, ...]
    starts: tuple[float, ...]

    def film(self, view: str) -> Iterator[tuple[float, Image.Image]]:
        """(s, picture) of one camera over the whole set.

        Raises:
          UserError: there was no such camera.
        """
        if view not in self.clips[0].views:
            raise UserError(f"no view {view!r} in the set; there are {self.clips[0].views}")
        for start, clip in zip(self.starts, self.clips, strict=True):
            own = np.flatnonzero(clip.frame_view == clip.views.index(view))
            for frame in own:
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

    The subject takes up the stance anew for each repetition, so that there is a small jump between
    two of them, while nothing much moves.

    Args:
      number: of the subject.
      seed: of subject, tempo and everything else that is drawn.
      exercise: name.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      errors: severity by error, one entry per repetition.
      studio: cameras; their places are drawn once.

    Raises:
      UserError: an unknown exercise or error, or one that the subject cannot do.
    """
    if exercise not in EXERCISES:
        raise UserError(f"unknown exercise {exercise!r}; there are {', '.join(EXERCISES)}")
    unknown = {name for made in errors for name in made} - set(EXERCISES[exercise].errors)
    if unknown:
        raise UserError(f"{exercise}: unknown errors {sorted(unknown)}; there are "
                        f"{', '.join(EXERCISES[exercise].errors)}")  # fmt: skip
    who = subjects.sample(number, seed)
    steady = dataclasses.replace(studio, camera_seed=seed)
    clips, starts, now = [], [], 0.0
    for n, made in enumerate(errors):
        # The body stays the same; seeds of repetitions must not be neighbours of one another.
        own = int(np.random.default_rng([seed, number, n]).integers(2**31))
        clip = sim.record(sim.Trial(n, who, exercise, load, tuple(made.items()), own), steady)
        clips.append(clip)
        starts.append(now)
        # The next repetition begins one frame after the last picture of this one.
        now += float(clip.frame_time[-1]) + 1 / studio.fps
    return Session(tuple(clips), tuple(starts))
