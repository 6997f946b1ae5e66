import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.data.dense_pose import dense


def slow_clip(rate: float = 10.0, seconds: float = 3.0):
    """Joints that swing, seen at few instants."""
    clip = make_clip(0, seconds=seconds)
    time = np.arange(round(rate * seconds)) / rate
    pose = np.sin(2 * np.pi * 0.6 * time)[:, None, None] * np.arange(1, 64).reshape(21, 3)
    return dataclasses.replace(clip, pose=pose.astype(np.float32), pose_time=time)


def test_a_swing_is_followed_between_the_instants():
    clip = dense(slow_clip(), 25.0)
    truth = np.sin(2 * np.pi * 0.6 * clip.pose_time)
    assert clip.pose_time[0] == 0 and clip.pose_time[-1] == pytest.approx(2.9)
    assert np.diff(clip.pose_time).max() <= 0.04 + 1e-9
    np.testing.assert_allclose(clip.pose[:, 0, 0], truth, atol=0.005)
    # Its acceleration too, which straight lines do not have.
    inner = slice(10, -10)
    bend = np.gradient(np.gradient(clip.pose[:-1, 0, 0], 0.04), 0.04)[inner]
    swing = -((2 * np.pi * 0.6) ** 2) * truth[:-1][inner]
    np.testing.assert_allclose(bend, swing, atol=1.5)
    assert not clip.dofs and not clip.torque.size


def test_joints_that_are_unknown_stay_so():
    slow = slow_clip()
    slow.pose[:, 3] = np.nan
    slow.pose[5, 4] = np.nan
    clip = dense(slow, 25.0)
    assert np.isnan(clip.pose[:, 3]).all()
    near = np.abs(clip.pose_time - 0.5) < 0.0999
    assert np.isnan(clip.pose[near, 4]).all() and np.isfinite(clip.pose[~near, 4]).all()
    assert np.isfinite(clip.pose[:, 5]).all()


def test_a_fast_pose_stays_as_it_is():
    clip = make_clip(0)
    np.testing.assert_array_equal(dense(clip, 25.0).pose, clip.pose)
    empty = dataclasses.replace(clip, pose=clip.pose[:0], pose_time=clip.pose_time[:0])
    assert not len(dense(empty, 25.0).pose)
