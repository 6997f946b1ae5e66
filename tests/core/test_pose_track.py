import numpy as np
import pytest

from video2emg.core.pose_track import PoseTrack, interpolate


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


def test_some_instants_of_a_track():
    whole = track(np.ones((5, 2)))
    for rows in (slice(1, 3), (whole.times > 0.05) & (whole.times < 0.25)):
        part = whole.during(rows)
        assert part.times.tolist() == [0.1, 0.2] and part.joints.shape == (2, 2, 3)
        assert part.confidence.shape == (2, 2) and part.points_2d is None


def test_shapes_and_times_are_checked():
    with pytest.raises(ValueError, match="joints"):
        PoseTrack(("a",), np.arange(2.0), np.zeros((2, 2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="increase"):
        PoseTrack(("a",), np.zeros(2), np.zeros((2, 1, 3)), np.ones((2, 1)))


def test_a_track_is_sampled_between_its_instants_and_nowhere_else():
    times = np.array([1.0, 1.1, 1.2, 1.4])
    joints = np.stack([np.stack([times, 2 * times, -times], 1)] * 2, 1)
    confidence = np.ones((4, 2))
    confidence[2, 1] = 0
    seen = PoseTrack(("a", "b"), times, joints, confidence)
    wanted = np.array([0.5, 1.0, 1.05, 1.19, 1.31, 1.4, 2.0])
    values, known = seen.sampled(wanted)
    assert known[:, 0].tolist() == [False, True, True, True, True, True, False]
    assert known[:, 1].tolist() == [False, True, True, False, True, True, False]
    np.testing.assert_allclose(values[known][:, 0], np.stack([wanted] * 2, 1)[known])
    np.testing.assert_allclose(values[known][:, 1], 2 * values[known][:, 0])
    assert np.isnan(values[~known]).all()


def test_samples_are_on_the_lines_between_the_instants_at_which_a_joint_is_known():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.03, 0.2, 80))
    seen = PoseTrack(("a", "b"), times, rng.normal(size=(80, 2, 3)), rng.uniform(size=(80, 2)))
    seen = seen.masked(rng.uniform(size=(80, 2)) > 0.4)
    wanted = rng.uniform(times[0], times[-1], 200)
    values, known = seen.sampled(wanted)
    for j in range(2):
        at = seen.seen[:, j]
        for x in range(3):
            line = np.interp(wanted, times[at], seen.joints[at, j, x])
            np.testing.assert_allclose(values[known[:, j], j, x], line[known[:, j]])
    np.testing.assert_array_equal(known, seen.seen_at(wanted))


def test_tracks_share_what_does_not_change():
    whole = track(np.ones((2, 3)))
    part = whole.masked(np.array([[True, False, True]] * 2))
    assert not np.isnan(whole.joints).any() and np.isnan(part.joints[:, 1]).all()
    again = part.masked(np.array([[True, False, True]] * 2))
    assert again.joints is part.joints and again.points_2d is part.points_2d


def test_a_track_of_one_instant_and_of_none_can_be_sampled():
    one = PoseTrack(("a",), np.array([1.0]), np.ones((1, 1, 3)), np.ones((1, 1)))
    assert one.sampled(np.array([0.9, 1.0]))[1].tolist() == [[False], [True]]
    none = PoseTrack(("a",), np.zeros(0), np.ones((0, 1, 3)), np.ones((0, 1)))
    assert not none.sampled(np.array([0.0]))[1].any()


def test_interpolation_bridges_gaps_and_bends_only_what_is_always_known():
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    joints = np.stack([np.stack([times**2] * 3, 1)] * 3, 1)
    joints[2, 1] = np.nan
    joints[:, 2] = np.nan
    wanted = np.array([0.5, 2.0, 3.5])
    straight = interpolate(times, joints, wanted)
    np.testing.assert_allclose(straight[:, 0, 0], [0.5, 4.0, 12.5])
    np.testing.assert_allclose(straight[:, 1, 0], [0.5, 5.0, 12.5])
    smooth = interpolate(times, joints, wanted, smooth=True)
    np.testing.assert_allclose(smooth[:, 0, 0], wanted**2)
    np.testing.assert_array_equal(smooth[:, 1], straight[:, 1])
    assert np.isnan(smooth[:, 2]).all()


def test_a_track_of_few_instants_becomes_a_smooth_one():
    times = np.arange(12) / 12
    course = np.sin(2 * np.pi * times)
    joints = np.stack([course, course, course], 1)[:, None].repeat(2, 1)
    confidence = np.ones((12, 2))
    confidence[4:7, 1] = 0
    seen = PoseTrack(("a", "b"), times, joints, confidence)
    dense = seen.resampled(48.0)
    assert dense.rate == pytest.approx(48.0) and dense.times[-1] <= times[-1]
    np.testing.assert_allclose(dense.joints[:, 0, 0], np.sin(2 * np.pi * dense.times), atol=0.01)
    # Instants that are nearest to those without the joint stay unknown.
    gap = (dense.times > 3.6 / 12) & (dense.times < 6.4 / 12)
    assert not dense.seen[gap, 1].any() and dense.seen[~gap & (dense.times < 3.4 / 12), 1].all()


def test_nothing_is_seen_in_a_gap_of_the_times():
    times = np.concatenate([np.arange(0, 2, 0.1), np.arange(8, 10, 0.1)])
    joints = np.random.default_rng(0).normal(size=(len(times), 2, 3))
    track = PoseTrack(("left_hip", "right_hip"), times, joints, np.ones((len(times), 2)))
    gapped = track.with_gaps_unseen(0.3)
    wanted = np.arange(0, 9.9, 0.05)
    known = gapped.seen_at(wanted)[:, 0]
    inside = (wanted > 2.0) & (wanted < 7.9)
    assert not known[inside].any() and known[~inside].mean() > 0.94
    np.testing.assert_array_equal(gapped.joints[gapped.seen[:, 0]], joints)
    assert track.seen_at(wanted).all()  # as it was
    even = PoseTrack(track.names, np.arange(40) / 2, joints[:40], np.ones((40, 2)))
    assert even.with_gaps_unseen(0.3) is even  # pictures that are seldom, but even
