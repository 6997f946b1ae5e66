"""Angles against bodies that were posed by rotating each limb by a known angle."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from video2emg.core import skeleton, vocabulary
from video2emg.core.joint_angles import ANGLES, joint_angles

JOINTS = vocabulary.FLEX_21


def turn(axis, degrees):
    return Rotation.from_rotvec(np.radians(degrees) * np.asarray(axis, float)).as_matrix()


def body(left, right, lean=0.0):
    """Joint positions [1, 21, 3] m of a body whose joints are bent; angles by side in degrees."""
    y = np.array([0.0, 1.0, 0.0])
    trunk = turn(y, lean)
    at = {"head": trunk @ [0, 0, 0.8], "neck": trunk @ [0, 0, 0.6], "chest": trunk @ [0, 0, 0.4]}
    for side, sign, own in (("left", 1, left), ("right", -1, right)):
        shoulder = trunk @ [0, 0.2 * sign, 0.5]
        # Abduction first, then flexion about the left-right axis.
        arm = trunk @ turn(y, -own["shoulder_flexion"])
        arm = arm @ turn([1, 0, 0], sign * own["shoulder_abduction"])
        elbow = shoulder + arm @ [0, 0, -0.3]
        forearm = arm @ turn(y, -own["elbow_flexion"])
        at |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow}
        at |= {f"{side}_wrist": elbow + forearm @ [0, 0, -0.25]}
        at |= {f"{side}_hand": elbow + forearm @ [0, 0, -0.35]}
        thigh = trunk @ turn(y, -own["hip_flexion"])
        knee = np.array([0, 0.1 * sign, 0]) + thigh @ [0, 0, -0.4]
        shank = thigh @ turn(y, own["knee_flexion"])
        ankle = knee + shank @ [0, 0, -0.4]
        foot = shank @ turn(y, -own["ankle_dorsiflexion"])
        at |= {f"{side}_hip": np.array([0, 0.1 * sign, 0.0]), f"{side}_knee": knee}
        at |= {f"{side}_ankle": ankle, f"{side}_heel": ankle + foot @ [-0.05, 0, -0.08]}
        at |= {f"{side}_toe": ankle + foot @ [0.18, 0, -0.08]}
    return np.stack([at[name] for name in JOINTS])[None]


def posture(**changes):
    still = dict.fromkeys(name.removeprefix("left_") for name in ANGLES if "left" in name)
    return {name: float(changes.get(name, 0.0)) for name in still}


LEFT = posture(
    knee_flexion=70, hip_flexion=85, ankle_dorsiflexion=15, elbow_flexion=100, shoulder_flexion=50
)
RIGHT = posture(
    knee_flexion=20,
    hip_flexion=10,
    ankle_dorsiflexion=-30,
    elbow_flexion=5,
    shoulder_flexion=-40,
    shoulder_abduction=65,
)


def wanted(left, right, lean=0.0):
    values = {f"left_{k}": v for k, v in left.items()} | {f"right_{k}": v for k, v in right.items()}
    return np.array([(values | {"trunk_lean": lean})[name] for name in ANGLES])


@pytest.mark.parametrize(
    "left, right, lean",
    [
        (posture(), posture(), 0.0),
        (LEFT, RIGHT, 0.0),
        (RIGHT, LEFT, 35.0),
        (posture(shoulder_flexion=175), posture(shoulder_flexion=185), 0.0),
        (posture(shoulder_abduction=80), posture(shoulder_abduction=-20), 10.0),
    ],
)
def test_angles_are_those_that_the_body_was_bent_by(left, right, lean):
    pose = body(left, right, lean)
    np.testing.assert_allclose(joint_angles(pose, JOINTS)[0], wanted(left, right, lean), atol=1e-3)


def test_heading_place_and_size_do_not_matter():
    pose = body(LEFT, RIGHT, 20.0)
    moved = 1.3 * pose @ turn([0, 0, 1], 137.0).T + [3.0, -2.0, 0.7]
    np.testing.assert_allclose(joint_angles(moved, JOINTS), joint_angles(pose, JOINTS), atol=1e-3)


def test_a_mirrored_body_exchanges_the_sides():
    pose = body(LEFT, RIGHT, 20.0)
    mirrored = pose[:, vocabulary.mirror_order(JOINTS)] * [1, -1, 1]
    found = joint_angles(mirrored, JOINTS)[0]
    np.testing.assert_allclose(found, wanted(RIGHT, LEFT, 20.0), atol=1e-3)


def test_missing_joints_leave_nan_where_they_are_needed():
    pose = body(LEFT, RIGHT)
    pose[:, JOINTS.index("left_ankle")] = np.nan
    found = dict(zip(ANGLES, joint_angles(pose, JOINTS)[0], strict=True))
    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == {"left_knee_flexion", "left_ankle_dorsiflexion"}
    coco, joints = skeleton.convert(pose, "flex_21", "coco_17")
    found = dict(zip(ANGLES, joint_angles(coco, joints)[0], strict=True))
    assert np.isnan(found["right_ankle_dorsiflexion"])
    assert found["right_knee_flexion"] == pytest.approx(20, abs=1e-3)
