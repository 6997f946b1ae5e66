import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2emg.core.overlap_add import OverlapAdd, window_starts


@given(
    seconds=st.floats(0.1, 40), length=st.floats(0.5, 8), share=st.floats(0.05, 1, exclude_min=True)
)
def test_windows_cover_the_recording_and_stay_inside(seconds, length, share):
    stride = share * length
    starts = window_starts(seconds, length, stride)
    assert starts[0] == 0.0
    if seconds <= length:
        assert starts == [0.0]
        return
    assert starts[-1] + length == pytest.approx(seconds)
    steps = np.diff(starts)
    assert (steps > 0).all() and (steps <= stride + 1e-9).all()
    assert len(starts) == math.ceil((seconds - length) / stride - 1e-9) + 1


@given(
    rate=st.sampled_from([10.0, 50.0]),
    count=st.integers(30, 120),
    starts=st.lists(st.floats(-1.0, 10.0), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_the_average_equals_the_weighted_mean_at_each_sample(rate, count, starts, seed):
    """Each sample is averaged again alone, from the definition."""
    rng = np.random.default_rng(seed)
    windows = [(s, rng.normal(size=(20, 2)).astype(np.float32)) for s in starts]
    total = OverlapAdd(count, rate)
    for start, values in windows:
        total.add(start, values)
    covered = total.covered.copy()
    found = total.finish()
    for n in range(count):
        values, weights = [], []
        for start, window in windows:
            clock = np.arange(20) + start * rate
            inside = clock[0] - 1e-3 <= n <= clock[-1] + 1e-3
            if not inside:
                continue
            grid = np.arange(math.ceil(clock[0] - 1e-3), math.floor(clock[-1] + 1e-3) + 1)
            values.append([np.interp(n, clock, column) for column in window.T])
            weights.append(min(n - grid[0], grid[-1] - n) + 1)
        assert covered[n] == bool(weights)
        if weights:
            wanted = np.average(values, axis=0, weights=weights)
            np.testing.assert_allclose(found[n], wanted, atol=1e-2)


def test_a_straight_line_comes_back_whatever_the_windows():
    time = np.arange(200) / 50
    line = np.stack([time, 5 - time], 1)
    total = OverlapAdd(200, 50.0)
    for start in (0.0, 1.234, 2.0):
        time = start + np.arange(100) / 50
        total.add(start, np.stack([time, 5 - time], 1).astype(np.float32))
    np.testing.assert_allclose(total.finish(), line, atol=1e-4)


def test_samples_without_a_window_are_interpolated_and_held_at_the_ends():
    total = OverlapAdd(12, 1.0)
    total.add(2.0, np.full((2, 1), 1.0, np.float32))
    total.add(6.0, np.full((3, 1), 4.0, np.float32))
    wanted = [1, 1, 1, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    np.testing.assert_allclose(total.finish()[:, 0], wanted, atol=1e-6)
