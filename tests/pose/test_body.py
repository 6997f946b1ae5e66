"""From what an estimator sees to a body: errors that are put in are taken out."""

import dataclasses

import numpy as np
import pytest

from tests.pose.squats import NAMES, SIZE, bends, filmed
from video2emg.core.body_frame import LIMBS
from video2emg.core.errors import UserError
from video2emg.core.pose_track import BODY, UPRIGHT
from video2emg.pose import body as body_lib
from video2emg.pose import cleaning, gravity, lengths
from video2emg.pose.angles import LIMB_ANGLES, limb_angles
from video2emg.pose.body import BodyOptions

KNEE = bends(8, 15)


def joint(name: str) -> int:
    return NAMES.index(name)


@pytest.mark.parametrize("facing", [0, 40, -90, 150])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 0), (10, -15)])
def test_gravity_and_heading_are_found(facing, pitch, roll):
    track, truth = filmed(KNEE, facing=facing, pitch=pitch, roll=roll)
    body = body_lib.to_body(track, SIZE)
    assert body.track.axes == BODY
    assert body.view.pitch == pytest.approx(pitch, abs=5)
    assert body.view.roll == pytest.approx(roll, abs=5)
    assert np.cos(np.radians(body.view.facing - facing)) > np.cos(np.radians(6))
    error = np.linalg.norm(body.track.joints - truth, axis=2)
    assert np.nanmedian(error) < 0.09


def test_what_the_user_knows_is_used():
    track, truth = filmed(KNEE, facing=40, pitch=20, roll=5)
    known = BodyOptions(height=1.75, pitch=20, roll=5, facing=40)
    body = body_lib.to_body(track, SIZE, options=known)
    assert (body.view.pitch, body.view.roll, body.view.facing) == (20, 5, 40)
    angles = limb_angles(body.track.joints, NAMES) - limb_angles(truth, NAMES)
    assert np.abs(angles[:, [LIMB_ANGLES.index("left_knee")]]).max() < 3
    legs = [joint(f"left_{part}") for part in ("hip", "knee", "ankle")]
    error = np.linalg.norm((body.track.joints - truth)[:, legs], axis=2)
    assert error.max() < 0.08


def test_lengths_are_those_of_the_height():
    track, _ = filmed(KNEE)
    joints = track.joints.copy()
    joints[:, :, 2] += np.random.default_rng(0).normal(0, 0.03, joints.shape[:2])
    for height in (1.5, 1.9):
        noisy = dataclasses.replace(track, joints=joints)
        body = body_lib.to_body(noisy, SIZE, options=BodyOptions(height=height)).track
        for (upper, lower), fraction in LIMBS.items():
            bone = np.linalg.norm(body.at(f"left_{lower}") - body.at(f"left_{upper}"), axis=1)
            np.testing.assert_allclose(bone, fraction * height, rtol=1e-6)


def test_the_net_depth_is_refined_by_the_picture():
    track, truth = filmed(KNEE, facing=20, pitch=0)
    flat = dataclasses.replace(track, joints=track.joints * [1.0, 1.0, 0.5])
    refined = lengths.refine_depth(flat, SIZE)
    knee = LIMB_ANGLES.index("left_knee")
    true, before, after = (
        limb_angles(joints, NAMES)[:, knee] for joints in (truth, flat.joints, refined.joints)
    )
    rms = lambda x: np.sqrt(np.mean((x - true) ** 2))  # noqa: E731
    assert rms(after) < 0.7 * rms(before)


@pytest.mark.parametrize("share", [0.1, 0.4])
@pytest.mark.parametrize("facing", [0, 60, 180])
def test_left_and_right_are_exchanged_back(share, facing):
    track, _ = filmed(KNEE, facing=facing)
    rng = np.random.default_rng(1)
    wrong = np.repeat(rng.random(len(KNEE) // 4 + 1) < share, 4)[: len(KNEE)]
    found, exchanged = cleaning.undo_exchanges(cleaning.swapped(track, wrong))
    np.testing.assert_array_equal(exchanged, wrong)
    np.testing.assert_allclose(found.joints, track.joints)


def test_a_net_that_wavers_does_not_confuse():
    track, _ = filmed(KNEE)
    wrong = (track.times > 2) & (track.times < 4)
    swapped = cleaning.swapped(track, wrong)
    joints, points = swapped.joints.copy(), swapped.points_2d.copy()
    for edge in (int(wrong.argmax()), int(np.flatnonzero(wrong)[-1])):
        joints[edge] = (track.joints[edge] + cleaning.swapped(track, ~wrong).joints[edge]) / 2
        points[edge] = joints[edge, :, :2]
    wavering = dataclasses.replace(swapped, joints=joints, points_2d=points)
    exchanged = cleaning.undo_exchanges(wavering)[1]
    assert (exchanged != wrong).sum() <= 2


def test_who_turns_around_is_not_exchanged():
    turns = np.linspace(0, 360, len(KNEE))
    parts = [filmed(KNEE[i : i + 1], facing=turn)[0] for i, turn in enumerate(turns)]
    track = dataclasses.replace(
        filmed(KNEE)[0],
        joints=np.concatenate([part.joints for part in parts]),
        points_2d=np.concatenate([part.points_2d for part in parts]),
    )
    assert not cleaning.undo_exchanges(track)[1].any()


def test_short_gaps_are_filled_and_long_ones_are_not():
    track, _ = filmed(KNEE)
    seen = np.ones((len(KNEE), len(NAMES)), bool)
    seen[40:43] = False  # 0.2 s
    seen[60:75] = False  # 1 s
    smooth = cleaning.smooth(track.masked(seen))
    assert smooth.seen[:60].all() and not smooth.seen[60:75].any()
    np.testing.assert_allclose(smooth.joints[40:43], track.joints[40:43], atol=0.02)
    assert [(s.start, s.stop) for s in cleaning.spans(track.times, (), seen.all(1))] == [
        (0, 60),
        (75, len(KNEE)),
    ]


def test_nothing_is_smoothed_across_a_cut():
    track, _ = filmed(KNEE)
    jumped = track.joints + np.where(track.times >= 4, 5.0, 0.0)[:, None, None]
    smooth = cleaning.smooth(dataclasses.replace(track, joints=jumped), [track.times[60]])
    np.testing.assert_allclose(smooth.joints, jumped, atol=0.02)


def test_jitter_is_removed_and_movement_is_kept():
    track, _ = filmed(bends(8, 30), 30.0)
    noise = np.random.default_rng(0).normal(0, 0.02, track.joints.shape)
    smooth = cleaning.smooth(dataclasses.replace(track, joints=track.joints + noise))
    assert np.std(smooth.joints - track.joints) < 0.7 * 0.02
    quiet = cleaning.smooth(track)
    np.testing.assert_allclose(quiet.joints[15:-15], track.joints[15:-15], atol=0.005)


def test_joints_that_are_not_seen_are_masked():
    track, _ = filmed(KNEE)
    confidence = track.confidence.copy()
    confidence[:, joint("left_wrist")] = 0.1
    body = body_lib.to_body(dataclasses.replace(track, confidence=confidence), SIZE).track
    hidden = ~body.seen.all(0)
    assert [name for name, no in zip(NAMES, hidden, strict=True) if no] == ["left_wrist"]


def test_motion_capture_keeps_its_vertical():
    track, truth = filmed(KNEE)
    turned = dataclasses.replace(track, joints=truth[..., [1, 0, 2]] * [-1, 1, 1], axes=UPRIGHT)
    body = body_lib.to_body(dataclasses.replace(turned, points_2d=None))
    assert np.isnan(body.view.pitch)
    assert abs(body.view.facing) == pytest.approx(90, abs=1)
    assert np.nanmedian(np.linalg.norm(body.track.joints - truth, axis=2)) < 0.03


def test_points_without_depth_are_refused():
    track, _ = filmed(KNEE)
    flat = dataclasses.replace(track, joints=np.full_like(track.joints, np.nan))
    with pytest.raises(UserError, match="no depth"):
        body_lib.to_body(flat, SIZE)


def test_nobody_is_no_body():
    track, _ = filmed(KNEE)
    body = body_lib.to_body(track.masked(np.zeros_like(track.confidence, bool)), SIZE)
    assert not body.track.seen.any()


def test_the_median_of_views_is_better_than_the_worst():
    rng = np.random.default_rng(0)
    tracks, truth = [], np.zeros(0)
    for facing in (-40, 0, 40):
        track, truth = filmed(KNEE, facing=facing, pitch=5)
        slow = np.cumsum(rng.normal(0, 0.01, track.joints.shape[:2]), axis=0)
        joints = track.joints.copy()
        joints[..., 2] += slow
        tracks.append(body_lib.to_body(dataclasses.replace(track, joints=joints), SIZE).track)
    middle = body_lib.median_of_views(tracks)
    errors = [np.nanmean(np.linalg.norm(t.joints - truth, axis=2)) for t in (*tracks, middle)]
    assert errors[-1] < np.mean(errors[:-1])


def test_up_in_the_camera_is_what_is_estimated():
    for pitch, roll in ((0, 0), (25, 0), (-10, 20)):
        track, _ = filmed(np.full(20, 0.0), pitch=pitch, roll=roll)
        found = gravity.up_in_camera(*gravity.estimate_up(track))
        body = track.at("left_shoulder") + track.at("right_shoulder")
        body = (body - track.at("left_ankle") - track.at("right_ankle"))[0]
        assert found @ body / np.linalg.norm(body) > 0.999
