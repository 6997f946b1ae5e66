"""Segmenting a set into repetitions, on movements whose boundaries are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.inference.repetitions import segment
from video2emg.sim import tempo as tempo_lib

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


@settings(max_examples=60)
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
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def tempo_and_pose(seed: int, rate: float):
    """A set with partial, slow and paused repetitions, and a trajectory [T, 6] with noise."""
    rng = np.random.default_rng(seed)
    tempo = tempo_lib.draw(rng, [(1.0, 1.0)] * 6)
    time = np.arange(0, tempo.duration, 1 / rate)
    direction = rng.normal(size=6)
    noise = 0.02 * rng.normal(size=(len(time), 6))
    return tempo, tempo.progress(time)[:, None] * direction + noise


@pytest.mark.parametrize("rate", [5.0, 25.0])
def test_partial_slow_and_paused_repetitions_are_counted_and_bounded(rate):
    exact, errors = [], []
    for seed in range(60):
        tempo, trajectory = tempo_and_pose(seed, rate)
        spans = segment(trajectory, rate)
        exact.append(len(spans) == len(tempo.cycles))
        if exact[-1]:
            truth = [(cycle.start, cycle.end) for cycle in tempo.cycles]
            errors.append(np.abs(np.array(spans) - truth).ravel())
    assert np.mean(exact) >= 0.95
    assert np.median(np.concatenate(errors)) < 0.06
    assert np.mean(np.concatenate(errors) <= 0.15) > 0.9


def test_a_repetition_of_half_the_depth_is_not_merged_into_its_neighbour():
    cycles = [tempo_lib.Cycle(1.0 + 3 * k, 1.2, 0.1, 1.2, 0.5 if k == 2 else 1.0) for k in range(5)]
    tempo = tempo_lib.Tempo(tuple(cycles), 17.0)
    trajectory = tempo.progress(tempo.time)[:, None] * np.ones(3)
    assert len(segment(trajectory, tempo_lib.POSE_RATE)) == 5


def test_the_sign_of_the_movement_does_not_matter():
    trajectory, _ = movement([2.0, 2.5, 2.0, 3.0])
    assert segment(trajectory, RATE) == segment(-trajectory, RATE)


def test_there_are_no_repetitions_without_movement():
    assert segment(np.zeros((50, 6)), RATE) == []
    assert segment(np.zeros((2, 6)), RATE) == []
