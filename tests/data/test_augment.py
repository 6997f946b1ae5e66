"""Augmented examples stay consistent."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.data.test_person import with_person
from tests.data.windows import NO_AUGMENTATION, WINDOW, assert_same, examples
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS
from video2emg.data import augment
from video2emg.data.augment import Augmentation, Mirror


def test_a_mirror_swaps_sides_and_is_its_own_inverse(clips):
    example = examples(clips).read_window(0, 0.0)
    mirror = Mirror(WINDOW.joints, WINDOW.dofs)
    once = mirror(example)
    assert_same(mirror(once), example)
    left = WINDOW.joints.index("left_knee")
    right = WINDOW.joints.index("right_knee")
    np.testing.assert_array_equal(once["pose"][:, left], example["pose"][:, right] * [1, -1, 1])
    np.testing.assert_array_equal(once["true_pose"], once["pose"])  # here without errors
    np.testing.assert_array_equal(once["side"], 1 - example["side"])
    np.testing.assert_array_equal(once["emg"], example["emg"])
    assert vocabulary.VIEWS[once["view"][1]] == "right"


def test_augmentation_does_not_change_its_input(clips):
    example = examples(clips).read_window(0, 0.0)
    before = {name: value.copy() for name, value in example.items()}
    mirror = Mirror(WINDOW.joints, WINDOW.dofs)
    rng = np.random.default_rng(0)
    changed = Augmentation()(example, rng, mirror)
    assert_same(example, before)
    assert changed["video"].dtype == np.uint8 and (changed["video"] != example["video"]).any()
    assert_same(NO_AUGMENTATION(example, rng, mirror), example)


def test_repeating_moves_all_fields_in_step(clips):
    example = examples(clips).read_window(0, 1.5)  # half of the window is after the recording
    known = np.flatnonzero(example["video_mask"].any(0))
    count = len(example["video_mask"][0])
    each = len(example["emg"]) // count
    assert 2 < len(known) < count
    mirror, starts = Mirror(WINDOW.joints, WINDOW.dofs), set()
    repeat = dataclasses.replace(NO_AUGMENTATION, repeat=1.0)
    for seed in range(20):
        changed = repeat(example, np.random.default_rng(seed), mirror)
        distance = np.abs(changed["pose"][:, None] - example["pose"][known]).sum((2, 3))
        frame = distance.argmin(1)
        assert ((np.diff(frame) - 1) % len(known) == 0).all()  # in order, again and again
        starts.add(frame[0])
        assert changed["video_mask"].all()
        np.testing.assert_array_equal(changed["true_pose"], changed["pose"])
        for t, source in enumerate(known[frame]):
            new, old = slice(t * each, (t + 1) * each), slice(source * each, (source + 1) * each)
            np.testing.assert_array_equal(changed["emg"][new], example["emg"][old])
            np.testing.assert_array_equal(changed["video"][:, t], example["video"][:, source])
            np.testing.assert_array_equal(changed["torque"][t], example["torque"][source])
    assert starts == set(range(len(known)))
    labelled = example | {"phase": np.zeros(3, np.int32)}
    assert_same(repeat(labelled, np.random.default_rng(0), mirror), labelled)


def test_a_window_within_a_set_is_not_repeated(clips):
    """What fills the window is continuous; to roll it would make a jump."""
    example = examples(clips).read_window(0, 0.0)
    full = example | {"video_mask": np.ones_like(example["video_mask"])}
    repeat = dataclasses.replace(NO_AUGMENTATION, repeat=1.0)
    assert_same(repeat(full, np.random.default_rng(0), Mirror(WINDOW.joints, WINDOW.dofs)), full)


def test_a_mirror_exchanges_the_hands_that_hold_the_load(clips):
    example = examples(clips).read_window(0, 0.0)
    held = example | {"held": np.array([1, 0, 0.5, 0, 0], np.float32), "held_mask": np.True_}
    mirror = Mirror(WINDOW.joints, WINDOW.dofs)
    assert mirror(held)["held"].tolist() == [0, 1, 0.5, 0, 0]
    assert_same(mirror(mirror(held)), held)


@pytest.mark.parametrize("dy, dx", [(0, 0), (2, -3), (-1, 4), (-7, -7)])
def test_shift_repeats_the_border(dy, dx):
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype(np.uint8)
    rows, columns = np.clip(np.arange(9) - dy, 0, 8), np.clip(np.arange(8) - dx, 0, 7)
    np.testing.assert_array_equal(augment._shift(frames, dy, dx), frames[:, rows][:, :, columns])


def test_recolour_changes_all_pixels_of_a_channel_alike():
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype(np.uint8)
    changed = augment._recolour(frames, 0.3, np.random.default_rng(1))
    assert changed.shape == frames.shape and (changed != frames).mean() > 0.5
    for c in range(3):
        order = np.argsort(frames[..., c], axis=None)
        assert (np.diff(changed[..., c].ravel()[order].astype(int)) >= 0).all()


@hypothesis.given(
    st.integers(0, 10_000),
    st.dictionaries(st.sampled_from(("views", *INPUTS)), st.floats(0, 1), max_size=5),
)
@hypothesis.settings(max_examples=30)
def test_a_view_or_the_pose_always_stays(seed, hide):
    example = examples([with_person()]).read_window(0, 0.0)
    before = {name: value.copy() for name, value in example.items()}
    augmentation = Augmentation(flip=0, shift=0, colour=0, time=0, hide=hide)
    changed = augmentation(example, np.random.default_rng(seed), Mirror(WINDOW.joints, WINDOW.dofs))
    assert_same(example, before)
    pose = bool(hide.get("pose")) and changed["pose_mask"].any()
    assert changed["video_mask"].any() or pose
    for name in INPUTS:
        if not hide.get(name):
            np.testing.assert_array_equal(changed[f"{name}_mask"], example[f"{name}_mask"])
    if not hide.get("views"):
        np.testing.assert_array_equal(changed["video_mask"], example["video_mask"])


def test_inputs_are_dropped_with_their_probabilities():
    example = examples([with_person()]).read_window(0, 0.0)
    augmentation = Augmentation(flip=0, shift=0, colour=0, hide={"views": 0.5, "load": 0.25})
    rng, mirror = np.random.default_rng(0), Mirror(WINDOW.joints, WINDOW.dofs)
    changed = [augmentation(example, rng, mirror) for _ in range(2000)]
    assert np.mean([not g["load_mask"] for g in changed]) == pytest.approx(0.25, abs=0.03)
    # Each view in half of the cases, except half of the quarter in which both would be dropped.
    dropped = np.mean([~g["video_mask"].any(1) for g in changed], 0)
    np.testing.assert_allclose(dropped, 0.375, atol=0.03)


def test_unknown_inputs_are_refused():
    with pytest.raises(UserError, match="smell"):
        Augmentation(hide={"smell": 0.5})
