import numpy as np
import pytest

from video2emg.core.pose_track import PoseTrack


def track(confidence: np.ndarray) -> PoseTrack:
    shape = confidence.shape
    return PoseTrack(
        names=tuple("abc"[: shape[1]]),
        times=np.arange(shape[0]) / 10,
        joints=np.ones((*shape, 3)),
        confidence=confidence,
        points_2d=np.ones((*shape, 2)),
    )


def test_a_joint_without_confidence_has_no_position():
    seen = track(np.array([[1.0, 0.0, 0.5], [np.nan, 1.0, 0.2]]))
    assert seen.seen.tolist() == [[True, False, True], [False, True, True]]
    assert np.isnan(seen.joints[0, 1]).all() and np.isnan(seen.points_2d[0, 1]).all()
    assert seen.confidence[1, 0] == 0
    assert np.isnan(seen.at("none")).all() and np.isnan(seen.at("b")[0]).all()


def test_masking_keeps_the_rest():
    seen = track(np.ones((2, 3))).masked(np.array([[True, False, True]] * 2))
    assert seen.seen.sum(0).tolist() == [2, 0, 2]
    assert seen.rate == pytest.approx(10)


def test_shapes_and_times_are_checked():
    with pytest.raises(ValueError, match="joints"):
        PoseTrack(("a",), np.arange(2.0), np.zeros((2, 2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="increase"):
        PoseTrack(("a",), np.zeros(2), np.zeros((2, 1, 3)), np.ones((2, 1)))
