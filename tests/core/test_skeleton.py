import itertools

import numpy as np
import pytest

from video2emg.core import skeleton, vocabulary
from video2emg.core.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", skeleton.SKELETONS)
def test_names_are_unique_and_have_mirror_images(name):
    joints = skeleton.skeleton(name)
    assert len(joints) == int(name.rpartition("_")[2]) == len(set(joints))
    assert sorted(vocabulary.mirror_order(joints)) == list(range(len(joints)))


def test_a_name_without_a_mirror_image_is_refused_or_stays():
    names = ("nose", "left_hip", "left_knee", "right_hip")
    assert vocabulary.mirror_order(names, strict=False) == [0, 3, 2, 1]
    with pytest.raises(ValueError, match="'right_knee' is not in"):
        vocabulary.mirror_order(names)


@pytest.mark.parametrize("source, target", itertools.permutations(skeleton.SKELETONS, 2))
def test_conversion_moves_joints_by_name(source, target):
    own = skeleton.skeleton(source)
    values = RNG.normal(size=(4, len(own), 3)).astype(np.float32)
    converted, names = skeleton.convert(values, source, target)
    for k, joint in enumerate(names):
        if joint in own:
            np.testing.assert_array_equal(converted[:, k], values[:, own.index(joint)])
    if target == "flex_21":  # what models are trained on is complete, but for COCO's feet
        lost = {name for name, x in zip(names, converted[0], strict=True) if np.isnan(x).any()}
        assert lost == ({"left_toe", "right_toe"} if source == "coco_17" else set())


def test_unknown_joints_are_missing_and_middles_are_exact():
    values = RNG.normal(size=(2, 21, 3)).astype(np.float32)
    converted, names = skeleton.convert(values, "flex_21", "ntu_25")
    assert np.isnan(converted[:, names.index("left_thumb")]).all()
    hips = [vocabulary.FLEX_21.index(f"{side}_hip") for side in ("left", "right")]
    np.testing.assert_allclose(converted[:, 0], values[:, hips].mean(1), rtol=1e-6)


def test_ntu_joints_are_those_of_the_flex_loader():
    """The published mapping: middle of the hips → 0, neck → 2, head → 3, and so on."""
    values = np.arange(21 * 3, dtype=np.float32).reshape(1, 21, 3)
    converted, _ = skeleton.convert(values, "flex_21", "ntu_25")
    for ntu, flex in (
        (2, 1),
        (3, 0),
        (20, 2),
        (4, 7),
        (7, 10),
        (8, 3),
        (11, 6),
        (12, 16),
        (16, 11),
    ):
        np.testing.assert_array_equal(converted[:, ntu], values[:, flex])


def test_unknown_skeletons_are_refused():
    with pytest.raises(UserError, match=r"clips\.csv: 'coco' is not one of flex_21"):
        skeleton.skeleton("coco", "clips.csv")
