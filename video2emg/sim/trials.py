"""Plans trials: which subject does which exercise, with which load and errors."""

import dataclasses

import numpy as np

from video2emg.core.errors import UserError
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, STANDING, Exercise
from video2emg.sim.subject import Subject


@dataclasses.dataclass(frozen=True)
class Trial:
    """One repetition to record.

    Attributes:
      index: position in the plan.
      subject: who.
      exercise: name.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      errors: (error, severity in (0, 1]).
      seed: of everything that the other fields do not fix.
      repetition: its number within the set, from 1.
      set_length: repetitions of the set; 0 for a single repetition by a rested body.
    """

    index: int
    subject: Subject
    exercise: str
    load: float
    errors: tuple[tuple[str, float], ...]
    seed: int
    repetition: int = 1
    set_length: int = 0


def plan_trials(
    n_subjects: int,
    repetitions: int,
    seed: int,
    exercises: tuple[str, ...] = STANDING,
    set_length: int = 0,
) -> list[Trial]:
    """Every subject does every exercise `repetitions` times; loads do not depend on strength.

    The trials of a subject and exercise are seeded by `Exercise.id`. So they do not depend on
    which other exercises exist or are planned.

    Args:
      n_subjects: number of subjects; their ids are `s000`, `s001`, …
      repetitions: of each exercise, each with its own load and errors.
      seed: the plan is a pure function of the arguments.
      exercises: names.
      set_length: repetitions of a set, of which one is recorded; early and late ones equally often.
        0 for single repetitions.

    Raises:
      UserError: an exercise is unknown.
    """
    for name in exercises:
        if name not in EXERCISES:
            raise UserError(f"unknown exercise {name!r}; there are {', '.join(EXERCISES)}")
    trials = []
    for number in range(n_subjects):
        subject = subjects.sample(number, seed)
        for name in exercises:
            exercise = EXERCISES[name]
            rng = np.random.default_rng([seed, number, exercise.id, 11])
            set_rng = np.random.default_rng([seed, number, exercise.id, 13])
            recorded = _recorded_repetitions(repetitions, set_length, set_rng)
            low, high, step = exercise.loads
            # One load from each part of the range, in random order.
            parts = (rng.permutation(repetitions) + rng.random(repetitions)) / repetitions
            for part, repetition in zip(parts, recorded, strict=True):
                load = low + round(part * (high - low) / step) * step
                trials.append(
                    Trial(
                        index=len(trials),
                        subject=subject,
                        exercise=name,
                        load=float(load),
                        errors=_draw_errors(exercise, subject, rng),
                        seed=int(rng.integers(2**31)),
                        repetition=repetition,
                        set_length=set_length,
                    )
                )
    return trials


def _recorded_repetitions(sets: int, set_length: int, rng: np.random.Generator) -> list[int]:
    """Which repetition of each set is recorded: one from each part of a set, in random order."""
    share = (rng.permutation(sets) + rng.random(sets)) / sets
    return [1 + int(part * set_length) for part in share]


def _draw_errors(
    exercise: Exercise, subject: Subject, rng: np.random.Generator
) -> tuple[tuple[str, float], ...]:
    """None, one or two errors; unskilled people make more."""
    any_error, two_errors = rng.random() < 0.4 + 0.4 * (1 - subject.skill), rng.random() < 0.25
    names = rng.permutation(list(exercise.errors))[:2]
    severity = np.round(rng.uniform(0.35, 1.0, 2), 2)
    count = int(any_error) + int(any_error and two_errors)
    return tuple((str(n), float(s)) for n, s in zip(names[:count], severity, strict=False))
