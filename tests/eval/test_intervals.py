import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from video2emg.eval import intervals
from video2emg.eval.series import ClipSeries

MUSCLES = ("left_biceps_brachii", "right_biceps_brachii")


def people(names, rng, noise, clips=6, n=200):
    """Clips with errors whose size `noise(prediction, hidden)` says; and what a model knows."""
    series, emg, spread = [], [], []
    for name in names:
        for k in range(clips):
            guess = rng.random((n, 2)).astype(np.float32)
            size = noise(guess, rng.uniform(0.2, 2.0, (n, 2))).astype(np.float32)
            time = np.arange(n) / 50
            series.append(
                ClipSeries(
                    clip_id=f"{name}{k}",
                    dataset="test",
                    subject=name,
                    action="curl" if k % 2 else "press",
                    muscles=MUSCLES,
                    time=time,
                    phase=(time / time[-1]).astype(np.float32),
                    target=(guess + size * rng.laplace(size=(n, 2))).astype(np.float32),
                    mask=np.ones((n, 2), bool),
                )
            )
            emg.append(guess)
            spread.append(size)
    return series, (emg, spread)


def calibrated(noise, with_predicted_mae=True, seed=0):
    rng = np.random.default_rng(seed)
    series, said = people("abcd", rng, noise)
    test, told = people("efgh", rng, noise)
    if not with_predicted_mae:
        said, told = (said[0], None), (told[0], None)
    return intervals.calibrate(series, said, test, told, samples=100)


@pytest.mark.parametrize("with_predicted_mae", [True, False])
def test_unseen_people_lie_within_as_often_as_said(with_predicted_mae):
    """Errors that grow with activity and with something only the model's spread knows."""
    found = calibrated(lambda guess, hidden: 0.05 * hidden * (0.5 + guess), with_predicted_mae)
    widths = []
    for level in intervals.LEVELS:
        part = found[f"{level:g}"]
        # EMG below zero is cut off the interval, so that it may hold less than it should by that.
        assert part["coverage"] == pytest.approx(level, abs=0.04)
        low, high = part["coverage_ci95"]
        assert low <= part["coverage"] <= high
        assert set(part["by_action"]) == {"curl", "press"}
        assert set(part["by_muscle"]) == {"biceps_brachii"}
        widths.append(part["width"])
    assert widths == sorted(widths)
    same = found["0.8"]["without_predicted_mae"]["width"] == found["0.8"]["width"]
    assert same is not with_predicted_mae


def test_a_spread_that_knows_makes_intervals_narrower():
    found = calibrated(lambda guess, hidden: np.where(hidden > 1.1, 0.1, 0.01))["0.95"]
    assert found["width"] < 0.9 * found["without_predicted_mae"]["width"]


def test_a_wrong_spread_costs_width_but_not_coverage():
    rng = np.random.default_rng(0)
    series, (emg, _) = people("abcd", rng, lambda guess, hidden: 0.05 + 0 * hidden)
    test, (told, _) = people("efgh", rng, lambda guess, hidden: 0.05 + 0 * hidden)
    wild = [rng.uniform(0.02, 2.0, x.shape).astype(np.float32) for x in emg]
    found = intervals.calibrate(series, (emg, wild), test, (told, wild), samples=10)["0.8"]
    assert found["coverage"] == pytest.approx(0.8, abs=0.03)
    assert found["width"] > found["without_predicted_mae"]["width"]


def test_people_unlike_those_that_were_fitted_on_are_not_covered():
    """What coverage is measured for: it can fail."""
    rng = np.random.default_rng(0)
    series, said = people("abcd", rng, lambda guess, hidden: 0.02 + 0 * hidden)
    test, told = people("efgh", rng, lambda guess, hidden: 0.1 + 0 * hidden)
    found = intervals.calibrate(series, (said[0], None), test, (told[0], None), samples=10)
    assert found["0.8"]["coverage"] < 0.5
    assert "0.8" in found and "cover" in intervals.coverage_text(found)


def test_what_few_people_do_not_show_of_the_next_is_allowed_for():
    """Six people with a bias each: what holds for their samples is too narrow for others."""
    rng = np.random.default_rng(0)

    def draw(count):
        person = np.repeat(np.arange(count), 1500)
        bias = 0.1 * rng.normal(size=count)
        error = bias[person] + 0.05 * rng.normal(size=len(person))
        guess = rng.random(len(person)).astype(np.float32)
        return intervals.Samples(guess, error, np.zeros(len(person), int), person)

    plain, raised = [], []
    for _ in range(10):
        known, new = draw(6), draw(100)
        at, low, high = intervals._quantiles(known, np.array([0.8]))
        tables = (at, low[0], high[0]), intervals.tabulate(known, 0.8)
        for found, (at, low, high) in zip((plain, raised), tables, strict=True):
            ends = [np.interp(new.predicted, at[0], end[0]) for end in (low, high)]
            found.append(((new.error >= ends[0]) & (new.error <= ends[1])).mean())
    assert np.mean(plain) < 0.77 < np.mean(raised) < 0.83
    alone = draw(1)
    at, low, high = intervals._quantiles(alone, np.array([0.8]))
    for one, other in zip(intervals.tabulate(alone, 0.8), (at, low[0], high[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_few_samples_give_no_intervals():
    rng = np.random.default_rng(0)
    series, said = people("a", rng, lambda guess, hidden: 0.05 + 0 * hidden, clips=1, n=100)
    assert intervals.calibrate(series, said, series, said) == {}
    assert intervals.coverage_text({}) == ""


@hypothesis.given(st.integers(0, 1000), st.floats(0.1, 0.98))
@hypothesis.settings(max_examples=25)
def test_bounds_hold_the_prediction_and_no_negative_emg(seed, level):
    rng = np.random.default_rng(seed)
    predicted = rng.random(2400).astype(np.float32)
    error = rng.normal(size=2400) * 0.1
    person = rng.integers(0, 3, 2400)
    samples = intervals.Samples(predicted, error, np.repeat([0, 1], 1200), person)
    table = intervals.tabulate(samples, level)
    names = (f"left_{intervals.vocabulary.MUSCLES[0]}", f"right_{intervals.vocabulary.MUSCLES[1]}")
    emg = rng.random((30, 2)).astype(np.float32)
    found = intervals.bounds(table, emg, None, names)
    assert found is not None
    low, high = found
    assert (low >= 0).all() and (low <= emg).all() and (emg <= high).all()
    assert intervals.bounds(table, emg, None, (f"left_{intervals.vocabulary.MUSCLES[2]}",)) is None
