"""Joint angles from joint positions, in degrees.

They are geometric: each is the angle between two lines of the body, not a clinical angle of the
International Society of Biomechanics, which needs markers on the skin.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import skeleton, vocabulary

OF_SIDE = (
    "knee_flexion",
    "hip_flexion",
    "ankle_dorsiflexion",
    "elbow_flexion",
    "shoulder_flexion",
    "shoulder_abduction",
)
OF_TRUNK = ("trunk_lean",)
ANGLES = (*(f"{side}_{name}" for side in vocabulary.SIDES for name in OF_SIDE), *OF_TRUNK)

# The joint that a muscle moves most.
_OF_MUSCLE = {
    "elbow_flexion": "biceps_brachii triceps_brachii brachioradialis",
    "shoulder_flexion": "anterior_deltoid posterior_deltoid latissimus_dorsi pectoralis_major",
    "shoulder_abduction": "medial_deltoid upper_trapezius middle_trapezius serratus_anterior",
    "hip_flexion": "gluteus_maximus gluteus_medius adductor_magnus",
    "knee_flexion": "rectus_femoris vastus_lateralis vastus_medialis quadriceps biceps_femoris "
    "semitendinosus hamstrings",
    "ankle_dorsiflexion": "tibialis_anterior gastrocnemius soleus",
    "trunk_lean": "rectus_abdominis external_oblique erector_spinae",
}
_ANGLE = {muscle: angle for angle, muscles in _OF_MUSCLE.items() for muscle in muscles.split()}

_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe")


def joint_angles(
    pose: Float[np.ndarray, "P J 3"], joints: Sequence[str]
) -> Float[np.ndarray, "P A"]:
    """All of `ANGLES` at each instant.

    All are 0 in upright standing with the arms down and the feet flat.

    - `knee_flexion`, `elbow_flexion`: between both bones, 0 if straight.
    - `hip_flexion`: between the thigh and the trunk, 0 if in line; bent backwards counts as bent.
    - `ankle_dorsiflexion`: 90° less the angle of foot and shank; the toes down are negative.
    - `shoulder_flexion`: of the upper arm about the left-right axis of the trunk, from -90° behind
      the trunk over 90° in front to 180° overhead; undefined in theory, and noise in practice, of
      an arm that points to the side.
    - `shoulder_abduction`: of the upper arm out of the trunk's sagittal plane, -90° to 90°.
    - `trunk_lean`: of the line from the hips to the shoulders, from the vertical.

    Args:
      pose: joint positions in any unit, z up.
      joints: J names; missing ones are replaced as by `skeleton.arrange`.

    Returns:
      float32; NaN where a joint is missing.
    """
    names = [f"{side}_{part}" for side in vocabulary.SIDES for part in _PARTS]
    placed = skeleton.arrange(np.asarray(pose, np.float64), joints, names)
    at = dict(zip(names, placed.swapaxes(0, 1), strict=True))
    shoulders, hips = (
        (at[f"left_{part}"] + at[f"right_{part}"]) / 2 for part in ("shoulder", "hip")
    )
    trunk = shoulders - hips
    left = at["left_shoulder"] - at["right_shoulder"]
    angles = {"trunk_lean": _between(trunk, np.broadcast_to([0.0, 0.0, 1.0], trunk.shape))}
    for side in vocabulary.SIDES:
        shoulder, elbow, wrist, hip, knee, ankle, heel, toe = (
            at[f"{side}_{part}"] for part in _PARTS
        )
        outward = left if side == "left" else -left
        flexion, abduction = _shoulder(elbow - shoulder, trunk, left, outward)
        of_side = (
            _between(knee - hip, ankle - knee),
            _between(-trunk, knee - hip),
            90 - _between(knee - ankle, toe - heel),
            _between(elbow - shoulder, wrist - elbow),
            flexion,
            abduction,
        )
        angles |= {f"{side}_{name}": x for name, x in zip(OF_SIDE, of_side, strict=True)}
    return np.stack([angles[name] for name in ANGLES], -1).astype(np.float32)


def _shoulder(
    arm: np.ndarray, trunk: np.ndarray, left: np.ndarray, outward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flexion and abduction of upper arms [P, 3], in the frame of the trunk."""
    up = _unit(trunk)
    across = _unit(left - (left * up).sum(-1, keepdims=True) * up)
    forward = np.cross(across, up)
    flexion = np.degrees(np.arctan2((arm * forward).sum(-1), -(arm * up).sum(-1)))
    side = across * np.sign((across * outward).sum(-1, keepdims=True))
    abduction = np.degrees(np.arcsin(np.clip((_unit(arm) * side).sum(-1), -1, 1)))
    # Overhead is 180° and a little behind it more, not -180°.
    return np.where(flexion < -90, flexion + 360, flexion), abduction


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[P] angle between vectors [P, 3], degrees; accurate for small angles too."""
    a, b = _unit(a), _unit(b)
    return np.degrees(
        2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    )


def _unit(vector: np.ndarray) -> np.ndarray:
    """NaN for a vector without length."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.where(length > 0, length, np.nan)


def angles_of_muscles(
    angles: Float[np.ndarray, "P A"], channels: Sequence[str]
) -> Float[np.ndarray, "P C"]:
    """The angle of the joint that each muscle moves most.

    Args:
      angles: all of `ANGLES`.
      channels: C names, `side_muscle`.

    Returns:
      NaN for a muscle that has no such joint.
    """
    columns = []
    for name in channels:
        side, muscle = vocabulary.split_channel(name)
        angle = _ANGLE.get(muscle)
        if angle is None:
            columns.append(np.full(len(angles), np.nan))
        else:
            full = angle if angle in OF_TRUNK else f"{side}_{angle}"
            columns.append(angles[:, ANGLES.index(full)])
    return np.stack(columns, 1) if columns else np.zeros((len(angles), 0))
