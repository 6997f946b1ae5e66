"""Measures what every error does to the muscles: the same person and load, with and without it."""

import dataclasses

import numpy as np

from video2emg.core import vocabulary
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, Error, Exercise
from video2emg.sim.record import Performance, perform


@dataclasses.dataclass(frozen=True)
class Change:
    """Effect of one error on its muscle.

    Attributes:
      exercise, error: names.
      muscle, statistic, direction: of the error's `Mark`.
      without, made: the statistic without and with the error, mean over people.
    """

    exercise: str
    error: str
    muscle: str
    statistic: str
    direction: int
    without: float
    made: float

    @property
    def relative(self) -> float:
        """Change over the value without the error; for asymmetry, the plain difference."""
        difference = self.made - self.without
        return difference if self.statistic == "asymmetry" else difference / self.without

    @property
    def as_stated(self) -> float:
        """`relative`, positive if the change has the direction that the mark states."""
        return self.direction * self.relative


def statistic(performance: Performance, error: Error) -> float:
    """The number that an error's mark is about."""
    sides = [
        performance.drive[:, performance.channels.index(vocabulary.channel(s, error.mark.muscle))]
        for s in vocabulary.SIDES
    ]
    if error.mark.statistic == "peak":
        return float(np.mean([side.max() for side in sides]))
    means = np.array([side.mean() for side in sides])
    if error.mark.statistic == "asymmetry":
        return float(abs(means[0] - means[1]) / means.mean())
    return float(means.mean())


def measure(exercise: Exercise, severity: float = 0.8, people: int = 4) -> list[Change]:
    """Changes by every error of an exercise, at a third of its range of loads.

    Args:
      exercise: which.
      severity: of the errors.
      people: how many different subjects to average over.
    """
    low, high, step = exercise.loads
    load = low + step * round((high - low) / 3 / step)
    crowd = [subjects.sample(i, 77) for i in range(people)]
    correct = [perform(who, exercise, load, {}, i) for i, who in enumerate(crowd)]
    changes = []
    for name, error in exercise.errors.items():
        wrong = [perform(who, exercise, load, {name: severity}, i) for i, who in enumerate(crowd)]
        changes.append(
            Change(
                exercise.name,
                name,
                error.mark.muscle,
                error.mark.statistic,
                error.mark.direction,
                float(np.mean([statistic(p, error) for p in correct])),
                float(np.mean([statistic(p, error) for p in wrong])),
            )
        )
    return changes


def measure_all(severity: float = 0.8, people: int = 4) -> list[Change]:
    """`measure` for all exercises."""
    return [c for e in EXERCISES.values() for c in measure(e, severity, people)]
