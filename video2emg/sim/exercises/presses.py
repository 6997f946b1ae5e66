"""Presses, flies and extensions on a bench: lying, reclined or sitting."""

import functools

import numpy as np

from video2emg.sim import body
from video2emg.sim.bench import Bench
from video2emg.sim.exercises import lying
from video2emg.sim.exercises.common import Draft, Effect, Error, Exercise
from video2emg.sim.posture import ArmReach, Posture

SIDES = {"right": -1, "left": 1}
FLAT, INCLINE, SEAT = Bench(0.0), Bench(np.deg2rad(27)), Bench(np.deg2rad(80), height=0.45)


def _reach(draft: Draft, spread: float, share: float = 0.985) -> float:
    """Reach of the hands above the shoulders, m, if they are `spread` m from the middle."""
    length = draft.length
    arm = length["upper_arm"] + length["forearm"] + body.GRIP * length["hand"]
    wide = spread - length["shoulder"] * body.width_factor(draft.subject)
    return float(np.sqrt((share * arm) ** 2 - wide**2))


def _bench_press(draft: Draft, bench: Bench, barbell: bool) -> Posture:
    """From straight arms to the chest and back; the first phase lowers the load."""
    posture, rng, severity = lying.on_back(draft, bench), draft.rng, draft.severity
    height, girth = draft.subject.height / 1.75, draft.subject.girth
    wide, tilted = severity("grip_wide"), severity("forearms_tilted")
    # Height of the hands over the centre of the trunk; raised hips bring the chest to the bar.
    low = 0.118 * girth + (0.035 if barbell else 0.075) * height
    low = low + 0.22 * height * severity("hips_lifted")
    down = (rng.uniform(0.10, 0.15) if bench.angle < 0.2 else rng.uniform(0.03, 0.07)) * height
    hips = severity("hips_lifted") * draft.progress() ** 0.5
    posture.pelvis_pitch = posture.pelvis_pitch - 0.35 * hips
    posture.thoracic = posture.thoracic + 0.20 * hips
    grip = "barbell_wide" if bench.angle < 0.2 else "barbell_overhead"
    spread = body.hand_spread(draft.subject, grip) + 0.11 * wide
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = p * (1 - 0.5 * severity("partial_range")) + 0.30 * weak * (1 - p)
        apart = draft.constant(spread)
        if not barbell:  # both dumbbells meet above the chest
            apart = spread - 0.12 * height * (1 - q) + 0.20 * height * tilted * q**0.5
        top = _reach(draft, float(apart[0])) * UPWARDS
        # The bar goes down to the lower chest; at the end the arms are above the shoulders.
        touch = low * bench.normal - down * bench.along
        touch = touch + 0.14 * height * severity("bar_to_neck") * bench.along
        hand = top + (touch - top) * q[:, None]
        forward = severity("bar_forward") * np.sin(np.pi * np.clip(q, 0, 1) / 2 + np.pi / 5)
        hand[:, 0] += 0.15 * height * forward
        hand[:, 1] = y * apart
        hand += 0.16 * height * severity("over_face") * bench.along
        pole = -0.3 * bench.along + np.array([0, 0.9 * y, -0.6])
        posture.arms[side] = ArmReach(hand, tuple(pole), "room", bar=True)
    return posture


UPWARDS = np.array([0.0, 0.0, 1.0])


def _seated_press(draft: Draft) -> Posture:
    posture, rng, severity = lying.on_back(draft, SEAT, middle=0.0), draft.rng, draft.severity
    height = draft.subject.height / 1.75
    slouch, arch = severity("seat_slouch"), severity("back_arch")
    # Sliding forward on the seat tilts the trunk back; arching lifts the chest off the backrest.
    posture.pelvis_pitch = posture.pelvis_pitch - 0.45 * slouch
    p = draft.progress()
    posture.lumbar_flexion = posture.lumbar_flexion - 0.45 * arch * p
    posture.thoracic = posture.thoracic - 0.10 * arch * p
    spread = body.hand_spread(draft.subject, "barbell_overhead")
    low = rng.uniform(0.03, 0.08) * height
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        q = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        q = q * (1 - 0.5 * severity("partial_range")) * (1 - 0.35 * weak)
        apart = spread + 0.06 * height * (1 - q) + 0.16 * height * severity("forearms_tilted") * q
        top = _reach(draft, float(spread)) + 0.01
        hand = np.empty((len(draft), 3))
        hand[:, 0] = 0.07 * height * (1 - q)
        hand[:, 1] = y * apart
        hand[:, 2] = low + (top - low) * q
        posture.clavicle[side] = 0.16 * q
        posture.arms[side] = ArmReach(hand, (0.35, y, -0.7), "room", bar=True)
    return posture


def _triceps_extension(draft: Draft) -> Posture:
    """Upper arms vertical; the elbows bend until the bar is at the forehead, then extend."""
    posture, rng, severity = lying.on_back(draft, FLAT), draft.rng, draft.severity
    length, height = draft.length, draft.subject.height / 1.75
    upper, fore = length["upper_arm"], length["forearm"] + body.GRIP * length["hand"]
    spread = body.hand_spread(draft.subject, "barbell_narrow")
    bottom = rng.uniform(1.45, 1.7) * (1 - 0.5 * severity("partial_range"))
    tilt = rng.uniform(0.10, 0.2) - 0.45 * severity("arms_upright")
    for side, y in SIDES.items():
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.01) + 0.12 * weak)
        bend = 0.15 + (bottom - 0.15) * p * (1 - 0.2 * weak) + 0.65 * weak * (1 - p)
        lean = tilt - 0.85 * severity("pressed_out") * p
        hand = np.empty((len(draft), 3))
        hand[:, 0] = -upper * np.sin(lean) - fore * np.sin(lean + bend)
        hand[:, 1] = y * (spread + 0.02 * height)
        hand[:, 2] = upper * np.cos(lean) + fore * np.cos(lean + bend)
        out = 0.15 + 1.3 * severity("elbows_flared")
        posture.arms[side] = ArmReach(hand, (1.0, y * out, 0.4), "room", bar=True)
    return posture


def _fly(draft: Draft) -> Posture:
    """From above the chest out to the sides and back; the first phase lowers the load."""
    posture, rng, severity = lying.on_back(draft, FLAT), draft.rng, draft.severity
    bend = rng.uniform(0.35, 0.5)
    deep = np.deg2rad(
        rng.uniform(74, 84) + 22 * severity("too_deep") - 38 * severity("partial_range")
    )
    up = np.deg2rad(rng.uniform(78, 86))  # from the trunk; hands at the height of the chest
    for side in SIDES:
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        p = draft.progress(rng.normal(0, 0.015) + 0.12 * weak)
        out = 0.10 + (deep - 0.10) * p * (1 - 0.35 * weak) + 0.25 * weak * (1 - p)
        posture.arms[side] = draft.arm(
            side,
            flexion=draft.constant(up - 0.5 * severity("hands_low")) + draft.sway(0.012),
            abduction=draft.constant(0.0),
            elbow=bend + 1.15 * severity("bent_elbows") * p,
            pronation=0.0,
            turn=-1.45,
            plane=-out,
        )
    return posture


def _pullover(draft: Draft) -> Posture:
    """From above the chest over the head and back; the first phase lowers the load."""
    posture, rng, severity = lying.on_back(draft, FLAT, middle=0.18), draft.rng, draft.severity
    bend = rng.uniform(0.2, 0.35)
    deep = np.deg2rad(rng.uniform(152, 162) - 32 * severity("partial_range"))
    start = np.deg2rad(rng.uniform(86, 94) - 25 * severity("past_chest"))
    for side in SIDES:
        weak = severity("uneven_arms") if side == draft.weak_side else 0.0
        q = draft.progress(rng.normal(0, 0.015) + 0.12 * weak)
        posture.arms[side] = draft.arm(
            side,
            flexion=start + (deep - start) * q * (1 - 0.4 * weak) + draft.sway(0.012),
            abduction=draft.constant(rng.uniform(0.0, 0.06)) + 0.5 * severity("arms_wide"),
            elbow=draft.constant(bend),
            pronation=0.3,
        )
    return posture


EXERCISES = (
    Exercise(
        id=6,
        name="barbell_bench_press",
        equipment="barbell_wide",
        muscles=("pectoralis_major", "triceps_brachii"),
        loads=(20.0, 55.0, 2.5),
        errors={
            "grip_wide": Error(Effect("triceps_brachii", "mean", -1)),
            "dropped": Error(Effect("pectoralis_major", "peak", +1), shorten_first=0.75),
            "partial_range": Error(Effect("pectoralis_major", "peak", -1)),
            "bar_to_neck": Error(Effect("triceps_brachii", "mean", +1)),
            "hips_lifted": Error(Effect("pectoralis_major", "peak", -1)),
            "uneven_arms": Error(Effect("triceps_brachii", "asymmetry", +1)),
        },
        move=functools.partial(_bench_press, bench=FLAT, barbell=True),
        bench=FLAT,
    ),
    Exercise(
        id=7,
        name="barbell_incline_press",
        equipment="barbell_overhead",
        muscles=("pectoralis_major", "anterior_deltoid"),
        loads=(15.0, 35.0, 2.5),
        errors={
            "grip_wide": Error(Effect("pectoralis_major", "mean", +1)),
            "dropped": Error(Effect("pectoralis_major", "peak", +1), shorten_first=0.75),
            "partial_range": Error(Effect("anterior_deltoid", "peak", -1)),
            "bar_forward": Error(Effect("anterior_deltoid", "mean", +1)),
            "uneven_arms": Error(Effect("pectoralis_major", "asymmetry", +1)),
        },
        move=functools.partial(_bench_press, bench=INCLINE, barbell=True),
        bench=INCLINE,
    ),
    Exercise(
        id=8,
        name="barbell_lying_triceps_extension",
        equipment="barbell_narrow",
        muscles=("triceps_brachii", "latissimus_dorsi"),
        loads=(6.0, 18.0, 1.0),
        errors={
            "arms_upright": Error(Effect("triceps_brachii", "mean", -1)),
            "dropped": Error(Effect("latissimus_dorsi", "peak", +1), shorten_first=0.75),
            "partial_range": Error(Effect("triceps_brachii", "mean", -1)),
            "elbows_flared": Error(Effect("triceps_brachii", "mean", -1)),
            "pressed_out": Error(Effect("triceps_brachii", "mean", -1)),
            "uneven_arms": Error(Effect("triceps_brachii", "asymmetry", +1)),
        },
        move=_triceps_extension,
        bench=FLAT,
    ),
    Exercise(
        id=9,
        name="dumbbell_bench_press",
        equipment="dumbbell",
        muscles=("pectoralis_major", "triceps_brachii"),
        loads=(8.0, 24.0, 2.0),
        errors={
            "over_face": Error(Effect("pectoralis_major", "mean", -1)),
            "forearms_tilted": Error(Effect("triceps_brachii", "mean", -1)),
            "dropped": Error(Effect("pectoralis_major", "peak", +1), shorten_first=0.75),
            "partial_range": Error(Effect("pectoralis_major", "mean", -1)),
            "uneven_arms": Error(Effect("triceps_brachii", "asymmetry", +1)),
        },
        move=functools.partial(_bench_press, bench=FLAT, barbell=False),
        bench=FLAT,
    ),
    Exercise(
        id=10,
        name="dumbbell_incline_press",
        equipment="dumbbell",
        muscles=("anterior_deltoid", "triceps_brachii"),
        loads=(4.0, 12.0, 1.0),
        errors={
            "over_face": Error(Effect("anterior_deltoid", "mean", -1)),
            "forearms_tilted": Error(Effect("triceps_brachii", "mean", -1)),
            "dropped": Error(Effect("anterior_deltoid", "peak", +1), shorten_first=0.75),
            "partial_range": Error(Effect("anterior_deltoid", "mean", -1)),
            "bar_forward": Error(Effect("anterior_deltoid", "mean", +1)),
            "uneven_arms": Error(Effect("anterior_deltoid", "asymmetry", +1)),
        },
        move=functools.partial(_bench_press, bench=INCLINE, barbell=False),
        bench=INCLINE,
    ),
    Exercise(
        id=11,
        name="dumbbell_fly",
        equipment="dumbbell",
        muscles=("pectoralis_major", "anterior_deltoid"),
        loads=(4.0, 12.0, 1.0),
        errors={
            "hands_low": Error(Effect("anterior_deltoid", "mean", +1)),
            "dropped": Error(Effect("pectoralis_major", "peak", +1), shorten_first=0.6),
            "too_deep": Error(Effect("pectoralis_major", "mean", +1)),
            "partial_range": Error(Effect("pectoralis_major", "mean", -1)),
            "bent_elbows": Error(Effect("pectoralis_major", "mean", -1)),
            "uneven_arms": Error(Effect("pectoralis_major", "asymmetry", +1)),
        },
        move=_fly,
        bench=FLAT,
    ),
    Exercise(
        id=12,
        name="dumbbell_pullover",
        equipment="dumbbell",
        muscles=("pectoralis_major", "triceps_brachii"),
        loads=(3.0, 9.0, 1.0),
        errors={
            "arms_wide": Error(Effect("pectoralis_major", "mean", +1)),
            "dropped": Error(Effect("pectoralis_major", "peak", +1), shorten_first=0.72),
            "partial_range": Error(Effect("pectoralis_major", "mean", -1)),
            "past_chest": Error(Effect("triceps_brachii", "mean", -1)),
            "uneven_arms": Error(Effect("pectoralis_major", "asymmetry", +1)),
        },
        move=_pullover,
        bench=FLAT,
    ),
    Exercise(
        id=13,
        name="dumbbell_seated_press",
        equipment="dumbbell",
        muscles=("medial_deltoid", "triceps_brachii"),
        loads=(4.0, 14.0, 1.0),
        errors={
            "seat_slouch": Error(Effect("medial_deltoid", "mean", -1)),
            "forearms_tilted": Error(Effect("triceps_brachii", "mean", -1)),
            "partial_range": Error(Effect("triceps_brachii", "mean", +1)),
            "back_arch": Error(Effect("medial_deltoid", "mean", -1)),
            "uneven_arms": Error(Effect("triceps_brachii", "asymmetry", +1)),
            "dropped": Error(Effect("medial_deltoid", "peak", +1), shorten_second=0.75),
        },
        move=_seated_press,
        bench=SEAT,
    ),
)
