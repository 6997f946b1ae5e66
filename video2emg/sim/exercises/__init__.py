"""The exercises of the simulated gym; one module per kind of equipment.

What can be done wrong, where and at what price is said by the knowledge graph `GRAPH`; here is how
it moves.
"""

from video2emg.fkg.load import load
from video2emg.sim.exercises import barbell, dumbbell, presses, pulls
from video2emg.sim.exercises.common import POSE_RATE, Draft, Error, Exercise, Mark

# Append only: an exercise's place is part of the seeds of its plans.
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for module in (barbell, dumbbell, presses, pulls)
    for exercise in module.EXERCISES
}
# The first six, which the first versions of GymSim had alone.
STANDING = tuple(exercise.name for exercise in (*barbell.EXERCISES, *dumbbell.EXERCISES))
GRAPH = load("gymsim")

__all__ = ["EXERCISES", "GRAPH", "POSE_RATE", "STANDING", "Draft", "Error", "Exercise", "Mark"]
