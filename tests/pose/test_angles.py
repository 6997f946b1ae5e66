import numpy as np

from tests.pose.fakes import bent
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.pose.angles import LIMB_ANGLES, limb_angles


def test_known_angles():
    angles = limb_angles(bent(70.0)[None], BLAZEPOSE_33)[0]
    at = dict(zip(LIMB_ANGLES, angles, strict=True))
    np.testing.assert_allclose([at["left_knee"], at["right_knee"]], 70, atol=1e-6)
    assert at["left_elbow"] < 6 and at["left_hip"] < 10 and at["left_shoulder"] < 8


def test_missing_joints_are_nan():
    joints = bent(0.0)[None]
    joints[:, BLAZEPOSE_33.index("left_wrist")] = np.nan
    missing = np.isnan(limb_angles(joints, BLAZEPOSE_33)[0])
    assert [name for name, lost in zip(LIMB_ANGLES, missing, strict=True) if lost] == ["left_elbow"]
