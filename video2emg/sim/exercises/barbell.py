"""Exercises with a barbell."""

import numpy as np

from video2emg.sim import body
from video2emg.sim.exercises.common import Draft, Effect, Error, Exercise
from video2emg.sim.posture import ArmReach, Posture

SIDES = {"right": -1, "left": 1}


def squat_without_arms(draft: Draft) -> Posture:
    """Legs and trunk of a squat."""
    posture, rng, severity = draft.neutral((0.105, 0.135)), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    p = draft.progress()
    lean, knees = severity("forward_lean"), severity("knees_forward")
    depth = 1 - 0.5 * severity("partial_depth")
    posture.toe_out = np.deg2rad(rng.uniform(15, 30))
    posture.knee = posture.knee + (rng.uniform(1.55, 1.85) * depth - 0.35 * lean) * p
    pitch = rng.uniform(0.55, 0.68) * depth + 0.20 * lean - 0.38 * knees
    posture.pelvis_pitch = posture.pelvis_pitch + pitch * p
    posture.lumbar_flexion = posture.lumbar_flexion + (0.10 + 0.15 * lean - 0.08 * knees) * p
    posture.thoracic = posture.thoracic + 0.05 * p
    posture.neck = posture.neck - 0.35 * p
    posture.forward = posture.forward + 0.05 * height * knees * p
    posture.caving = 0.42 * severity("knees_caving") * p
    sign = SIDES[draft.weak_side]
    posture.sideways = posture.sideways - sign * 0.07 * height * severity("lateral_shift") * p
    posture.pelvis_roll = posture.pelvis_roll + sign * 0.06 * severity("lateral_shift") * p
    return posture


def carry_on_back(draft: Draft, posture: Posture) -> Posture:
    """Hands on the bar behind the neck; the trunk leans forward to bring the bar over the feet."""
    height = draft.subject.height / 1.75
    posture.pelvis_pitch = posture.pelvis_pitch + 0.10
    posture.lumbar_flexion = posture.lumbar_flexion + 0.05
    posture.thoracic = posture.thoracic + 0.06
    posture.neck = posture.neck - 0.15
    for side, y in SIDES.items():
        hand = np.array([-0.075, y * 0.40 * height, 0.03])
        posture.arms[side] = ArmReach(
            np.tile(hand, (len(draft), 1)), (-0.45, y * 0.25, -1.0), "chest", bar=False
        )
    return posture


def _squat(draft: Draft) -> Posture:
    return carry_on_back(draft, squat_without_arms(draft))


def _overhead_press(draft: Draft) -> Posture:
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    length, height = draft.length, draft.subject.height / 1.75
    back, drift, drive = severity("back_arch"), severity("bar_forward"), severity("leg_drive")
    p = draft.progress()
    posture.lumbar_flexion = posture.lumbar_flexion - (0.06 + 0.40 * back) * p
    posture.thoracic = posture.thoracic - 0.12 * back * p
    posture.pelvis_pitch = posture.pelvis_pitch + 0.05 * back * p
    posture.knee = posture.knee + 0.7 * drive * draft.pulse(ahead=0.4)
    spread = body.hand_spread(draft.subject, "barbell_overhead")
    arm = length["upper_arm"] + length["forearm"] + body.GRIP * length["hand"]
    wide = spread - length["shoulder"] * body.width_factor(draft.subject)
    low = rng.uniform(0.02, 0.06) * height
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        q = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = q * (1 - 0.45 * severity("partial_range")) * (1 - 0.30 * weak)
        lift = length["shoulder"] * np.sin(0.16)  # by the clavicle
        top = np.sqrt((0.985 * arm) ** 2 - wide**2) + lift
        hand = np.empty((len(draft), 3))
        hand[:, 0] = (0.15 - 0.13 * q) * height + 0.16 * height * drift * np.sin(np.pi * p / 2)
        hand[:, 1] = y * spread
        hand[:, 2] = low + (top - low) * q
        posture.clavicle[side] = 0.16 * q
        posture.arms[side] = ArmReach(hand, (0.75, y * 0.5, -0.6), "room", bar=True)
    return posture


def hinge_without_arms(draft: Draft) -> Posture:
    """Legs and trunk of a Romanian deadlift."""
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    squatting, p = severity("knees_bent"), draft.progress()
    depth = 1 - 0.5 * severity("partial_range")
    pitch = rng.uniform(1.0, 1.2) * depth - 0.30 * squatting
    posture.pelvis_pitch = posture.pelvis_pitch + pitch * p
    posture.lumbar_flexion = posture.lumbar_flexion + (0.10 + 0.35 * severity("round_back")) * p
    posture.thoracic = posture.thoracic + 0.12 * severity("round_back") * p
    posture.knee = posture.knee + (rng.uniform(0.18, 0.3) + 0.95 * squatting) * p
    posture.neck = posture.neck - 0.3 * p
    sign = SIDES[draft.weak_side]
    posture.sideways = posture.sideways - sign * 0.07 * height * severity("lateral_shift") * p
    return posture


def _romanian_deadlift(draft: Draft) -> Posture:
    posture, length = hinge_without_arms(draft), draft.length
    height, p = draft.subject.height / 1.75, draft.progress()
    away = draft.severity("bar_away")
    arm = length["upper_arm"] + length["forearm"] + body.GRIP * length["hand"]
    spread = body.hand_spread(draft.subject, "barbell_hanging")
    wide = spread - length["shoulder"] * body.width_factor(draft.subject)
    for side, y in SIDES.items():
        # The bar hangs vertically below the shoulders, or is held away from the legs.
        forwards = (0.02 + 0.10 * (1 - p) + 0.14 * away * (0.35 + 0.65 * p)) * height
        hand = np.empty((len(draft), 3))
        hand[:, 0] = forwards
        hand[:, 1] = y * spread
        hand[:, 2] = -np.sqrt((0.997 * arm) ** 2 - wide**2 - forwards**2)
        posture.arms[side] = ArmReach(hand, (-1.0, y * 0.3, 0.2), "room", bar=True)
    return posture


EXERCISES = (
    Exercise(
        id=0,
        name="barbell_squat",
        equipment="barbell_back",
        muscles=("vastus_lateralis", "gluteus_maximus"),
        loads=(20.0, 65.0, 2.5),
        errors={
            "partial_depth": Error(Effect("vastus_lateralis", "mean", -1)),
            "forward_lean": Error(Effect("gluteus_maximus", "mean", +1)),
            "knees_forward": Error(Effect("gluteus_maximus", "mean", -1)),
            "knees_caving": Error(Effect("gluteus_maximus", "mean", +1)),
            "lateral_shift": Error(Effect("vastus_lateralis", "asymmetry", +1)),
        },
        move=_squat,
        family="squat",
    ),
    Exercise(
        id=1,
        name="barbell_overhead_press",
        equipment="barbell_overhead",
        muscles=("anterior_deltoid", "triceps_brachii"),
        loads=(15.0, 32.5, 2.5),
        errors={
            "partial_range": Error(Effect("triceps_brachii", "mean", +1)),
            "bar_forward": Error(Effect("triceps_brachii", "mean", -1)),
            "back_arch": Error(Effect("anterior_deltoid", "mean", +1)),
            "leg_drive": Error(Effect("anterior_deltoid", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("triceps_brachii", "asymmetry", +1)),
        },
        move=_overhead_press,
    ),
    Exercise(
        id=2,
        name="barbell_romanian_deadlift",
        equipment="barbell_hanging",
        muscles=("biceps_femoris", "erector_spinae"),
        loads=(20.0, 60.0, 2.5),
        errors={
            "partial_range": Error(Effect("biceps_femoris", "mean", -1)),
            "knees_bent": Error(Effect("biceps_femoris", "mean", -1)),
            "bar_away": Error(Effect("erector_spinae", "mean", +1)),
            "round_back": Error(Effect("erector_spinae", "mean", +1)),
            "lateral_shift": Error(Effect("biceps_femoris", "asymmetry", +1)),
        },
        move=_romanian_deadlift,
        family="hinge",
    ),
)
