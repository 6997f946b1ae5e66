"""Joints of a body from the joint angles of OpenSim's whole-body models.

Coordinates as in the models of Rajagopal et al. (2016), Hamner et al. (2010) and OpenCap: x
forward, y up, z to the right; rotations are about z, x and y in turn, in the frame of the parent.
The lengths of the segments are those of `lengths`, since a `.mot` file has none.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from video2emg.core.errors import UserError
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
    """Positions of `NAMES`, m, z up, x forward when the pelvis is not turned.

    Args:
      angles: degrees by coordinate; those that are missing are 0.
      where: for messages.
      height: of the body, m.

    Raises:
      UserError: no hips and knees among the coordinates.
    """
    missing = [name for name in _NEEDED if name not in angles]
    if missing:
        raise UserError(f"{where}: no coordinate {missing[0]!r}; expected those of a whole body")
    count = len(angles[_NEEDED[0]])

    def turn(*names: str, signs: tuple[int, int, int] = (1, 1, 1)) -> Rotation:
        values = [s * angles.get(n, np.zeros(count)) for n, s in zip(names, signs, strict=True)]
        return Rotation.from_euler("ZXY", np.stack(values, 1), degrees=True)

    def along(rotation: Rotation, way: tuple[float, float, float]) -> np.ndarray:
        return rotation.apply(np.tile(np.array(way) * height, (count, 1)))

    pelvis = turn("pelvis_tilt", "pelvis_list", "pelvis_rotation")
    trunk = pelvis * turn("lumbar_extension", "lumbar_bending", "lumbar_rotation")
    # The torso turns about the lumbar joint, not about the hips.
    lumbar = along(pelvis, (0, _LUMBAR, 0))
    at = {"pelvis": np.zeros((count, 3))}
    for name, fraction in (("chest", _CHEST), ("neck", 1.06 * TRUNK), ("head", 1.48 * TRUNK)):
        at[name] = lumbar + along(trunk, (0, fraction - _LUMBAR, 0))
    # Models before 2016 count flexed knees as negative.
    bends = np.concatenate([angles["knee_angle_r"], angles["knee_angle_l"]])
    knee_sign = -1 if np.nanmedian(bends[np.argsort(np.abs(bends))[-len(bends) // 4 :]]) > 0 else 1
    for side in SIDES:
        s, out = side[0], -1 if side == "left" else 1  # z is to the right
        signs = (1, out, out)
        thigh = pelvis * turn(
            f"hip_flexion_{s}", f"hip_adduction_{s}", f"hip_rotation_{s}", signs=signs
        )
        shank = thigh * turn(f"knee_angle_{s}", "", "", signs=(knee_sign, 1, 1))
        foot = shank * turn(f"ankle_angle_{s}", "", "")
        upper = trunk * turn(f"arm_flex_{s}", f"arm_add_{s}", f"arm_rot_{s}", signs=signs)
        fore = upper * turn(f"elbow_flex_{s}", "", "")
        limbs = {"hip": thigh, "knee": shank, "shoulder": upper, "elbow": fore}
        at[f"{side}_hip"] = along(pelvis, (0, 0, out * HIP))
        at[f"{side}_shoulder"] = lumbar + along(trunk, (0, TRUNK - _LUMBAR, out * SHOULDER))
        for (start, end), fraction in LIMBS.items():
            at[f"{side}_{end}"] = at[f"{side}_{start}"] + along(limbs[start], (0, -fraction, 0))
        long, low = _FOOT
        ankle = at[f"{side}_ankle"]
        at[f"{side}_heel"] = ankle + along(foot, (-_HEEL * long, -low, 0))
        at[f"{side}_toe"] = ankle + along(foot, ((1 - _HEEL) * long, -low, 0))
    placed = np.stack([at[name] for name in NAMES], 1)
    return placed[..., [0, 2, 1]] * [1, -1, 1]
