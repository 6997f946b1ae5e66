"""Named skeletons and the conversion between them.

A joint that the source lacks is computed from other joints where anatomy allows it, see
`_SUBSTITUTES`; else it is NaN.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.errors import UserError

_SIDES = ("right", "left")

# Kinect v2 / NTU RGB+D, in file order (Shahroudy et al. 2016).
NTU_25 = vocabulary.names(
    """
    pelvis spine neck head
    left_shoulder left_elbow left_wrist left_hand
    right_shoulder right_elbow right_wrist right_hand
    left_hip left_knee left_ankle left_toe
    right_hip right_knee right_ankle right_toe
    chest left_fingertip left_thumb right_fingertip right_thumb
    """
)

# BODY_25 of OpenPose (Cao et al. 2019).
OPENPOSE_25 = vocabulary.names(
    """
    nose neck
    right_shoulder right_elbow right_wrist
    left_shoulder left_elbow left_wrist
    pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle
    right_eye left_eye right_ear left_ear
    left_toe left_small_toe left_heel right_toe right_small_toe right_heel
    """
)

# SMPL (Loper et al. 2015).
SMPL_24 = vocabulary.names(
    """
    pelvis left_hip right_hip spine left_knee right_knee spine_2
    left_ankle right_ankle chest left_toe right_toe neck
    left_collar right_collar head left_shoulder right_shoulder
    left_elbow right_elbow left_wrist right_wrist left_hand right_hand
    """
)

# COCO's keypoints (Lin et al. 2014); the feet end at the ankles.
COCO_17 = vocabulary.names(
    """
    nose left_eye right_eye left_ear right_ear
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_hip right_hip left_knee right_knee left_ankle right_ankle
    """
)

# Halpe's 26 of AlphaPose and RTMPose (Fang et al. 2022): COCO's, then head, neck, pelvis and feet.
HALPE_26 = COCO_17 + vocabulary.names(
    """
    head neck pelvis left_toe right_toe left_small_toe right_small_toe left_heel right_heel
    """
)

# BlazePose / MediaPipe Pose (Bazarevsky et al. 2020); its foot index is the tip of the foot.
BLAZEPOSE_33 = vocabulary.names(
    """
    nose left_inner_eye left_eye left_outer_eye right_inner_eye right_eye right_outer_eye
    left_ear right_ear left_mouth right_mouth
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_pinky right_pinky left_index right_index left_thumb right_thumb
    left_hip right_hip left_knee right_knee left_ankle right_ankle
    left_heel right_heel left_toe right_toe
    """
)

SKELETONS = {
    "flex_21": vocabulary.FLEX_21,
    "ntu_25": NTU_25,
    "openpose_25": OPENPOSE_25,
    "smpl_24": SMPL_24,
    "coco_17": COCO_17,
    "halpe_26": HALPE_26,
    "blazepose_33": BLAZEPOSE_33,
}


def _mean(*joints: str) -> dict[str, float]:
    return dict.fromkeys(joints, 1 / len(joints))


def _on_trunk(height: float) -> dict[str, float]:
    """A point on the line from mid-hips (0) through mid-shoulders (1)."""
    shoulders = {f"{side}_shoulder": height / 2 for side in _SIDES}
    return shoulders | {f"{side}_hip": (1 - height) / 2 for side in _SIDES}


# Joint → weighted sums of joints that may replace it, best first; the weights of a sum add up to 1.
# The middle between left and right is exact. The places of chest, neck and head on the line of the
# trunk, and of the hand on the line of the forearm, are those of the simulated body standing
# (`physics.anatomy`); they are about 1 cm off where the back is straight. An ankle for a heel is up
# to 10 cm off.
_SUBSTITUTES: dict[str, tuple[dict[str, float], ...]] = {
    "pelvis": (_mean("left_hip", "right_hip"),),
    "chest": (_on_trunk(0.4),),
    "neck": (_on_trunk(1.06),),
    "spine": (_on_trunk(0.5),),
    "head": (_mean("left_ear", "right_ear"), _on_trunk(1.48), _mean("nose")),
    "nose": (_mean("head"),),
    **{
        f"{side}_hand": (
            _mean(f"{side}_pinky", f"{side}_index"),
            {f"{side}_wrist": 1.53, f"{side}_elbow": -0.53},
        )
        for side in _SIDES
    },
    **{f"{side}_heel": (_mean(f"{side}_ankle"),) for side in _SIDES},
}


def skeleton(name: str, where: str = "skeleton") -> tuple[str, ...]:
    """Joint names of a skeleton, in order.

    Raises:
      UserError: an unknown name; the message begins with `where`.
    """
    if name not in SKELETONS:
        raise UserError(f"{where}: {name!r} is not one of {', '.join(SKELETONS)}")
    return SKELETONS[name]


def name_of(joints: tuple[str, ...], where: str) -> str:
    """The name of the skeleton that has these joints.

    Raises:
      UserError: no named skeleton has them; the message begins with `where`.
    """
    for name, known in SKELETONS.items():
        if known == joints:
            return name
    raise UserError(f"{where}: not a named skeleton ({', '.join(SKELETONS)})")


def convert(
    pose: Float[np.ndarray, "P J 3"], source: str, target: str
) -> tuple[Float[np.ndarray, "P K 3"], tuple[str, ...]]:
    """Rearranges a pose for another skeleton.

    Args:
      pose: [P, J, 3] in the order of `source`.
      source: name in `SKELETONS`.
      target: name in `SKELETONS`.

    Returns:
      [P, K, 3], NaN for joints that nothing can replace, and the K names.
    """
    return arrange(pose, skeleton(source), skeleton(target)), skeleton(target)


def arrange(
    pose: Float[np.ndarray, "P J 3"], source: Sequence[str], target: Sequence[str]
) -> Float[np.ndarray, "P K 3"]:
    """`convert` for any lists of joints: [P, J, 3] in the order of `source` → [P, K, 3]."""
    index = {joint: i for i, joint in enumerate(source)}
    converted = np.full((len(pose), len(target), 3), np.nan, pose.dtype)
    for k, joint in enumerate(target):
        if joint in index:
            converted[:, k] = pose[:, index[joint]]
            continue
        for sum_of in _SUBSTITUTES.get(joint, ()):
            if all(member in index for member in sum_of):
                members = pose[:, [index[member] for member in sum_of]]
                converted[:, k] = np.einsum("pmx,m->px", members, [*sum_of.values()])
                break
    return converted
