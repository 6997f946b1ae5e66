import dataclasses

import numpy as np
import pytest

from tests.eval.people import clip, curves_of
from video2emg.eval import delay

GAINS = np.array([1.0, 0.3, 5.0])


@pytest.mark.parametrize("late", [0.0, 0.4, 1.2])
def test_a_known_delay_is_found(late):
    series = [clip("a", number, GAINS, late) for number in range(5)]
    found = delay.estimate(series, [curves_of(one) for one in series])
    assert found.seconds == pytest.approx(late, abs=0.05)
    assert found.low - 0.05 <= late <= found.high + 0.05 and found.r > 0.8
    assert not found.remark


def test_shifted_emg_is_where_it_would_be_without_the_delay():
    late, right = clip("a", 0, GAINS, 0.48), clip("a", 0, GAINS)
    back = delay.shifted(late, 0.48)
    known = back.mask
    assert known[:60].all() and not known[-11:].any()
    np.testing.assert_allclose(back.target[known], right.target[known], atol=1e-4)
    assert delay.shifted(right, 0.0) is right


def test_a_periodic_movement_is_ambiguous():
    time = np.arange(100) / 25
    wave = 1 + np.sin(2 * np.pi * time / 0.9)[:, None] * np.ones(3)
    one = clip("a", 0, GAINS)
    changed = {"time": time, "phase": (time / 4).astype(np.float32), "angles": None}
    changed |= {"target": wave.astype(np.float32), "mask": np.ones(wave.shape, bool)}
    series = dataclasses.replace(one, **changed)
    found = delay.estimate([series, series], [wave, wave])
    assert found.remark.startswith("ambiguous: the movement is periodic")
    assert "+0.90 s" in found.remark or "-0.90 s" in found.remark


def test_of_delays_that_fit_alike_the_one_is_taken_that_recording_can_cause():
    """A wave of 1.3 s that is 1 s late is as well 0.3 s early."""
    time = np.arange(150) / 25
    late = 1 + np.sin(2 * np.pi * (time - 1.0) / 1.3)[:, None] * np.ones(3)
    wave = 1 + np.sin(2 * np.pi * time / 1.3)[:, None] * np.ones(3)
    one = clip("a", 0, GAINS)
    changed = {"time": time, "phase": (time / 6).astype(np.float32), "angles": None}
    changed |= {"target": late.astype(np.float32), "mask": np.ones(late.shape, bool)}
    rng = np.random.default_rng(0)
    series = []
    for _ in range(4):
        noisy = (late + 0.4 * rng.normal(size=late.shape)).astype(np.float32)
        series.append(dataclasses.replace(one, **(changed | {"target": noisy})))
    found = delay.estimate(series, [wave] * 4)
    assert found.seconds == pytest.approx(1.0, abs=0.05)
    assert found.seconds - 0.1 < found.low <= found.seconds <= found.high < found.seconds + 0.1
    assert found.r > 0.7
    assert "-0.3" in found.remark and "as well or nearly so" in found.remark


def test_muscles_that_hardly_work_do_not_hide_the_delay():
    rng = np.random.default_rng(0)
    series, predictions = [], []
    for number in range(3):
        one = clip("a", number, GAINS, 0.6)
        noise = np.abs(rng.normal(size=(len(one.time), 9))).astype(np.float32)
        names = (*one.muscles, *(f"left_{n}" for n in "abcdefghi"))
        target = np.concatenate([one.target, noise], 1)
        series.append(
            dataclasses.replace(one, muscles=names, target=target, mask=np.ones(target.shape, bool))
        )
        idle = 0.01 * rng.normal(size=noise.shape)
        predictions.append(np.concatenate([curves_of(one), idle], 1))
    found = delay.estimate(series, predictions)
    assert found.seconds == pytest.approx(0.6, abs=0.05) and found.r > 0.8


def test_what_does_not_fit_or_is_too_short_has_no_delay():
    series = [clip("a", number, GAINS) for number in range(4)]
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=one.target.shape) for one in series]
    assert "do not fit" in delay.estimate(series, noise).remark
    flat = [np.ones(one.target.shape) for one in series]
    found = delay.estimate(series, flat)
    assert found.seconds == 0 and np.isnan(found.r) and "no delay" in found.remark
