"""Measures the effect of every error on its muscle, for the same person and load."""

import dataclasses

import numpy as np

from video2emg.core import vocabulary
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, Error, Exercise
from video2emg.sim.record import Performance, perform


@dataclasses.dataclass(frozen=True)
class MeasuredEffect:
    """Effect of one error on its muscle.

    Attributes:
      exercise, error: names.
      muscle, statistic, direction: of the error's expected `Effect`.
      correct: the statistic without the error, mean over people.
      with_error: the statistic with the error, mean over people.
    """

    exercise: str
    error: str
    muscle: str
    statistic: str
    direction: int
    correct: float
    with_error: float

    @property
    def change(self) -> float:
        """Change over the value without the error; for asymmetry, the plain difference."""
        difference = self.with_error - self.correct
        return difference if self.statistic == "asymmetry" else difference / self.correct

    @property
    def expected_change(self) -> float:
        """`change`, positive if it has the expected direction."""
        return self.direction * self.change


def statistic(performance: Performance, error: Error) -> float:
    """The statistic of the drive that the error is expected to change."""
    sides = [
        performance.drive[:, performance.channels.index(vocabulary.channel(s, error.effect.muscle))]
        for s in vocabulary.SIDES
    ]
    if error.effect.statistic == "peak":
        return float(np.mean([side.max() for side in sides]))
    means = np.array([side.mean() for side in sides])
    if error.effect.statistic == "asymmetry":
        return float(abs(means[0] - means[1]) / means.mean())
    return float(means.mean())


def measure(exercise: Exercise, severity: float = 0.8, people: int = 4) -> list[MeasuredEffect]:
    """Measures all errors of an exercise, at a third of its range of loads.

    Args:
      exercise: the exercise.
      severity: of the errors.
      people: number of subjects to average over.
    """
    low, high, step = exercise.loads
    load = low + step * round((high - low) / 3 / step)
    group = [subjects.sample(i, 77) for i in range(people)]

    def do(errors: dict[str, float]) -> list[Performance]:
        return [
            perform(subject, exercise, load, [errors], i, standard_tempo=True)
            for i, subject in enumerate(group)
        ]

    correct = do({})
    effects = []
    for name, error in exercise.errors.items():
        wrong = do({name: severity})
        effects.append(
            MeasuredEffect(
                exercise.name,
                name,
                error.effect.muscle,
                error.effect.statistic,
                error.effect.direction,
                float(np.mean([statistic(p, error) for p in correct])),
                float(np.mean([statistic(p, error) for p in wrong])),
            )
        )
    return effects


def measure_all(severity: float = 0.8, people: int = 4) -> list[MeasuredEffect]:
    """`measure` for all exercises."""
    return [effect for e in EXERCISES.values() for effect in measure(e, severity, people)]
