"""Exercises with a dumbbell in each hand."""

import numpy as np

from video2emg.sim.exercises.common import Draft, Error, Exercise, Mark
from video2emg.sim.posture import Posture

SIDES = ("right", "left")


def _swing(draft: Draft, posture: Posture, severity: float) -> None:
    """Heaves with legs and trunk: dip before the lift, throw the trunk back with it."""
    dip, throw = draft.heave(ahead=0.35), draft.heave()
    posture.knee = posture.knee + 0.45 * severity * dip
    posture.lumbar_flexion = posture.lumbar_flexion + severity * (0.18 * dip - 0.30 * throw)
    posture.pelvis_pitch = posture.pelvis_pitch + severity * (0.12 * dip - 0.08 * throw)


def _curl(draft: Draft) -> Posture:
    posture, rng, error = draft.neutral(), draft.rng, draft.error
    top = rng.uniform(2.15, 2.45) - 1.1 * error("partial_range")
    bottom = rng.uniform(0.12, 0.28)
    _swing(draft, posture, error("torso_swing"))
    drift, uneven = error("elbow_drift"), error("uneven_arms")
    for side in SIDES:
        weak = uneven if side == draft.weak else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.2 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=0.05
            + (0.10 + 0.75 * drift) * p
            + 0.35 * error("torso_swing") * draft.heave()
            + draft.wobble(0.015),
            abduction=0.10 + rng.normal(0, 0.02) + 0.25 * drift * p,
            elbow=bottom + (top - bottom) * (1 - 0.8 * weak) * p,
            pronation=rng.uniform(1.2, 1.5),
            turn=0.05,
        )
    return posture


def _lateral_raise(draft: Draft) -> Posture:
    posture, rng, error = draft.neutral(), draft.rng, draft.error
    top = np.deg2rad(rng.uniform(80, 92) + 40 * error("too_high") - 50 * error("partial_range"))
    plane = rng.uniform(0.15, 0.4)
    _swing(draft, posture, error("torso_swing"))
    bend = rng.uniform(0.15, 0.3)
    for side in SIDES:
        weak = error("uneven_arms") if side == draft.weak else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.15 * weak)
        posture.clavicle[side] = (0.10 + 0.22 * error("too_high")) * p * (1 - 0.4 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=draft.constant(),
            abduction=0.10 + (top - 0.10) * (1 - 0.5 * weak) * p + draft.wobble(0.012),
            elbow=bend + 1.25 * error("bent_elbows") * (0.3 + 0.7 * p),
            pronation=0.1,
            plane=plane,
        )
    return posture


def _front_raise(draft: Draft) -> Posture:
    posture, rng, error = draft.neutral(), draft.rng, draft.error
    top = np.deg2rad(rng.uniform(82, 95) + 40 * error("too_high") - 50 * error("partial_range"))
    _swing(draft, posture, error("torso_swing"))
    bend = rng.uniform(0.12, 0.25)
    for side in SIDES:
        weak = error("uneven_arms") if side == draft.weak else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.15 * weak)
        posture.clavicle[side] = (0.08 + 0.2 * error("too_high")) * p * (1 - 0.4 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=0.08 + (top - 0.08) * (1 - 0.65 * weak) * p + draft.wobble(0.012),
            abduction=draft.constant(rng.uniform(0.05, 0.15)),
            elbow=draft.constant(bend),
            pronation=1.4,
            plane=-0.9 * error("arms_wide"),
        )
    return posture


EXERCISES = (
    Exercise(
        name="dumbbell_curl",
        equipment="dumbbell",
        muscles=("biceps_brachii", "anterior_deltoid"),
        loads=(3.0, 11.0, 1.0),
        errors={
            "elbow_drift": Error(Mark("anterior_deltoid", "peak", +1)),
            "partial_range": Error(Mark("biceps_brachii", "peak", -1)),
            "torso_swing": Error(Mark("anterior_deltoid", "peak", +1), haste=0.35),
            "uneven_arms": Error(Mark("biceps_brachii", "asymmetry", +1)),
        },
        move=_curl,
    ),
    Exercise(
        name="dumbbell_lateral_raise",
        equipment="dumbbell",
        muscles=("medial_deltoid", "upper_trapezius"),
        loads=(2.0, 6.0, 1.0),
        errors={
            "too_high": Error(Mark("upper_trapezius", "peak", +1)),
            "bent_elbows": Error(Mark("medial_deltoid", "mean", -1)),
            "partial_range": Error(Mark("medial_deltoid", "mean", -1)),
            "torso_swing": Error(Mark("medial_deltoid", "peak", +1), haste=0.35),
            "uneven_arms": Error(Mark("medial_deltoid", "asymmetry", +1)),
        },
        move=_lateral_raise,
    ),
    Exercise(
        name="dumbbell_front_raise",
        equipment="dumbbell",
        muscles=("anterior_deltoid", "upper_trapezius"),
        loads=(2.0, 7.0, 1.0),
        errors={
            "too_high": Error(Mark("upper_trapezius", "peak", +1)),
            "arms_wide": Error(Mark("upper_trapezius", "mean", +1)),
            "partial_range": Error(Mark("anterior_deltoid", "peak", -1)),
            "torso_swing": Error(Mark("anterior_deltoid", "peak", +1), haste=0.35),
            "uneven_arms": Error(Mark("anterior_deltoid", "asymmetry", +1)),
        },
        move=_front_raise,
    ),
)
