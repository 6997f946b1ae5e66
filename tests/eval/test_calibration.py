import numpy as np
import pytest

from tests.eval.clips import make_clip
from video2emg.eval.calibration import GainOffset

TIME = np.linspace(0, 1, 80)[:, None]


def clips(gains, offsets, count=3, seed=0):
    """Predictions, and clips of somebody whose channels are those times a gain plus an offset."""
    rng = np.random.default_rng(seed)
    predictions = [
        0.1 + rng.uniform(0.2, 0.8) * np.sin(np.pi * TIME) ** 2 * np.ones((1, 2))
        for _ in range(count)
    ]
    return [make_clip(p * gains + offsets, f"c{i}") for i, p in enumerate(predictions)], predictions


def test_without_a_prior_it_is_ordinary_least_squares():
    series, predictions = clips(np.array([1.7, 0.6]), np.array([0.02, 0.05]))
    found = GainOffset(1e-9).fit(series, predictions)
    for clip, prediction in zip(series, predictions, strict=True):
        np.testing.assert_allclose(found.apply(clip, prediction), clip.target, atol=1e-5)


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_the_prior_draws_towards_no_change_and_data_overcome_it(strength):
    gains = np.array([1.7, 1.7])
    errors = []
    for count in (1, 4, 64):
        series, predictions = clips(gains, 0.0, count)
        found = GainOffset(strength).fit(series, predictions)
        there = found.apply(series[0], predictions[0])
        errors.append(np.abs(there - series[0].target).mean())
        before = np.abs(predictions[0] - series[0].target).mean()
        assert errors[-1] < before
    assert errors == sorted(errors, reverse=True)


def test_channels_that_were_not_measured_get_the_common_gain():
    series, predictions = clips(np.array([1.5, 1.5]), 0.0, 8)
    found = GainOffset(0.1).fit(series, predictions)
    other = make_clip(np.ones((10, 2)), action="squat")
    np.testing.assert_allclose(found.apply(other, np.ones((10, 2))), 1.5, atol=0.05)
    nothing = GainOffset().fit([], [])
    np.testing.assert_array_equal(nothing.apply(other, np.ones((10, 2))), 1.0)
