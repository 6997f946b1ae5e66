"""Segmenting a set into repetitions, on movements whose boundaries are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.inference.repetitions import segment

RATE = 5.0


def movement(lengths, rest=0.8, depth=1.0, seed=0, rate=RATE):
    """Repetitions with rests around them: trajectory [T, 6], and their turning points in s.

    Args:
      lengths: of the repetitions, s.
      rest: before and after each, s.
      depth: of the movement.
      seed: of direction and noise.
      rate: Hz.
    """
    rng = np.random.default_rng(seed)
    parts, turns, start = [], [], 0.0
    for length in lengths:
        phase = np.arange(0, length, 1 / 100) / length
        parts.append(np.concatenate([np.zeros(round(100 * rest)), np.sin(np.pi * phase) ** 2]))
        turns.append(start + rest + length / 2)
        start += len(parts[-1]) / 100
    distance = depth * np.concatenate([*parts, np.zeros(round(100 * rest))])
    fine_time = np.arange(len(distance)) / 100
    time = np.arange(0, fine_time[-1], 1 / rate)
    direction = rng.normal(size=6)
    noise = 0.03 * depth * rng.normal(size=(len(time), 6))
    return np.interp(time, fine_time, distance)[:, None] * direction + noise, turns


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(1.5, 3.5), min_size=1, max_size=12),
    st.floats(0.01, 100.0),
    st.integers(0, 1000),
)
def test_every_repetition_is_found_once(lengths, depth, seed):
    trajectory, turns = movement(lengths, depth=depth, seed=seed)
    spans = segment(trajectory, RATE)
    assert len(spans) == len(turns)
    for (start, end), turn in zip(spans, turns, strict=True):
        assert start < turn < end
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


def test_repetitions_meet_in_the_middle_of_the_rest():
    trajectory, _ = movement([2.0, 2.0, 2.0], rest=1.0, rate=25.0)
    spans = segment(trajectory, 25.0)
    assert [round(start, 1) for start, _ in spans[1:]] == pytest.approx([3.5, 6.5], abs=0.2)


def test_the_sign_of_the_movement_does_not_matter():
    trajectory, _ = movement([2.0, 2.5, 2.0, 3.0])
    assert segment(trajectory, RATE) == segment(-trajectory, RATE)


def test_there_are_no_repetitions_without_movement():
    assert segment(np.zeros((50, 6)), RATE) == []
    assert segment(np.zeros((2, 6)), RATE) == []
