"""Exercises with a dumbbell in each hand."""

import numpy as np

from video2emg.sim.exercises.common import Draft, Effect, Error, Exercise
from video2emg.sim.posture import Posture

SIDES = ("right", "left")


def _swing(draft: Draft, posture: Posture, severity: float) -> None:
    """Adds momentum: bends the knees before the lift and throws the trunk back during it."""
    dip, throw = draft.pulse(ahead=0.35), draft.pulse()
    posture.knee = posture.knee + 0.45 * severity * dip
    posture.lumbar_flexion = posture.lumbar_flexion + severity * (0.18 * dip - 0.30 * throw)
    posture.pelvis_pitch = posture.pelvis_pitch + severity * (0.12 * dip - 0.08 * throw)


def curl(draft: Draft) -> Posture:
    """Both arms curl."""
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    top = rng.uniform(2.15, 2.45) - 1.1 * severity("partial_range")
    bottom = rng.uniform(0.12, 0.28)
    _swing(draft, posture, severity("torso_swing"))
    drift, uneven = severity("elbow_drift"), severity("uneven_arms")
    for side in SIDES:
        weak = uneven if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.2 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=0.05
            + (0.10 + 0.75 * drift) * p
            + 0.35 * severity("torso_swing") * draft.pulse()
            + draft.sway(0.015),
            abduction=0.10 + rng.normal(0, 0.02) + 0.25 * drift * p,
            elbow=bottom + (top - bottom) * (1 - 0.8 * weak) * p,
            pronation=rng.uniform(1.2, 1.5),
            turn=0.05,
        )
    return posture


def lateral_raise(draft: Draft) -> Posture:
    """Both arms are raised to the sides."""
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    top = np.deg2rad(
        rng.uniform(80, 92) + 40 * severity("too_high") - 50 * severity("partial_range")
    )
    plane = rng.uniform(0.15, 0.4)
    _swing(draft, posture, severity("torso_swing"))
    bend = rng.uniform(0.15, 0.3)
    for side in SIDES:
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.15 * weak)
        posture.clavicle[side] = (0.10 + 0.22 * severity("too_high")) * p * (1 - 0.4 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=draft.constant(),
            abduction=0.10 + (top - 0.10) * (1 - 0.5 * weak) * p + draft.sway(0.012),
            elbow=bend + 1.25 * severity("bent_elbows") * (0.3 + 0.7 * p),
            pronation=0.1,
            plane=plane,
        )
    return posture


def front_raise(draft: Draft) -> Posture:
    """Both arms are raised to the front."""
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    top = np.deg2rad(
        rng.uniform(82, 95) + 40 * severity("too_high") - 50 * severity("partial_range")
    )
    _swing(draft, posture, severity("torso_swing"))
    bend = rng.uniform(0.12, 0.25)
    for side in SIDES:
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.15 * weak)
        posture.clavicle[side] = (0.08 + 0.2 * severity("too_high")) * p * (1 - 0.4 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=0.08 + (top - 0.08) * (1 - 0.65 * weak) * p + draft.sway(0.012),
            abduction=draft.constant(rng.uniform(0.05, 0.15)),
            elbow=draft.constant(bend),
            pronation=1.4,
            plane=-0.9 * severity("arms_wide"),
        )
    return posture


EXERCISES = (
    Exercise(
        id=3,
        name="dumbbell_curl",
        equipment="dumbbell",
        muscles=("biceps_brachii", "anterior_deltoid"),
        loads=(3.0, 11.0, 1.0),
        errors={
            "elbow_drift": Error(Effect("anterior_deltoid", "peak", +1)),
            "partial_range": Error(Effect("biceps_brachii", "peak", -1)),
            "torso_swing": Error(Effect("anterior_deltoid", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("biceps_brachii", "asymmetry", +1)),
        },
        move=curl,
        family="curl",
    ),
    Exercise(
        id=4,
        name="dumbbell_lateral_raise",
        equipment="dumbbell",
        muscles=("medial_deltoid", "upper_trapezius"),
        loads=(2.0, 6.0, 1.0),
        errors={
            "too_high": Error(Effect("upper_trapezius", "peak", +1)),
            "bent_elbows": Error(Effect("medial_deltoid", "mean", -1)),
            "partial_range": Error(Effect("medial_deltoid", "mean", -1)),
            "torso_swing": Error(Effect("medial_deltoid", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("medial_deltoid", "asymmetry", +1)),
        },
        move=lateral_raise,
        family="raise",
    ),
    Exercise(
        id=5,
        name="dumbbell_front_raise",
        equipment="dumbbell",
        muscles=("anterior_deltoid", "upper_trapezius"),
        loads=(2.0, 7.0, 1.0),
        errors={
            "too_high": Error(Effect("upper_trapezius", "peak", +1)),
            "arms_wide": Error(Effect("upper_trapezius", "mean", +1)),
            "partial_range": Error(Effect("anterior_deltoid", "peak", -1)),
            "torso_swing": Error(Effect("anterior_deltoid", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("anterior_deltoid", "asymmetry", +1)),
        },
        move=front_raise,
        family="raise",
    ),
)
