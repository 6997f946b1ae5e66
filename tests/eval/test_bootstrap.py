import numpy as np
import pytest

from tests.eval.clips import make_clip, make_set
from video2emg.eval import scores
from video2emg.eval.baselines import predict_baselines
from video2emg.eval.bootstrap import (
    BootstrapScores,
    interval,
    mean_over_seeds,
    recording_weights,
    subject_weights,
)

TRAIN = make_set(["a", "b", "c"], seed=1)
TEST = make_set(["x", "y", "z", "w"], seed=2, scaled=True)
TEMPLATE = predict_baselines(TRAIN, TEST, ["template"])["template"]
RNG = np.random.default_rng(3)
MODEL = [(0.8 * c.target + 0.05 * RNG.normal(size=c.target.shape)).astype("f4") for c in TEST]


def table(predictions=MODEL):
    return scores.tabulate(TEST, predictions, TEMPLATE)


def test_intervals_are_seeded_and_hold_the_score():
    scored = scores.bootstrap_scores(table(), samples=200).with_intervals()
    again = scores.bootstrap_scores(table(), samples=200).with_intervals()
    np.testing.assert_equal(scored, again)  # one muscle has no specificity: NaN
    for name in ("skill", "pcc", "rmse", "mae", "r2"):
        low, high = scored[f"{name}_ci95"]
        assert low < scored[name] < high


def test_interval_of_a_mean_has_the_textbook_width():
    # 40 subjects, one clip each, bias ~ N(0, 1): the standard error of the mean is s / √40.
    offsets = RNG.normal(size=40)
    clips = [
        make_clip(np.zeros((3, 1)), clip_id=str(i), subject=f"s{i:02d}")
        for i in range(len(offsets))
    ]
    predictions = [np.full((3, 1), offset) for offset in offsets]
    scored = scores.bootstrap_scores(scores.tabulate(clips, predictions, predictions))
    low, high = scored.with_intervals()["bias_ci95"]
    expected = 2 * 1.96 * offsets.std() / np.sqrt(40)
    np.testing.assert_allclose(high - low, expected, rtol=0.1)


def test_one_subject_has_no_interval():
    one = scores.bootstrap_scores(table().select(clips=table().subject == "x"))
    assert one.draws is None and np.isnan(one.with_intervals()["skill_ci95"]).all()
    assert np.isnan(one.minus(one, p_values=True)["skill_p"])
    assert recording_weights(np.array(["x", "x"]), 10, 0) is None


def test_paired_difference_is_narrower_than_its_parts():
    model = scores.bootstrap_scores(table(), samples=300)
    worse = scores.bootstrap_scores(table([p + np.float32(0.01) for p in MODEL]), samples=300)
    difference, alone = worse.minus(model, p_values=True), model.with_intervals()
    low, high = difference["mae_ci95"]
    assert low < difference["mae"] < high and difference["mae_p"] < 0.05
    assert high - low < 0.5 * np.diff(alone["mae_ci95"])[0]
    same = model.minus(model, p_values=True)
    assert same["skill"] == 0 and same["skill_ci95"] == [0, 0] and same["skill_p"] == 1


def test_as_many_subjects_are_drawn_as_there_are():
    weights = subject_weights(7, 4000, 0)
    assert (weights.sum(1) == 7).all()
    # Binomial(7, 1/7) per subject.
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.07)
    np.testing.assert_allclose(weights.var(0), 6 / 7, atol=0.1)


def test_recordings_count_as_often_as_their_subject_is_drawn():
    weights = recording_weights(np.array(["b", "a", "b"]), 50, seed=4)
    expected = subject_weights(2, 50, seed=4)
    np.testing.assert_array_equal(weights, expected[:, [1, 0, 1]])


def test_an_interval_needs_half_of_the_draws():
    draws = np.arange(100.0)
    draws[:50] = np.nan
    assert interval(draws) == pytest.approx([51.225, 97.775])
    draws[50] = np.nan
    assert np.isnan(interval(draws)).all() and np.isnan(interval(None)).all()


def test_seeds_are_averaged_draw_by_draw():
    runs = [BootstrapScores({"mae": v}, {"mae": np.array([v, v + 1])}) for v in (1.0, 3.0)]
    mean = mean_over_seeds(runs)
    assert mean.values == {"mae": 2.0} and mean.draws["mae"].tolist() == [2.0, 3.0]
