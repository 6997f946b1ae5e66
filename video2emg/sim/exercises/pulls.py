"""Rows, reverse fly, deadlift and hip thrust."""

import dataclasses

import numpy as np

from video2emg.sim import body
from video2emg.sim.bench import Bench
from video2emg.sim.exercises import lying
from video2emg.sim.exercises.common import Draft, Effect, Error, Exercise
from video2emg.sim.posture import ArmReach, Posture

SIDES = {"right": -1, "left": 1}
SLOPE = Bench(np.deg2rad(38), height=0.52, seat=0.26)
CROSSWISE = Bench(0.0, height=0.40, seat=0.0, backrest=1.15)


def _arm(draft: Draft) -> float:
    """Distance from the shoulder to the grip, m."""
    length = draft.length
    return length["upper_arm"] + length["forearm"] + body.GRIP * length["hand"]


def _hang(draft: Draft, spread: float, forwards: np.ndarray) -> np.ndarray:
    """[T] height of the shoulders over the hands with straight arms, m."""
    wide = spread - draft.length["shoulder"] * body.width_factor(draft.subject)
    return np.sqrt((0.995 * _arm(draft)) ** 2 - wide**2 - forwards**2)


def _deadlift(draft: Draft) -> Posture:
    """From mid-shin to standing and back."""
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    p = draft.progress()
    low = 1 - p  # 1 at the floor
    squat, shoot = severity("hips_low"), severity("hips_shoot")
    rising = np.exp(-(((p - 0.30) / 0.25) ** 2)) * (1 - 0.35 * severity("hips_shoot"))
    posture.pelvis_pitch = posture.pelvis_pitch + (rng.uniform(0.85, 0.98) - 0.35 * squat) * low
    posture.pelvis_pitch = posture.pelvis_pitch + 0.40 * shoot * rising
    posture.knee = posture.knee + (rng.uniform(0.65, 0.8) + 0.5 * squat) * low
    posture.knee = np.maximum(posture.knee - 0.75 * shoot * rising, 0.1)
    posture.lumbar_flexion = posture.lumbar_flexion + (0.10 + 0.35 * severity("round_back")) * low
    posture.thoracic = posture.thoracic + 0.12 * severity("round_back") * low
    posture.neck = posture.neck - 0.35 * low
    sign = SIDES[draft.weak_side]
    posture.sideways = posture.sideways - sign * 0.07 * height * severity("lateral_shift") * (
        0.3 + 0.7 * p
    )
    posture.pelvis_roll = posture.pelvis_roll + sign * 0.05 * severity("lateral_shift")
    spread = body.hand_spread(draft.subject, "barbell_hanging")
    forwards = (0.02 + 0.08 * p + 0.15 * severity("bar_away") * (0.35 + 0.65 * low)) * height
    for side, y in SIDES.items():
        hand = np.stack([forwards, draft.constant(y * spread), -_hang(draft, spread, forwards)], -1)
        posture.arms[side] = ArmReach(hand, (-1.0, y * 0.3, 0.2), "room", bar=True)
    return posture


def _bent_over_row(draft: Draft) -> Posture:
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    jerk = severity("torso_swing")
    lean = rng.uniform(0.95, 1.1) - 0.50 * severity("trunk_upright")
    pulse = draft.pulse()
    posture.pelvis_pitch = posture.pelvis_pitch + lean - 0.30 * jerk * pulse
    posture.lumbar_flexion = posture.lumbar_flexion + 0.10 - 0.10 * jerk * pulse
    posture.lumbar_flexion = posture.lumbar_flexion + 0.35 * severity("round_back")
    posture.thoracic = posture.thoracic + 0.12 * severity("round_back")
    posture.knee = posture.knee + rng.uniform(0.25, 0.4)
    posture.neck = posture.neck - 0.4
    spread = body.hand_spread(draft.subject, "barbell_overhead")
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = p * (1 - 0.5 * severity("partial_range")) * (1 - 0.6 * weak)
        rise = 0.42 * height * q
        forwards = (0.03 + 0.12 * severity("bar_away")) * height * np.ones(len(draft))
        hand = np.empty((len(draft), 3))
        # The bar is pulled to the belly, behind the line of the shoulders.
        hand[:, 0] = forwards - (0.20 - 0.16 * severity("bar_to_chest")) * height * q
        hand[:, 1] = y * spread
        hand[:, 2] = -_hang(draft, spread, forwards) + rise
        posture.arms[side] = ArmReach(hand, (-0.7, 0.35 * y, 0.7), "room", bar=True)
    return posture


def _upright_row(draft: Draft) -> Posture:
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    jerk, shrug = severity("torso_swing"), severity("shoulders_shrugged")
    dip, throw = draft.pulse(ahead=0.35), draft.pulse()
    posture.knee = posture.knee + 0.45 * jerk * dip
    posture.lumbar_flexion = posture.lumbar_flexion + jerk * (0.18 * dip - 0.28 * throw)
    posture.pelvis_pitch = posture.pelvis_pitch + jerk * (0.14 * dip - 0.06 * throw)
    spread = body.hand_spread(draft.subject, "barbell_narrow")
    top = rng.uniform(0.14, 0.18) - 0.20 * severity("too_high")
    away = 0.16 * severity("bar_away")
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        q = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = q * (1 - 0.45 * severity("partial_range")) * (1 - 0.5 * weak)
        forwards = (0.14 + 0.03 * np.sin(np.pi * q) + away * q) * height
        low = -_hang(draft, spread, draft.constant(0.15 * height))
        hand = np.empty((len(draft), 3))
        hand[:, 0] = forwards
        hand[:, 1] = y * spread
        hand[:, 2] = low + (-top * height - low) * q
        posture.clavicle[side] = (0.10 + 0.22 * severity("too_high")) * q + 0.25 * shrug
        posture.arms[side] = ArmReach(hand, (-0.1, y, 0.7), "room", bar=True)
    return posture


def _supported_row(draft: Draft) -> Posture:
    posture, rng, severity = lying.on_belly(draft, SLOPE), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    flared, shrug = severity("elbows_flared"), severity("shoulders_shrugged")
    support, off = posture.support, severity("chest_off")
    assert support is not None
    posture.pelvis_pitch = posture.pelvis_pitch - 0.35 * off
    posture.support = dataclasses.replace(
        support, position=support.position + 0.12 * height * off * support.contacts[0].normal
    )
    spread = body.hand_spread(draft.subject, "barbell_narrow") + 0.06 * height
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = p * (1 - 0.5 * severity("partial_range")) * (1 - 0.45 * weak)
        forwards = draft.constant(0.03 * height)
        apart = spread + 0.22 * height * flared * q
        hand = np.empty((len(draft), 3))
        hand[:, 0] = forwards - (0.22 - 0.20 * flared) * height * q
        hand[:, 1] = y * apart
        hand[:, 2] = -_hang(draft, spread, forwards) + (0.40 - 0.04 * flared) * height * q
        posture.clavicle[side] = 0.25 * shrug * np.ones(len(draft))
        posture.arms[side] = ArmReach(
            hand, (-0.9 + 0.8 * flared, y * (0.25 + flared), 0.8), "room", bar=False
        )
    return posture


def _reverse_fly(draft: Draft) -> Posture:
    posture, rng, severity = draft.neutral(), draft.rng, draft.severity
    jerk = severity("torso_swing")
    lean = rng.uniform(1.05, 1.2) - 0.55 * severity("trunk_upright")
    posture.pelvis_pitch = posture.pelvis_pitch + lean - 0.35 * jerk * draft.pulse()
    posture.lumbar_flexion = posture.lumbar_flexion + 0.10 - 0.12 * jerk * draft.pulse()
    posture.knee = posture.knee + rng.uniform(0.25, 0.4)
    posture.neck = posture.neck - 0.4
    hang = lean + 0.12  # angle between the trunk and arms that hang vertically
    bend = rng.uniform(0.2, 0.35)
    top = np.deg2rad(rng.uniform(74, 84) * (1 - 0.45 * severity("partial_range")))
    for side in SIDES:
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.12 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=hang + draft.sway(0.012),
            abduction=draft.constant(0.0),
            elbow=bend + 1.15 * severity("bent_elbows") * (0.3 + 0.7 * p),
            pronation=0.0,
            turn=-1.45,
            plane=-(0.05 + (top - 0.05) * (1 - 0.45 * weak) * p),
        )
    return posture


def _hip_thrust(draft: Draft) -> Posture:
    posture, rng, severity = lying.against_bench(draft, CROSSWISE), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    p = draft.progress() * (1 - 0.6 * severity("partial_range"))
    start, level = rng.uniform(0.95, 1.05), rng.uniform(1.53, 1.6)
    tilt = start + (level - start) * p
    posture.pelvis_pitch = posture.pelvis_pitch - tilt
    posture.neck = posture.neck + 0.45 * p + 0.1
    support = posture.support
    assert support is not None
    feet = {side: support.feet[side] + 0.26 * severity("feet_far") * height for side in SIDES}
    feet[draft.weak_side] += 0.24 * severity("feet_uneven") * height
    posture.support = dataclasses.replace(support, feet=feet)
    posture.caving = 0.42 * severity("knees_caving") * p
    down = draft.length["trunk"] - 0.06 + draft.length["abdomen"] + draft.length["lumbar"]
    for side, y in SIDES.items():  # hands on the bar
        hand = np.array([0.10 * draft.subject.girth + 0.03, 0.36 * y * height, -0.97 * down])
        posture.arms[side] = ArmReach(
            np.tile(hand, (len(draft), 1)), (-0.5, y, 0.0), "chest", bar=False
        )
    return posture


EXERCISES = (
    Exercise(
        id=14,
        name="barbell_deadlift",
        equipment="barbell_hanging",
        muscles=("vastus_lateralis", "erector_spinae"),
        loads=(20.0, 60.0, 2.5),
        errors={
            "hips_low": Error(Effect("vastus_lateralis", "mean", +1)),
            "round_back": Error(Effect("erector_spinae", "mean", +1)),
            "hips_shoot": Error(Effect("vastus_lateralis", "mean", -1)),
            "bar_away": Error(Effect("erector_spinae", "mean", +1)),
            "lateral_shift": Error(Effect("vastus_lateralis", "asymmetry", +1)),
            "dropped": Error(Effect("vastus_lateralis", "peak", +1), shorten_second=0.75),
        },
        move=_deadlift,
        family="hinge",
    ),
    Exercise(
        id=15,
        name="barbell_bent_over_row",
        equipment="barbell_overhead",
        muscles=("latissimus_dorsi", "erector_spinae"),
        loads=(20.0, 45.0, 2.5),
        errors={
            "trunk_upright": Error(Effect("erector_spinae", "mean", -1)),
            "round_back": Error(Effect("erector_spinae", "mean", +1)),
            "bar_to_chest": Error(Effect("latissimus_dorsi", "mean", -1)),
            "partial_range": Error(Effect("latissimus_dorsi", "peak", -1)),
            "torso_swing": Error(Effect("erector_spinae", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("latissimus_dorsi", "asymmetry", +1)),
            "dropped": Error(Effect("erector_spinae", "peak", +1), shorten_second=0.75),
        },
        move=_bent_over_row,
    ),
    Exercise(
        id=16,
        name="barbell_upright_row",
        equipment="barbell_narrow",
        muscles=("medial_deltoid", "upper_trapezius"),
        loads=(10.0, 25.0, 2.5),
        errors={
            "shoulders_shrugged": Error(Effect("upper_trapezius", "peak", +1)),
            "too_high": Error(Effect("upper_trapezius", "peak", +1)),
            "bar_away": Error(Effect("medial_deltoid", "mean", +1)),
            "partial_range": Error(Effect("medial_deltoid", "mean", -1)),
            "torso_swing": Error(Effect("upper_trapezius", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("medial_deltoid", "asymmetry", +1)),
            "dropped": Error(Effect("upper_trapezius", "peak", +1), shorten_second=0.75),
        },
        move=_upright_row,
    ),
    Exercise(
        id=17,
        name="barbell_hip_thrust",
        equipment="barbell_hips",
        muscles=("gluteus_maximus", "vastus_lateralis"),
        loads=(20.0, 80.0, 2.5),
        errors={
            "feet_far": Error(Effect("vastus_lateralis", "mean", -1)),
            "feet_uneven": Error(Effect("vastus_lateralis", "asymmetry", +1)),
            "partial_range": Error(Effect("gluteus_maximus", "mean", +1)),
            "knees_caving": Error(Effect("vastus_lateralis", "peak", +1)),
            "dropped": Error(Effect("gluteus_maximus", "peak", -1), shorten_second=0.75),
        },
        move=_hip_thrust,
        bench=CROSSWISE,
    ),
    Exercise(
        id=18,
        name="dumbbell_supported_row",
        equipment="dumbbell",
        muscles=("latissimus_dorsi", "posterior_deltoid"),
        loads=(5.0, 17.5, 2.5),
        errors={
            "chest_off": Error(Effect("posterior_deltoid", "mean", -1)),
            "shoulders_shrugged": Error(Effect("latissimus_dorsi", "mean", +1)),
            "elbows_flared": Error(Effect("latissimus_dorsi", "peak", +1)),
            "partial_range": Error(Effect("posterior_deltoid", "mean", -1)),
            "uneven_arms": Error(Effect("posterior_deltoid", "asymmetry", +1)),
            "dropped": Error(Effect("posterior_deltoid", "peak", +1), shorten_second=0.75),
        },
        move=_supported_row,
        bench=SLOPE,
    ),
    Exercise(
        id=19,
        name="dumbbell_reverse_fly",
        equipment="dumbbell",
        muscles=("posterior_deltoid", "upper_trapezius"),
        loads=(2.0, 6.0, 1.0),
        errors={
            "trunk_upright": Error(Effect("posterior_deltoid", "mean", -1)),
            "bent_elbows": Error(Effect("posterior_deltoid", "mean", -1)),
            "partial_range": Error(Effect("posterior_deltoid", "mean", -1)),
            "torso_swing": Error(Effect("posterior_deltoid", "peak", +1), shorten_first=0.35),
            "uneven_arms": Error(Effect("posterior_deltoid", "asymmetry", +1)),
            "dropped": Error(Effect("posterior_deltoid", "peak", +1), shorten_second=0.75),
        },
        move=_reverse_fly,
    ),
)
