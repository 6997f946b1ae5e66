"""Free movement: smooth random motion of all joints, balanced over the feet.

A movement that nobody has a name for follows the same mechanics. A model can predict it only by
reading the body.
"""

import numpy as np

from video2emg.sim import kinematics
from video2emg.sim.exercises import barbell
from video2emg.sim.exercises.common import Draft, Exercise
from video2emg.sim.posture import Posture

SIDES = ("right", "left")
_STILL = 0.3  # probability that legs, trunk or an arm stay as they are
_INTERVAL = (0.6, 2.0)  # s between two random postures


def _wander(draft: Draft, low: float, high: float, still: bool = False) -> np.ndarray:
    """[T] minimum-jerk movements between random values from `low` to `high`."""
    rng, time = draft.rng, draft.time
    values, now = draft.constant(start := rng.uniform(low, high)), 0.0
    while now < time[-1]:
        now += rng.uniform(0.0, 0.8)  # rest
        duration, goal = rng.uniform(*_INTERVAL), rng.uniform(low, high)
        if not still:
            values = values + (goal - start) * kinematics.minimum_jerk((time - now) / duration)
            start = goal
        now += duration
    return values


def _body(draft: Draft) -> Posture:
    """Legs and trunk. The trunk leans forward with bent knees, as balance requires."""
    posture, rng = draft.neutral((0.085, 0.16)), draft.rng
    height = draft.subject.height / 1.75
    legs, trunk = (bool(still) for still in rng.random(2) < _STILL)
    posture.toe_out = np.deg2rad(rng.uniform(5, 30))
    bend = _wander(draft, 0.0, 1.6, legs)
    posture.knee = posture.knee + bend
    lean = _wander(draft, -0.05, 0.55, trunk)
    posture.pelvis_pitch = posture.pelvis_pitch + 0.3 * bend + lean
    posture.pelvis_roll = posture.pelvis_roll + _wander(draft, -0.06, 0.06, trunk)
    posture.pelvis_yaw = posture.pelvis_yaw + _wander(draft, -0.2, 0.2, trunk)
    posture.lumbar_flexion = posture.lumbar_flexion + _wander(draft, -0.1, 0.35, trunk)
    posture.lumbar_bend = posture.lumbar_bend + _wander(draft, -0.15, 0.15, trunk)
    posture.lumbar_turn = posture.lumbar_turn + _wander(draft, -0.25, 0.25, trunk)
    posture.neck = posture.neck - 0.3 * lean
    posture.forward = posture.forward + _wander(draft, -0.02, 0.03, legs) * height
    posture.sideways = posture.sideways + _wander(draft, -0.06, 0.06, legs) * height
    posture.caving = _wander(draft, 0.0, 0.15, legs)
    return posture


def _free_arms(draft: Draft) -> Posture:
    posture = _body(draft)
    for side in SIDES:
        still = bool(draft.rng.random() < _STILL)
        elevation = _wander(draft, 0.08, 2.3, still)
        posture.clavicle[side] = 0.06 * elevation
        posture.arms[side] = draft.arm(
            side,
            flexion=draft.constant(),
            abduction=elevation,
            elbow=_wander(draft, 0.1, 2.2, still),
            pronation=draft.rng.uniform(0.0, 1.4),
            turn=draft.rng.uniform(-0.6, 0.4),
            plane=_wander(draft, -0.2, 1.6, still),
        )
    return posture


def _bar_on_back(draft: Draft) -> Posture:
    return barbell.carry_on_back(draft, _body(draft))


EXERCISES = (
    Exercise(
        id=30,
        name="free_movement",
        equipment="none",
        muscles=("vastus_lateralis", "medial_deltoid"),
        loads=(0.0, 0.0, 1.0),
        errors={},
        move=_free_arms,
        repetitions=(0, 0),
    ),
    Exercise(
        id=31,
        name="free_dumbbells",
        equipment="dumbbell",
        muscles=("vastus_lateralis", "medial_deltoid"),
        loads=(1.0, 6.0, 1.0),
        errors={},
        move=_free_arms,
        repetitions=(0, 0),
        family="free_movement",
    ),
    Exercise(
        id=32,
        name="free_barbell",
        equipment="barbell_back",
        muscles=("vastus_lateralis", "erector_spinae"),
        loads=(20.0, 40.0, 2.5),
        errors={},
        move=_bar_on_back,
        repetitions=(0, 0),
        family="free_movement",
    ),
)
