"""Movements without labels: with the body's own weight, one-sided, and held still.

They are not in the knowledge graph. They are there so that a model meets other movements than the
labelled exercises.
"""

import numpy as np

from video2emg.sim.exercises import barbell, dumbbell
from video2emg.sim.exercises.common import Draft, Exercise
from video2emg.sim.posture import Posture

SIDES = ("right", "left")
_HOLD = (3.0, 6.0)  # s
_NO_LOAD = (0.0, 0.0, 1.0)


def _squat(draft: Draft) -> Posture:
    """The arms are lifted forwards for balance, or stay down."""
    posture, rng, p = barbell.squat_without_arms(draft), draft.rng, draft.progress()
    lift = rng.uniform(0.2, 1.5)
    for side in SIDES:
        posture.arms[side] = draft.arm(
            side,
            flexion=0.1 + lift * p + draft.sway(0.02),
            abduction=draft.constant(rng.uniform(0.05, 0.2)),
            elbow=draft.constant(rng.uniform(0.1, 0.4)),
            pronation=0.5,
        )
    return posture


def _hinge(draft: Draft) -> Posture:
    """The arms hang in front of the thighs."""
    posture, p = barbell.hinge_without_arms(draft), draft.progress()
    for side in SIDES:
        _hang(draft, posture, side, forwards=0.05 + 1.15 * p)
    return posture


def _hang(draft: Draft, posture: Posture, side: str, forwards: np.ndarray | float) -> None:
    posture.arms[side] = draft.arm(
        side,
        flexion=forwards + draft.sway(0.015),
        abduction=draft.constant(0.10),
        elbow=draft.constant(0.12),
        pronation=0.3,
    )


def _calf_raise(draft: Draft) -> Posture:
    posture, rng, p = draft.neutral(), draft.rng, draft.progress()
    height = draft.subject.height / 1.75
    posture.knee = np.maximum(posture.knee - 0.08 * p, 0.06)
    posture.heel = rng.uniform(0.45, 0.65) * p
    # The centre of mass moves over the balls of the feet.
    posture.forward = posture.forward + 0.07 * height * p
    for side in SIDES:
        _hang(draft, posture, side, forwards=0.03)
    return posture


def _arm_raise(draft: Draft) -> Posture:
    """Both arms are raised in one plane, between sideways and forwards."""
    posture, rng, p = draft.neutral(), draft.rng, draft.progress()
    top, plane, bend = rng.uniform(1.3, 2.6), rng.uniform(-0.2, 1.5), rng.uniform(0.1, 0.5)
    for side in SIDES:
        posture.clavicle[side] = 0.10 * p * top / 1.6
        posture.arms[side] = draft.arm(
            side,
            flexion=draft.constant(),
            abduction=0.10 + (top - 0.10) * p + draft.sway(0.012),
            elbow=draft.constant(bend),
            pronation=0.4,
            plane=plane,
        )
    return posture


def _one_side_only(move, draft: Draft) -> Posture:
    """The arm with the load moves, the other hangs."""
    posture = move(draft)
    other = "left" if draft.weak_side == "right" else "right"
    _hang(draft, posture, other, forwards=0.03)
    posture.clavicle[other] = draft.constant()
    return posture


def _one_arm_curl(draft: Draft) -> Posture:
    return _one_side_only(dumbbell.curl, draft)


def _one_arm_raise(draft: Draft) -> Posture:
    move = dumbbell.lateral_raise if draft.rng.random() < 0.5 else dumbbell.front_raise
    return _one_side_only(move, draft)


EXERCISES = (
    Exercise(
        id=20,
        name="bodyweight_squat",
        equipment="none",
        muscles=("vastus_lateralis", "gluteus_maximus"),
        loads=_NO_LOAD,
        errors={},
        move=_squat,
        lowers_first=True,
        family="squat",
    ),
    Exercise(
        id=21,
        name="bodyweight_hinge",
        equipment="none",
        muscles=("biceps_femoris", "erector_spinae"),
        loads=_NO_LOAD,
        errors={},
        move=_hinge,
        lowers_first=True,
        family="hinge",
    ),
    Exercise(
        id=22,
        name="bodyweight_calf_raise",
        equipment="none",
        muscles=("gastrocnemius", "soleus"),
        loads=_NO_LOAD,
        errors={},
        move=_calf_raise,
    ),
    Exercise(
        id=23,
        name="bodyweight_arm_raise",
        equipment="none",
        muscles=("medial_deltoid", "anterior_deltoid"),
        loads=_NO_LOAD,
        errors={},
        move=_arm_raise,
        family="raise",
    ),
    Exercise(
        id=24,
        name="dumbbell_one_arm_curl",
        equipment="dumbbell_right",
        muscles=("biceps_brachii", "brachioradialis"),
        loads=(3.0, 11.0, 1.0),
        errors={},
        move=_one_arm_curl,
        one_sided=True,
        family="curl",
    ),
    Exercise(
        id=25,
        name="dumbbell_one_arm_raise",
        equipment="dumbbell_right",
        muscles=("medial_deltoid", "external_oblique"),
        loads=(2.0, 6.0, 1.0),
        errors={},
        move=_one_arm_raise,
        one_sided=True,
        family="raise",
    ),
    Exercise(
        id=26,
        name="dumbbell_one_arm_deadlift",
        equipment="dumbbell_right",
        muscles=("biceps_femoris", "erector_spinae"),
        loads=(4.0, 16.0, 2.0),
        errors={},
        move=_hinge,
        one_sided=True,
        lowers_first=True,
        family="hinge",
    ),
    Exercise(
        id=27,
        name="bodyweight_squat_hold",
        equipment="none",
        muscles=("vastus_lateralis", "rectus_femoris"),
        loads=_NO_LOAD,
        errors={},
        move=_squat,
        hold=_HOLD,
        repetitions=(1, 2),
        lowers_first=True,
        family="squat",
    ),
    Exercise(
        id=28,
        name="dumbbell_raise_hold",
        equipment="dumbbell",
        muscles=("medial_deltoid", "upper_trapezius"),
        loads=(1.0, 4.0, 1.0),
        errors={},
        move=dumbbell.lateral_raise,
        hold=_HOLD,
        repetitions=(1, 2),
        family="raise",
    ),
    Exercise(
        id=29,
        name="dumbbell_curl_hold",
        equipment="dumbbell",
        muscles=("biceps_brachii", "brachioradialis"),
        loads=(2.0, 8.0, 1.0),
        errors={},
        move=dumbbell.curl,
        hold=_HOLD,
        repetitions=(1, 2),
        family="curl",
    ),
)
