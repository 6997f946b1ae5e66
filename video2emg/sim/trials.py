"""Plans trials: which subject does which exercise, with which load and errors."""

import dataclasses

import numpy as np

from video2emg.core.errors import UserError
from video2emg.sim import effort
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, STANDING, Exercise
from video2emg.sim.subject import Population, Subject

_EARLIER = (0.0, 25.0)  # s of equal work before a set
_OCCASIONAL = 0.75  # probability that a repetition has an error of its set
_VARIES = 0.2  # by how much the severity of an error varies between repetitions
# Probability that a set has an error of effort, and that it then has two. Skill shows in the
# movement, so these do not depend on it.
_EFFORT_ERROR, _TWO_EFFORT_ERRORS = 0.6, 0.35

Errors = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One set to record.

    Attributes:
      index: position in the plan.
      subject: who.
      exercise: name.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      repetitions: (error, severity in (0, 1]) pairs of each repetition; none in free movement.
      seed: of everything that the other fields do not fix.
      time_in_set: duration of equal work just before, s, which has fatigued the muscles.
      efforts: whether errors of effort may occur; see `effort`.
    """

    index: int
    subject: Subject
    exercise: str
    load: float
    repetitions: tuple[Errors, ...]
    seed: int
    time_in_set: float = 0.0
    efforts: bool = False


def plan_trials(
    n_subjects: int,
    sets: int,
    seed: int,
    exercises: tuple[str, ...] = STANDING,
    repetitions: tuple[int, int] = (3, 3),
    population: Population | None = None,
    efforts: bool = False,
) -> list[Trial]:
    """Every subject does `sets` sets of every exercise; loads do not depend on strength.

    The trials of a subject and exercise are seeded by `Exercise.id`. So they do not depend on
    which other exercises exist or are planned.

    Args:
      n_subjects: number of subjects; their ids are `s000`, `s001`, …
      sets: of each exercise, each with its own load and errors.
      seed: the plan is a pure function of the arguments.
      exercises: names.
      repetitions: fewest and most of a set, where the exercise does not limit them.
      population: what the people have in common; None for the usual people.
      efforts: whether errors of effort occur too. Everything else of the plan stays the same.

    Raises:
      UserError: an exercise is unknown, or has no errors of effort where they may occur.
    """
    for name in exercises:
        if name not in EXERCISES:
            raise UserError(f"unknown exercise {name!r}; there are {', '.join(EXERCISES)}")
        if efforts and name not in effort.EFFORTS:
            known = ", ".join(effort.EFFORTS)
            raise UserError(f"exercise {name!r} has no errors of effort; those that have: {known}")
    trials = []
    for number in range(n_subjects):
        subject = subjects.sample(number, seed, population)
        for name in exercises:
            exercise = EXERCISES[name]
            rng = np.random.default_rng([seed, number, exercise.id, 11])
            effort_rng = np.random.default_rng([seed, number, exercise.id, 12])
            fewest, most = exercise.repetitions or repetitions
            low, high, step = exercise.loads
            # One load from each part of the range, in random order.
            for part in (rng.permutation(sets) + rng.random(sets)) / sets:
                errors = _draw_errors(exercise, subject, rng)
                count = int(rng.integers(fewest, most + 1))
                made = [_vary(errors, rng) for _ in range(count)]
                if efforts:
                    made = _with_efforts(made, list(effort.EFFORTS[name].effects), effort_rng)
                trials.append(
                    Trial(
                        index=len(trials),
                        subject=subject,
                        exercise=name,
                        load=float(low + round(part * (high - low) / step) * step),
                        repetitions=tuple(made),
                        seed=int(rng.integers(2**31)),
                        time_in_set=float(rng.uniform(*_EARLIER)),
                        efforts=efforts,
                    )
                )
    return trials


def _draw_errors(exercise: Exercise, subject: Subject, rng: np.random.Generator) -> Errors:
    """None, one or two errors of a set; unskilled people make more."""
    return _draw(list(exercise.errors), 0.4 + 0.4 * (1 - subject.skill), 0.25, rng)


def _draw(names: list[str], one: float, two: float, rng: np.random.Generator) -> Errors:
    """None, one or two of the errors, with their severity.

    Args:
      names: of the errors.
      one: probability of any error.
      two: probability of a second one.
      rng: random numbers.
    """
    any_error, two_errors = rng.random() < one, rng.random() < two
    chosen = rng.permutation(names)[:2]
    severity = rng.uniform(0.35, 1.0, 2)
    count = int(any_error) + int(any_error and two_errors)
    return tuple((str(n), float(s)) for n, s in zip(chosen[:count], severity, strict=False))


def _with_efforts(made: list[Errors], names: list[str], rng: np.random.Generator) -> list[Errors]:
    """Adds errors of effort to the errors of each repetition."""
    drawn = _draw(names, _EFFORT_ERROR, _TWO_EFFORT_ERRORS, rng)
    lasting = tuple((n, round(s, 2)) for n, s in drawn if n in effort.WHOLE_SET)
    passing = tuple((n, s) for n, s in drawn if n not in effort.WHOLE_SET)
    return [errors + lasting + _vary(passing, rng) for errors in made]


def _vary(errors: Errors, rng: np.random.Generator) -> Errors:
    """The errors of one repetition: some are not made, and their severity varies."""
    made, factors = rng.random(len(errors)) < _OCCASIONAL, rng.uniform(-1, 1, len(errors))
    return tuple(
        (name, float(np.round(np.clip(severity * (1 + _VARIES * factor), 0.2, 1.0), 2)))
        for (name, severity), present, factor in zip(errors, made, factors, strict=True)
        if present
    )
