"""Exercises of the simulated gym: how they move, one module per kind of equipment.

The knowledge graph `GRAPH` says which errors may occur, at which key step, and their penalties.
Movements that are not in it have no labels.
"""

from collections.abc import Iterable

from video2emg.fkg.load import load
from video2emg.sim.exercises import barbell, dumbbell, free, plain, presses, pulls
from video2emg.sim.exercises.common import Draft, Effect, Error, Exercise


def registry(exercises: Iterable[Exercise]) -> dict[str, Exercise]:
    """Exercises by name, in any order.

    Raises:
      ValueError: two exercises have the same name or id.
    """
    by_name: dict[str, Exercise] = {}
    name_of_id: dict[int, str] = {}
    for exercise in exercises:
        if exercise.name in by_name:
            raise ValueError(f"two exercises are named {exercise.name!r}")
        if exercise.id in name_of_id:
            raise ValueError(
                f"exercises {name_of_id[exercise.id]!r} and {exercise.name!r} both have the id "
                f"{exercise.id}"
            )
        by_name[exercise.name] = exercise
        name_of_id[exercise.id] = exercise.name
    return by_name


EXERCISES = registry(
    exercise
    for module in (barbell, dumbbell, presses, pulls, plain, free)
    for exercise in module.EXERCISES
)
# Six exercises without a bench. Their graph has no errors in the preparation.
STANDING = (
    "barbell_squat",
    "barbell_overhead_press",
    "barbell_romanian_deadlift",
    "dumbbell_curl",
    "dumbbell_lateral_raise",
    "dumbbell_front_raise",
)
GRAPH = load("gymsim")

__all__ = [
    "EXERCISES",
    "GRAPH",
    "STANDING",
    "Draft",
    "Effect",
    "Error",
    "Exercise",
    "registry",
]
