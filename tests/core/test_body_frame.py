"""The canonical frame: what it must not depend on, and what it must keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.bodies import standing, swinging_arms
from video2emg.core import body_frame, skeleton, vocabulary
from video2emg.data.store import open_dataset

FLEX = vocabulary.FLEX_21


def canonical(pose, mask=None, joints=FLEX, target=FLEX):
    mask = np.ones(pose.shape[:2], bool) if mask is None else mask
    return body_frame.canonical_pose(joints, pose, mask, target)


def test_a_body_that_faces_x_and_is_of_the_right_height_only_moves_to_the_origin():
    body = swinging_arms(20)
    pose, mask, height = canonical(body + np.array([3.0, -1.0, 0.2]))
    assert mask.all() and pose.dtype == np.float32
    assert height == pytest.approx(1.75, abs=1e-6)
    np.testing.assert_allclose(pose, body, atol=1e-6)


@given(
    yaw=st.floats(-180, 180),
    place=st.tuples(*[st.floats(-5, 5)] * 3),
    scale=st.floats(1e-2, 1e3),
)
@settings(max_examples=50)
def test_heading_place_and_unit_do_not_matter(yaw, place, scale):
    body = swinging_arms(10)
    turned = scale * Rotation.from_euler("z", yaw, degrees=True).apply(body.reshape(-1, 3))
    pose, mask, height = canonical(turned.reshape(body.shape) + scale * np.array(place))
    assert mask.all() and height == pytest.approx(1.75 * scale, rel=1e-6)
    np.testing.assert_allclose(pose, body, atol=1e-5)


def test_a_turn_within_the_window_stays_visible():
    angles = np.linspace(-40, 40, 21)
    body = np.stack([Rotation.from_euler("z", a, degrees=True).apply(standing()) for a in angles])
    body = Rotation.from_euler("z", 130, degrees=True).apply(body.reshape(-1, 3)).reshape(21, 21, 3)
    pose, _, _ = canonical(body)
    across = pose[:, FLEX.index("left_hip")] - pose[:, FLEX.index("right_hip")]
    found = np.degrees(np.arctan2(-across[:, 0], across[:, 1]))
    np.testing.assert_allclose(found, angles, atol=1e-3)


def test_a_tilt_against_gravity_is_kept():
    tilted = Rotation.from_euler("y", 20, degrees=True).apply(standing())[None]
    pose, _, _ = canonical(tilted)
    np.testing.assert_allclose(pose, tilted, atol=1e-5)


def test_unknown_joints_are_masked_and_disturb_no_others():
    body, mask = swinging_arms(30), np.ones((30, 21), bool)
    mask[3:9, FLEX.index("left_hip")] = False  # the other hip gives the origin
    mask[12, [FLEX.index("left_hip"), FLEX.index("right_hip")]] = False  # no origin
    mask[:, FLEX.index("right_knee")] = False
    body[20, FLEX.index("left_wrist")] = np.nan
    noisy = np.where(mask[..., None], body, 1e6)
    pose, known, height = canonical(noisy, mask)
    expected = mask & np.isfinite(body).all(2)
    expected[12] = False
    np.testing.assert_array_equal(known, expected)
    assert height == pytest.approx(1.75, abs=1e-6)
    np.testing.assert_allclose(pose[known], body[known], atol=1e-5)
    assert not pose[~known].any()


def test_moments_with_left_and_right_exchanged_do_not_change_the_heading():
    body = swinging_arms(30)
    wrong = body.copy()
    wrong[10:18] = body[10:18][:, vocabulary.mirror_order(FLEX)]
    np.testing.assert_allclose(canonical(wrong)[0], wrong, atol=1e-5)


def test_without_any_segment_everything_is_masked():
    mask = np.zeros((4, 21), bool)
    mask[:, [FLEX.index("left_hip"), FLEX.index("head")]] = True
    pose, known, height = canonical(np.repeat(standing()[None], 4, 0), mask)
    assert not known.any() and not pose.any() and np.isnan(height)
    pose, known, height = canonical(np.zeros((4, 21, 3)))
    assert not known.any() and not pose.any() and np.isnan(height)


def test_a_body_on_its_side_has_no_heading_and_is_not_rotated():
    lying = Rotation.from_euler("x", 90, degrees=True).apply(standing())[None]
    np.testing.assert_allclose(canonical(lying)[0], lying, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(skeleton.SKELETONS) - {"flex_21"}))
def test_another_skeleton_goes_through_the_same_door(name):
    body = standing()[None]
    own = skeleton.skeleton(name)
    theirs = np.full((1, len(own), 3), np.nan)
    for j, joint in enumerate(own):
        if joint in FLEX:
            theirs[:, j] = body[:, FLEX.index(joint)]
    if name == "blazepose_33":  # the hand is between the bases of two fingers
        for side in vocabulary.SIDES:
            hand = body[:, FLEX.index(f"{side}_hand")]
            for sign, finger in ((1, "index"), (-1, "pinky")):
                theirs[:, own.index(f"{side}_{finger}")] = hand + sign * np.array([0, 0, 0.03])
    if "left_ear" in own:
        head = body[:, FLEX.index("head")]
        for sign, side in ((1, "left"), (-1, "right")):
            theirs[:, own.index(f"{side}_ear")] = head + sign * np.array([0, 0.08, 0])
    pose, known, _ = canonical(theirs, joints=own)
    heels = [FLEX.index(f"{side}_heel") for side in vocabulary.SIDES]
    missing = {FLEX[j] for j in np.flatnonzero(~known[0])}
    assert missing == ({"left_toe", "right_toe"} if name == "coco_17" else set())
    exact = known.copy()
    exact[:, [j for j in heels if FLEX[j] not in own]] = False  # the ankle stands in
    np.testing.assert_allclose(pose[exact], body[exact], atol=2e-3)


def test_simulated_people_have_their_height_and_their_missing_joints_their_place(tiny_dir):
    """The segments' fractions and the stand-ins, held against the simulator's own bodies."""
    clips, found = open_dataset("gymsim/tiny", tiny_dir).splits["train"], ("chest", "neck", "head")
    hands = tuple(f"{side}_hand" for side in vocabulary.SIDES)
    fewer = [joint for joint in FLEX if joint not in (*found, *hands)]
    for index in range(0, len(clips), 3):
        clip = clips[index]
        mask = np.ones(clip.pose.shape[:2], bool)
        true, _, height = canonical(clip.pose)
        assert height == pytest.approx(clip.provenance["subject"]["height_m"], rel=0.02)
        given = clip.pose[:, [FLEX.index(joint) for joint in fewer]]
        pose, known, _ = canonical(given, mask[:, : len(fewer)], fewer)
        assert known.all()
        for joint in (*found, *hands):
            error = np.linalg.norm(pose - true, axis=2)[:, FLEX.index(joint)]
            assert np.median(error) < 0.025
