import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from video2emg.core import segment_directions as sd
from video2emg.core import vocabulary

SHAPE = (4, len(sd.SEGMENTS), 3)


def pose(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 21, 3))


def lengths(joints: np.ndarray) -> np.ndarray:
    at = dict(zip(vocabulary.FLEX_21, np.moveaxis(joints, 1, 0), strict=True))
    at[""] = (at["left_hip"] + at["right_hip"]) / 2
    return np.stack([np.linalg.norm(at[b] - at[a], axis=1) for a, b in sd.SEGMENTS])


@given(st.integers(0, 1000), st.floats(0, 3))
def test_bones_keep_their_lengths_and_nothing_changes_without_rotation(seed, size):
    joints = pose(seed)
    np.testing.assert_allclose(sd.turned(joints, np.zeros(SHAPE)), joints, atol=1e-9)
    # The hips turn alike, so that their middle stays.
    rotation = size * np.random.default_rng(seed + 1).normal(size=SHAPE)
    rotation[:, 1] = rotation[:, 0]
    np.testing.assert_allclose(lengths(sd.turned(joints, rotation)), lengths(joints), atol=1e-9)


def test_the_rotation_between_two_poses_is_undone():
    start, end = pose(0), pose(1)
    rotation = sd.rotations(sd.directions(start), sd.directions(end))
    there = sd.turned(start, rotation)
    np.testing.assert_allclose(sd.directions(there)[:, 2:], sd.directions(end)[:, 2:], atol=1e-6)
    back = sd.turned(there, -sd.rotations(sd.directions(start), sd.directions(there)))
    np.testing.assert_allclose(sd.directions(back)[:, 2:], sd.directions(start)[:, 2:], atol=1e-6)


def test_turns_are_those_of_scipy():
    joints, rotation = pose(3), np.random.default_rng(5).normal(size=SHAPE)
    rotation[:, 1] = rotation[:, 0]
    expected = Rotation.from_rotvec(rotation.reshape(-1, 3)).apply(
        sd.directions(joints).reshape(-1, 3)
    )
    found = sd.directions(sd.turned(joints, rotation)).reshape(-1, 3)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_mirror_images_turn_alike():
    joints, rotation = pose(2), np.random.default_rng(4).normal(size=SHAPE)
    order = vocabulary.mirror_order(vocabulary.FLEX_21)

    def mirror(x):
        return x[:, order] * np.array([1.0, -1.0, 1.0])

    np.testing.assert_allclose(
        mirror(sd.turned(joints, rotation)),
        sd.turned(mirror(joints), sd.mirrored(rotation)),
        atol=1e-9,
    )
    np.testing.assert_allclose(sd.mirrored(sd.mirrored(rotation)), rotation)
