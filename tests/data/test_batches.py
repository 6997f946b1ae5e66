"""Batches are a function of the seed and the step, whoever reads them."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from tests.data.windows import NO_AUGMENTATION, POSE_WINDOW, WINDOW, assert_same, examples
from video2emg.core.batch import split_pose_only, with_pose_only
from video2emg.core.clip import Repetition, validate
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import VIEWS
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches
from video2emg.data.examples import has_pose
from video2emg.data.train_stream import train_batches


def test_training_batches_can_start_at_any_step(clips):

    def batches(start):
        return iter(train_batches(examples(clips), Augmentation(), 4, seed=3, start=start))

    straight = batches(0)
    expected = [next(straight) for _ in range(7)]
    later = batches(4)
    for batch in expected[4:]:
        assert_same(next(later), batch)


def test_each_epoch_covers_the_split_in_another_order(clips):
    it = iter(train_batches(examples(clips), NO_AUGMENTATION, batch=4, seed=0))
    epochs = [np.concatenate([next(it)["index"] for _ in range(3)]) for _ in range(2)]
    assert all(sorted(e) == list(range(12)) for e in epochs)
    assert (epochs[0] != epochs[1]).any()


@pytest.mark.parametrize("rows", [([0, 1], [2, 3]), ([0, 3], [1, 2]), ([0], [1], [2], [3])])
def test_processes_read_the_rows_of_the_same_batches(clips, rows):

    def batches(mine=None):
        ds = train_batches(examples(clips), Augmentation(), 4, seed=3, rows=mine, start=2)
        return iter(ds)

    whole, parts = batches(), [batches(mine) for mine in rows]
    for _ in range(3):
        batch = next(whole)
        for mine, part in zip(rows, parts, strict=True):
            assert_same(next(part), {name: value[mine] for name, value in batch.items()})


def test_clips_without_a_pose_are_left_out_where_the_pose_is_the_input(clips):
    lost = {1, 4, 7}
    clips = [
        dataclasses.replace(clip, pose=np.full_like(clip.pose, np.nan)) if i in lost else clip
        for i, clip in enumerate(clips)
    ]
    posed = [i for i, clip in enumerate(clips) if has_pose(clip)]
    assert set(posed) == set(range(12)) - lost
    read = examples(clips, POSE_WINDOW)
    batches = iter(train_batches(read, NO_AUGMENTATION, batch=9, seed=0, only=posed))
    for _ in range(2):
        assert sorted(next(batches)["index"]) == posed


def test_examples_beside_a_batch_can_be_told_apart():
    batch, others = {"pose": 1, "emg": 2}, {"pose": 3}
    both = with_pose_only(batch, others)
    assert split_pose_only(both) == (batch, others)
    assert split_pose_only(batch) == (batch, {})


def test_evaluation_rows_are_rows_of_the_whole_batch(clips):
    for whole, part in zip(
        eval_batches(examples(clips), 5),
        eval_batches(examples(clips), 5, rows=[1, 4]),
        strict=True,
    ):
        for name, value in whole.items():
            np.testing.assert_array_equal(
                part[name], value if name.startswith("_") else value[[1, 4]]
            )


def test_evaluation_reads_every_window_once_and_pads_the_last_batch(clips):
    batches = list(eval_batches(examples(clips), 5))
    windows = [
        (int(b["index"][i]), float(b["start"][i]))
        for b in batches
        for i in np.flatnonzero(b["_mask"])
    ]
    # Clips of 2 s whose last frame is at 1.9 s: the second window ends with it.
    assert sorted(windows) == [(i, pytest.approx(s)) for i in range(12) for s in (0.0, 0.9)]
    assert all(len(b["index"]) == 5 for b in batches)


@pytest.mark.parametrize("stride", [0.3, 0.7])
def test_evaluation_windows_overlap_and_end_with_the_clip(clips, stride):
    read = examples(clips, dataclasses.replace(WINDOW, stride=stride))
    starts = np.array(read.window_starts(0))
    assert starts[0] == 0 and starts[-1] == pytest.approx(0.9)
    assert (np.diff(starts) > 0).all() and np.diff(starts).max() <= stride + 1e-9
    assert read.window_starts(0, 1.0) == pytest.approx([0.0, 0.9])
    short = examples([make_clip(0, seconds=1.2)], dataclasses.replace(WINDOW, stride=stride))
    assert short.window_starts(0) == [0.0]


@pytest.mark.parametrize("stride", [0.0, -1.0, 1.1, float("nan")])
def test_a_stride_outside_the_window_is_refused(stride):
    with pytest.raises(UserError, match=r"config.data.stride: .* config.data.seconds=1"):
        dataclasses.replace(WINDOW, stride=stride)


def test_training_windows_start_anywhere_in_a_set():
    clip = make_clip(0, seconds=6.0)
    clip = dataclasses.replace(clip, phases=(), errors=(), score=float("nan"))
    bounds = [Repetition(start=0.5 + 1.7 * k, end=2.0 + 1.7 * k) for k in range(3)]
    whole = validate(dataclasses.replace(clip, repetitions=tuple(bounds)))
    # A set is never repeated: the fields stay those of the window.
    changed = dataclasses.replace(NO_AUGMENTATION, time=0.2, repeat=1.0)
    read = examples([whole] * 8, POSE_WINDOW, cache=2**26)
    batches = iter(train_batches(read, changed, 8, seed=0))
    found = [next(batches) for _ in range(40)]
    starts = np.concatenate([batch["start"] for batch in found])
    counts, _ = np.histogram(starts, 10, (-0.2, 5.2))
    assert starts.min() < -0.1 and starts.max() > 5.1 and counts.min() > 10
    again = read.read_window(0, float(found[0]["start"][3]))
    np.testing.assert_allclose(found[0]["emg"][3], again["emg"], atol=1e-5)


def test_cameras_are_drawn_among_those_that_a_clip_has(clips):
    """The default names the cameras of the gym, of which a lab may have other ones."""
    drawn = dataclasses.replace(NO_AUGMENTATION, cameras=("back", "front", "left", "right"))
    two = dataclasses.replace(WINDOW, views=("front", "left"))
    batches = iter(train_batches(examples(clips, two), drawn, 4, seed=0))
    found = [next(batches) for _ in range(10)]
    names = {VIEWS[view] for batch in found for view in batch["view"].ravel()}
    assert set(clips[0].views) == {"front", "left"} and names == {"front", "left"}
    assert all(batch["video_mask"].any(2).all() for batch in found)
    one = dataclasses.replace(NO_AUGMENTATION, cameras=("back", "left"))
    batch = next(iter(train_batches(examples(clips, two), one, 4, seed=0)))
    assert {VIEWS[view] for view in batch["view"][:, 0]} == {"left"}
    assert batch["video_mask"][:, 0].any(1).all() and not batch["video_mask"][:, 1].any()
    none = dataclasses.replace(NO_AUGMENTATION, cameras=("back", "right"))
    batch = next(iter(train_batches(examples(clips, two), none, 4, seed=0)))
    assert {VIEWS[view] for view in batch["view"].ravel()} == {"front", "left"}


def test_too_large_a_batch_is_refused(clips):
    for field in ("config.train.batch_size", "config.eval.batch_size"):
        with pytest.raises(UserError, match=f"{field} 13 is larger than the training split"):
            train_batches(examples(clips), NO_AUGMENTATION, batch=13, seed=0, field=field)
