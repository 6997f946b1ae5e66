"""Joints of a body from the joint angles of OpenSim's whole-body models, and back.

Coordinates as in the models of Rajagopal et al. (2016), Hamner et al. (2010) and OpenCap: x
forward, y up, z to the right; rotations are about z, x and y in turn, in the frame of the parent.
The lengths of the segments are those of `lengths`, since a `.mot` file has none.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from video2emg.core import joint_angles
from video2emg.core.errors import UserError
from video2emg.core.skeleton import arrange
from video2emg.core.vocabulary import SIDES
from video2emg.pose.lengths import HEIGHT, HIP, LIMBS, SHOULDER, TRUNK

_NEEDED = tuple(f"{name}_{s}" for name in ("hip_flexion", "knee_angle") for s in "rl")
_FOOT = (0.152, 0.039)  # length of the foot and height of the ankle, by body height
_LUMBAR, _CHEST = 0.075, 0.124  # height of the lumbar joint and of the chest over the hips
_HEEL = 0.25  # share of the foot that lies behind the ankle
NAMES = (
    *(
        f"{side}_{part}"
        for side in SIDES
        for part in (
            *("shoulder", "elbow", "wrist"),
            *("hip", "knee", "ankle", "heel", "toe"),
        )
    ),
    "pelvis",
    "chest",
    "neck",
    "head",
)


def joints_from_angles(
    angles: Mapping[str, Float[np.ndarray, " T"]], where: str, height: float = HEIGHT
) -> Float[np.ndarray, "T J 3"]:
    """Positions of `NAMES`, m, z up, x forward when the pelvis is not turned; NaN where unknown.

    Args:
      angles: degrees by coordinate; those that are missing are 0, those that are NaN unknown.
      where: for messages.
      height: of the body, m.

    Raises:
      UserError: no hips and knees among the coordinates.
    """
    missing = [name for name in _NEEDED if name not in angles]
    if missing:
        raise UserError(f"{where}: no coordinate {missing[0]!r}; expected those of a whole body")
    room = _Frame(Rotation.identity(len(angles[_NEEDED[0]])), angles, height)
    pelvis = room.turned("pelvis_tilt", "pelvis_list", "pelvis_rotation")
    trunk = pelvis.turned("lumbar_extension", "lumbar_bending", "lumbar_rotation")
    # The torso turns about the lumbar joint, not about the hips.
    lumbar = pelvis.along(0, _LUMBAR, 0)
    at = {"pelvis": np.zeros_like(lumbar)}
    for name, fraction in (("chest", _CHEST), ("neck", 1.06 * TRUNK), ("head", 1.48 * TRUNK)):
        at[name] = lumbar + trunk.along(0, fraction - _LUMBAR, 0)
    knee_sign = _knee_sign(angles)
    for side in SIDES:
        s, out = side[0], -1 if side == "left" else 1  # z is to the right
        signs = (1, out, out)
        thigh = pelvis.turned(f"hip_flexion_{s}", f"hip_adduction_{s}", f"hip_rotation_{s}", signs)
        shank = thigh.turned(f"knee_angle_{s}", signs=(knee_sign, 1, 1))
        foot = shank.turned(f"ankle_angle_{s}")
        upper = trunk.turned(f"arm_flex_{s}", f"arm_add_{s}", f"arm_rot_{s}", signs)
        fore = upper.turned(f"elbow_flex_{s}")
        limbs = {"hip": thigh, "knee": shank, "shoulder": upper, "elbow": fore}
        at[f"{side}_hip"] = pelvis.along(0, 0, out * HIP)
        at[f"{side}_shoulder"] = lumbar + trunk.along(0, TRUNK - _LUMBAR, out * SHOULDER)
        for (start, end), fraction in LIMBS.items():
            at[f"{side}_{end}"] = at[f"{side}_{start}"] + limbs[start].along(0, -fraction, 0)
        long, low = _FOOT
        ankle = at[f"{side}_ankle"]
        at[f"{side}_heel"] = ankle + foot.along(-_HEEL * long, -low, 0)
        at[f"{side}_toe"] = ankle + foot.along((1 - _HEEL) * long, -low, 0)
    placed = np.stack([at[name] for name in NAMES], 1)
    return placed[..., [0, 2, 1]] * [1, -1, 1]


@dataclasses.dataclass(frozen=True)
class _Frame:
    """The axes of a segment over time.

    Attributes:
      rotation: of the segment in the room; any where `lost`.
      angles: degrees by coordinate.
      height: of the body, m.
      lost: [T] whether an angle is unknown, of this segment or of one before it.
    """

    rotation: Rotation
    angles: Mapping[str, np.ndarray]
    height: float
    lost: np.ndarray | bool = False

    def turned(
        self, z: str, x: str = "", y: str = "", signs: tuple[int, int, int] = (1, 1, 1)
    ) -> "_Frame":
        """The next segment, turned by these coordinates."""
        zeros = np.zeros(len(self.rotation))
        values = np.stack([self.angles.get(name, zeros) for name in (z, x, y)], 1) * signs
        turn = Rotation.from_euler("ZXY", np.nan_to_num(values), degrees=True)
        lost = self.lost | ~np.isfinite(values).all(1)
        return dataclasses.replace(self, rotation=self.rotation * turn, lost=lost)

    def along(self, x: float, y: float, z: float) -> np.ndarray:
        """[T, 3] a way in this frame as a way in the room, by body height; NaN where `lost`."""
        way = np.tile(np.array([x, y, z]) * self.height, (len(self.rotation), 1))
        return np.where(np.atleast_1d(self.lost)[:, None], np.nan, self.rotation.apply(way))


def _knee_sign(angles: Mapping[str, np.ndarray]) -> int:
    """-1 if flexed knees are positive; models before 2016 count them as negative."""
    bends = np.concatenate([angles["knee_angle_r"], angles["knee_angle_l"]])
    bends = bends[np.isfinite(bends)]
    most = bends[np.argsort(np.abs(bends))[-len(bends) // 4 :]]
    return -1 if len(most) and np.median(most) > 0 else 1


def angles_from_joints(
    joints: Float[np.ndarray, "T J 3"], names: Sequence[str]
) -> dict[str, Float[np.ndarray, " T"]]:
    """The coordinates that joint positions determine, degrees; NaN where a joint is unknown.

    The trunk is one straight segment from the hips to the shoulders, because positions of joints do
    not show how the spine is bent: the pelvis leans as the trunk does, and `lumbar_extension` and
    `lumbar_bending` are left out, as they are 0. Turns about the long axis of thigh, upper arm and
    forearm (`hip_rotation`, `arm_rot`, `pro_sup`) and the place of the pelvis are left out too.

    Args:
      joints: in any unit, z up, x forward.
      names: J, of `core.skeleton`; missing ones are replaced as by `skeleton.arrange`.
    """
    wanted = [f"{side}_{part}" for side in SIDES for part in ("shoulder", "hip", "knee")]
    placed = arrange(np.asarray(joints, np.float64), names, wanted)
    at = dict(zip(wanted, placed.swapaxes(0, 1), strict=True))
    geometric = joint_angles.joint_angles(joints, names).astype(np.float64)
    between = dict(zip(joint_angles.ANGLES, geometric.T, strict=True))
    trunk = [at[f"{side}_shoulder"] - at[f"{side}_hip"] for side in SIDES]
    up = _unit(trunk[0] + trunk[1])
    right = at["right_hip"] - at["left_hip"]
    right = _unit(right - _dot(right, up)[:, None] * up)
    forward = np.cross(up, right)
    across = at["right_shoulder"] - at["left_shoulder"]
    angles = _pelvis(forward, up, right)
    angles["lumbar_rotation"] = np.degrees(np.arctan2(_dot(across, forward), _dot(across, right)))
    for side in ("right", "left"):
        s, out = side[0], -1 if side == "left" else 1  # z is to the right
        thigh = _unit(at[f"{side}_knee"] - at[f"{side}_hip"])
        flexion = np.arctan2(_dot(thigh, forward), -_dot(thigh, up))
        adduction = -out * np.arcsin(np.clip(_dot(thigh, right), -1, 1))
        angles[f"hip_flexion_{s}"] = np.degrees(flexion)
        angles[f"hip_adduction_{s}"] = np.degrees(adduction)
        angles[f"knee_angle_{s}"] = between[f"{side}_knee_flexion"]
        angles[f"ankle_angle_{s}"] = between[f"{side}_ankle_dorsiflexion"]
        angles[f"arm_flex_{s}"] = between[f"{side}_shoulder_flexion"]
        angles[f"arm_add_{s}"] = -between[f"{side}_shoulder_abduction"]
        angles[f"elbow_flex_{s}"] = between[f"{side}_elbow_flexion"]
    return angles


def _pelvis(forward: np.ndarray, up: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Tilt, list and rotation from the axes [T, 3] of the pelvis."""
    axes = np.stack([forward, up, right], -1)
    axes = np.stack([axes[:, 0], axes[:, 2], -axes[:, 1]], 1)  # y up, z to the right
    turned = np.full((len(axes), 3), np.nan)
    known = np.isfinite(axes).all((1, 2))
    if known.any():
        turned[known] = Rotation.from_matrix(axes[known]).as_euler("ZXY", degrees=True)
    return dict(zip(("pelvis_tilt", "pelvis_list", "pelvis_rotation"), turned.T, strict=True))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1)


def _unit(vector: np.ndarray) -> np.ndarray:
    """NaN for a vector without length."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.where(length > 0, length, np.nan)
