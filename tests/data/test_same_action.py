"""Batches with several clips of an action, which are a function of seed and step."""

import collections

import grain
import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.data.same_action import SameActionBatches
from video2emg.data.train_stream import stream

ACTIONS = list("aaaabbbbbbccc")


def order(count=3, seed=0):
    shuffled = grain.MapDataset.range(len(ACTIONS)).seed(seed).shuffle()
    return SameActionBatches(shuffled, ACTIONS, count, seed)


def batches(start=0, rows=None, number=4):
    made = stream(order(), lambda i, _: np.array(i), 6, rows, start, threads=1)
    return [x.tolist() for x, _ in zip(made, range(number), strict=False)]


def test_each_group_has_distinct_clips_of_one_action():
    places = [order()[i] for i in range(len(order()))]
    groups = np.array(places).reshape(-1, 3)
    assert sorted(groups[:, 0].tolist()) == list(range(len(ACTIONS)))
    for group in groups:
        assert len(set(group.tolist())) == 3 and len({ACTIONS[i] for i in group}) == 1
    companions = collections.Counter(groups[:, 1:].ravel().tolist())
    assert len(companions) > len(ACTIONS) // 2


def test_a_stream_can_start_at_any_step_and_be_shared():
    whole = batches()
    assert batches(start=2, number=2) == whole[2:]
    assert batches(rows=[1, 4]) == [[batch[1], batch[4]] for batch in whole]
    assert [order(seed=1)[i] for i in range(12)] != [order()[i] for i in range(12)]


def test_an_action_with_too_few_clips_is_named():
    with pytest.raises(UserError, match=r"same_action=4.*only 3 training clips of 'c'"):
        order(count=4)
