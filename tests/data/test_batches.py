"""Batches are a function of the seed and the step, whoever reads them."""

import numpy as np
import pytest

from tests.data.windows import NO_AUGMENTATION, assert_same, examples
from video2emg.core.errors import UserError
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches, train_batches


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
    assert sorted(windows) == [(i, s) for i in range(12) for s in (0.0, 1.0)]
    assert all(len(b["index"]) == 5 for b in batches)


def test_too_large_a_batch_is_refused(clips):
    with pytest.raises(UserError, match="batch_size"):
        train_batches(examples(clips), NO_AUGMENTATION, batch=13, seed=0)
