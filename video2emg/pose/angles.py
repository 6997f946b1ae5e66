"""Angles of the limbs, which need neither gravity nor a size."""

import numpy as np
from jaxtyping import Float

from video2emg.core import skeleton
from video2emg.core.vocabulary import SIDES

# Angle → joint at which it is, and the joints at the ends of its two lines.
_AT = {
    "knee": ("knee", "hip", "ankle"),
    "hip": ("hip", "shoulder", "knee"),
    "elbow": ("elbow", "shoulder", "wrist"),
}
KINDS = (*_AT, "shoulder")
LIMB_ANGLES = tuple(f"{side}_{kind}" for side in SIDES for kind in KINDS)
# Flies move the arms about the axis of the trunk, which no limb angle shows.
MOVING_KINDS = (*KINDS, "arm_spread")
_JOINTS = tuple(
    f"{side}_{part}"
    for side in SIDES
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


def limb_angles(
    joints: Float[np.ndarray, "T J 3"], names: tuple[str, ...]
) -> Float[np.ndarray, "T A"]:
    """`LIMB_ANGLES` at each instant, degrees; NaN where a joint is missing.

    Knee, hip and elbow are 0 if both bones are in line; the shoulder is the angle between the upper
    arm and the line from mid-shoulders to mid-hips: 0 with the arm down, 180 overhead.
    """
    placed = skeleton.arrange(np.asarray(joints, np.float64), names, _JOINTS)
    at = dict(zip(_JOINTS, placed.swapaxes(0, 1), strict=True))
    hips, shoulders = (
        (at[f"left_{part}"] + at[f"right_{part}"]) / 2 for part in ("hip", "shoulder")
    )
    angles = []
    for side in SIDES:
        for joint, before, after in _AT.values():
            here = at[f"{side}_{joint}"]
            inner = between(at[f"{side}_{before}"] - here, at[f"{side}_{after}"] - here)
            angles.append(180 - inner)
        arm = at[f"{side}_elbow"] - at[f"{side}_shoulder"]
        angles.append(between(arm, hips - shoulders))
    return np.stack(angles, 1)


def moving_angles(
    joints: Float[np.ndarray, "T J 3"], names: tuple[str, ...]
) -> Float[np.ndarray, "T A"]:
    """`MOVING_KINDS` of the left, then of the right side at each instant, degrees.

    The spread of an arm is the angle between the upper arm and the line from the other shoulder: 0
    with the arm out to the side, 90 with the arm down or to the front.
    """
    limbs = limb_angles(joints, names)
    wanted = tuple(f"{side}_{part}" for side in SIDES for part in ("shoulder", "elbow"))
    placed = skeleton.arrange(np.asarray(joints, np.float64), names, wanted).swapaxes(0, 1)
    columns = []
    for side, (shoulder, elbow, other) in enumerate(((0, 1, 2), (2, 3, 0))):
        columns.append(limbs[:, side * len(KINDS) : (side + 1) * len(KINDS)])
        spread = between(placed[elbow] - placed[shoulder], placed[shoulder] - placed[other])
        columns.append(spread[:, None])
    return np.concatenate(columns, 1)


def between(a: Float[np.ndarray, "*T 3"], b: Float[np.ndarray, "*T 3"]) -> np.ndarray:
    """Angle between vectors, degrees; NaN for a vector without length."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = (a * b).sum(-1) / np.where(lengths > 0, lengths, np.nan)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
