"""The exercises of the simulated gym; one module per kind of equipment.

What can be done wrong, where and at what price is said by the knowledge graph `GRAPH`; here is how
it moves.
"""

from video2emg.fkg.load import load
from video2emg.sim.exercises import barbell, dumbbell
from video2emg.sim.exercises.common import POSE_RATE, Draft, Error, Exercise, Mark

EXERCISES: dict[str, Exercise] = {e.name: e for e in (*barbell.EXERCISES, *dumbbell.EXERCISES)}
GRAPH = load("gymsim")

__all__ = ["EXERCISES", "GRAPH", "POSE_RATE", "Draft", "Error", "Exercise", "Mark"]
