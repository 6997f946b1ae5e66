"""Angles from joints are the inverse of joints from angles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from video2emg.pose.opensim_angles import NAMES, angles_from_joints, joints_from_angles

RANGES = {
    "pelvis_tilt": (-80, 60),
    "pelvis_list": (-30, 30),
    "pelvis_rotation": (-90, 90),
    "lumbar_rotation": (-40, 40),
}
OF_SIDE = {
    "hip_flexion": (-30, 120),
    "hip_adduction": (-60, 40),
    "knee_angle": (1, 130),
    "ankle_angle": (-40, 30),
    "arm_flex": (-60, 170),
    "arm_add": (-80, 30),
    "elbow_flex": (0, 140),
}
RANGES |= {f"{name}_{side}": ends for name, ends in OF_SIDE.items() for side in "rl"}


def drawn(seed: int, count: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(*ends, count) for name, ends in RANGES.items()}


@given(st.integers(0, 1000), st.floats(1.2, 2.2))
def test_all_coordinates_are_found_again(seed, height):
    angles = drawn(seed)
    again = angles_from_joints(joints_from_angles(angles, "test", height), NAMES)
    assert set(again) == set(angles)
    for name, values in angles.items():
        np.testing.assert_allclose(again[name], values, atol=1e-4, err_msg=name)


def test_turns_about_the_long_axis_change_nothing_that_is_written():
    angles = drawn(3)
    turned = angles | {f"{name}_{s}": np.full(20, 25.0) for name in ("hip_rotation",) for s in "rl"}
    again = angles_from_joints(joints_from_angles(turned, "test"), NAMES)
    for name in ("hip_flexion_r", "hip_adduction_l", "knee_angle_r", "pelvis_tilt"):
        np.testing.assert_allclose(again[name], angles[name], atol=1e-4)


def test_an_unknown_angle_loses_the_joints_beyond_it():
    angles = drawn(1)
    angles["elbow_flex_l"][5] = angles["lumbar_rotation"][6] = np.nan
    joints = joints_from_angles(angles, "test")
    lost = [{n for n, x in zip(NAMES, row, strict=True) if np.isnan(x).any()} for row in joints]
    assert lost[4] == set() and lost[5] == {"left_wrist"}
    arms = {f"{s}_{part}" for s in ("left", "right") for part in ("shoulder", "elbow", "wrist")}
    assert lost[6] == arms | {"chest", "neck", "head"}
    whole = joints_from_angles(drawn(1), "test")
    np.testing.assert_array_equal(joints[np.isfinite(joints)], whole[np.isfinite(joints)])


def test_a_joint_that_is_unknown_takes_its_angles_with_it():
    joints = joints_from_angles(drawn(0), "test")
    joints[4, NAMES.index("left_knee")] = np.nan
    angles = angles_from_joints(joints, NAMES)
    lost = {name for name, values in angles.items() if np.isnan(values[4])}
    assert lost == {"hip_flexion_l", "hip_adduction_l", "knee_angle_l", "ankle_angle_l"}
    assert all(np.isfinite(np.delete(values, 4)).all() for values in angles.values())
    few = [i for i, name in enumerate(NAMES) if "elbow" not in name]
    angles = angles_from_joints(joints[:, few], [NAMES[i] for i in few])
    assert np.isnan(angles["arm_flex_r"]).all() and np.isfinite(angles["knee_angle_r"]).all()
