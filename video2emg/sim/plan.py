"""Who does what with which load and errors."""

import dataclasses

import numpy as np

from video2emg.core.errors import UserError
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, STANDING, Exercise
from video2emg.sim.subject import Subject


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is to be recorded.

    Attributes:
      index: place in the plan.
      subject: who.
      exercise: name.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      errors: (error, severity in (0, 1]).
      seed: of everything that the plan does not say.
      repetition: which one of its set, from 1.
      of: repetitions of the set; 0 for one that is done alone, by a fresh body.
    """

    index: int
    subject: Subject
    exercise: str
    load: float
    errors: tuple[tuple[str, float], ...]
    seed: int
    repetition: int = 1
    of: int = 0


def plan(
    n_subjects: int,
    repetitions: int,
    seed: int,
    exercises: tuple[str, ...] = STANDING,
    of: int = 0,
) -> list[Trial]:
    """Every subject does every exercise `repetitions` times; loads do not depend on strength.

    Args:
      n_subjects: ids are `s000`, `s001`, …
      repetitions: of each exercise, each with its own load and errors.
      seed: the plan is a pure function of the arguments.
      exercises: names.
      of: repetitions of a set; one of each set is recorded, of early and late ones equally many.
    """
    for name in exercises:
        if name not in EXERCISES:
            raise UserError(f"unknown exercise {name!r}; there are {', '.join(EXERCISES)}")
    trials = []
    for number in range(n_subjects):
        who = subjects.sample(number, seed)
        for name in exercises:
            exercise = EXERCISES[name]
            place = list(EXERCISES).index(name)
            rng = np.random.default_rng([seed, number, place, 11])
            which = _repetitions(repetitions, of, np.random.default_rng([seed, number, place, 13]))
            low, high, step = exercise.loads
            # One load from each part of the range, in random order.
            parts = (rng.permutation(repetitions) + rng.random(repetitions)) / repetitions
            for part, repetition in zip(parts, which, strict=True):
                load = low + round(part * (high - low) / step) * step
                trials.append(
                    Trial(
                        index=len(trials),
                        subject=who,
                        exercise=name,
                        load=float(load),
                        errors=_draw_errors(exercise, who, rng),
                        seed=int(rng.integers(2**31)),
                        repetition=repetition,
                        of=of,
                    )
                )
    return trials


def _repetitions(sets: int, of: int, rng: np.random.Generator) -> list[int]:
    """Which repetition of each set is recorded: one from each part of a set, in random order."""
    share = (rng.permutation(sets) + rng.random(sets)) / sets
    return [1 + int(part * of) for part in share]


def _draw_errors(
    exercise: Exercise, who: Subject, rng: np.random.Generator
) -> tuple[tuple[str, float], ...]:
    """None, one or two errors; the unskilled make more."""
    made, both = rng.random() < 0.4 + 0.4 * (1 - who.skill), rng.random() < 0.25
    names = rng.permutation(list(exercise.errors))[:2]
    severity = np.round(rng.uniform(0.35, 1.0, 2), 2)
    count = int(made) + int(made and both)
    return tuple((str(n), float(s)) for n, s in zip(names[:count], severity, strict=False))
