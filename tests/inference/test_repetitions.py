"""Cutting a set into repetitions, on movements whose cuts are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.inference.repetitions import segment

RATE = 5.0


def movement(lengths, rest=0.8, depth=1.0, seed=0, rate=RATE):
    """Repetitions of those lengths in s with rests around them; [T, 6], and their turns in s."""
    rng = np.random.default_rng(seed)
    parts, turns, now = [], [], 0.0
    for length in lengths:
        phase = np.arange(0, length, 1 / 100) / length
        parts.append(np.concatenate([np.zeros(round(100 * rest)), np.sin(np.pi * phase) ** 2]))
        turns.append(now + rest + length / 2)
        now += len(parts[-1]) / 100
    one = depth * np.concatenate([*parts, np.zeros(round(100 * rest))])
    fine = np.arange(len(one)) / 100
    time = np.arange(0, fine[-1], 1 / rate)
    direction = rng.normal(size=6)
    wobble = 0.03 * depth * rng.normal(size=(len(time), 6))
    return np.interp(time, fine, one)[:, None] * direction + wobble, turns


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(1.5, 3.5), min_size=1, max_size=12),
    st.floats(0.01, 100.0),
    st.integers(0, 1000),
)
def test_every_repetition_is_found_once(lengths, depth, seed):
    moved, turns = movement(lengths, depth=depth, seed=seed)
    found = segment(moved, RATE)
    assert len(found) == len(turns)
    for (start, end), turn in zip(found, turns, strict=True):
        assert start < turn < end
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


def test_repetitions_meet_in_the_middle_of_the_rest():
    moved, _ = movement([2.0, 2.0, 2.0], rest=1.0, rate=25.0)
    found = segment(moved, 25.0)
    assert [round(start, 1) for start, _ in found[1:]] == pytest.approx([3.5, 6.5], abs=0.2)


def test_the_sign_of_the_movement_does_not_matter():
    moved, _ = movement([2.0, 2.5, 2.0, 3.0])
    assert segment(moved, RATE) == segment(-moved, RATE)


def test_nothing_repeats_where_nothing_moves():
    assert segment(np.zeros((50, 6)), RATE) == []
    assert segment(np.zeros((2, 6)), RATE) == []
