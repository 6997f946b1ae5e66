"""The exercises of the simulated gym; one module per kind of equipment."""

from video2emg.sim.exercises import barbell, dumbbell
from video2emg.sim.exercises.common import POSE_RATE, Draft, Error, Exercise, Mark, Step

EXERCISES: dict[str, Exercise] = {e.name: e for e in (*barbell.EXERCISES, *dumbbell.EXERCISES)}

__all__ = ["EXERCISES", "POSE_RATE", "Draft", "Error", "Exercise", "Mark", "Step"]
