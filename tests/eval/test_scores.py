import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sk

from tests.eval.clips import make_clip, make_set
from video2emg.core.errors import UserError
from video2emg.eval import metrics, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.eval.bootstrap import subject_weights

TRAIN = make_set(["a", "b", "c"], seed=1)
TEST = make_set(["x", "y", "z", "w"], seed=2, scaled=True)
TEMPLATE = predict_baselines(TRAIN, TEST, ["template"])["template"]
RNG = np.random.default_rng(3)
MODEL = [(0.8 * c.target + 0.05 * RNG.normal(size=c.target.shape)).astype("f4") for c in TEST]


def table(predictions=MODEL):
    return scores.tabulate(TEST, predictions, TEMPLATE)


def flat(arrays):
    return np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays])


def by_channel(predictions):
    """channel -> (all targets, all predictions)."""
    found = {}
    for clip, prediction in zip(TEST, predictions, strict=True):
        for c, name in enumerate(clip.muscles):
            y, p = found.setdefault(name, ([], []))
            y.extend(clip.target[:, c].tolist())
            p.extend(prediction[:, c].tolist())
    return {name: (np.array(y), np.array(p)) for name, (y, p) in found.items()}


def test_overall_scores_equal_their_definitions():
    found = scores.score(table())
    y, p, template = flat(c.target for c in TEST), flat(MODEL), flat(TEMPLATE)
    rs, clip_rmse, amplitudes = [], [], {}
    for clip, prediction in zip(TEST, MODEL, strict=True):
        clip_rmse.append(np.sqrt(np.mean((prediction - clip.target) ** 2, dtype=np.float64)))
        for c, name in enumerate(clip.muscles):
            rs.append(scipy.stats.pearsonr(clip.target[:, c], prediction[:, c]).statistic)
            pair = clip.target[:, c].mean(), prediction[:, c].mean()
            amplitudes.setdefault((clip.action, name), []).append(pair)
    channels = by_channel(MODEL).values()
    total = sum(np.sum((a - a.mean()) ** 2) for a, _ in channels)
    residuals = np.concatenate([np.array(v) - np.mean(v, 0) for v in amplitudes.values()])
    raw = [(p - c.target) * c.scale for c, p in zip(TEST, MODEL, strict=True)]
    wanted = {
        "rmse_source": np.sqrt(np.mean(flat(raw) ** 2)),
        "skill": 1 - np.sum((p - y) ** 2) / np.sum((template - y) ** 2),
        "rmse": np.sqrt(sk.mean_squared_error(y, p)),
        "mae": sk.mean_absolute_error(y, p),
        "bias": np.mean(p - y),
        "vaf": 1 - np.sum((p - y) ** 2) / np.sum(y**2),
        "r2": 1 - np.sum((p - y) ** 2) / total,
        "nrmse": np.mean([np.sqrt(np.mean((b - a) ** 2)) / np.ptp(a) for a, b in channels]),
        "pcc": np.mean(rs),
        "rmse_macro": np.mean(clip_rmse),
        "amplitude_r": scipy.stats.pearsonr(*residuals.T).statistic,
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, 1e-5, err_msg=name)
    assert found["rmse_macro"] <= found["rmse"]
    assert list(found) == list(scores.METRICS)


def test_one_channel_equals_scikit_learn():
    only = table().select(channels=np.array(table().channels) == "left_biceps_brachii")
    y, p = by_channel(MODEL)["left_biceps_brachii"]
    np.testing.assert_allclose(scores.score(only)["r2"], sk.r2_score(y, p), 1e-6)


def test_perfect_and_reference_predictions():
    perfect = scores.score(table([c.target for c in TEST]))
    for name in ("skill", "pcc", "amplitude_r", "r2", "vaf", "peak_ratio"):
        np.testing.assert_allclose(perfect[name], 1, atol=1e-9, err_msg=name)
    for name in ("rmse", "mae", "bias", "onset_ms", "onset_missed", "symmetry_error"):
        np.testing.assert_allclose(perfect[name], 0, atol=1e-9, err_msg=name)
    template = scores.score(table(TEMPLATE))
    assert template["skill"] == 0
    assert template["amplitude_r"] == 0
    assert template["pcc"] > 0.9


def test_flat_predictions_get_zero_correlation_and_miss_every_onset():
    flat_ones = scores.score(table([np.full(c.target.shape, 0.3, "f4") for c in TEST]))
    assert flat_ones["pcc"] == 0
    assert flat_ones["amplitude_r"] == 0
    assert flat_ones["onset_missed"] == 1
    assert np.isnan(flat_ones["onset_ms"])
    assert flat_ones["skill"] < 0


def test_going_flat_on_some_clips_is_not_rewarded():
    some = [np.zeros_like(p) if i % 2 else p for i, p in enumerate(MODEL)]
    assert scores.score(table(some))["pcc"] < 0.6 * scores.score(table())["pcc"]


def test_a_quiet_channel_has_no_course():
    burst = np.sin(np.pi * np.linspace(0, 1, 80)) ** 2
    clip = make_clip(np.stack([burst, 0.04 * burst], 1))
    guess = np.stack([burst, 1 - burst], 1)
    found = scores.score(scores.tabulate([clip], [guess], [guess]))
    np.testing.assert_allclose(found["pcc"], 1, atol=1e-6)
    louder = make_clip(np.stack([burst, 0.06 * burst], 1))
    found = scores.score(scores.tabulate([louder], [guess], [guess]))
    np.testing.assert_allclose(found["pcc"], 0, atol=1e-6)


def test_specificity_is_the_mean_over_clips_and_channels():
    time = np.linspace(0, 6 * np.pi, 150)
    target = 0.3 + 0.2 * np.stack([np.sin(time), np.cos(time), -np.sin(time)], 1)
    shared = np.repeat(target[:, :1], 3, 1)
    clips = [
        make_clip(target, clip_id=str(i), action="squat", window=1.0, starts=np.arange(3.0))
        for i in range(2)
    ]
    table = scores.tabulate(clips, [target, shared], [target, target])
    parts = [
        metrics.specificity(c.target, p, c.mask, 50)
        for c, p in zip(clips, (target, shared), strict=True)
    ]
    # The columns of the table are the sorted names of the channels.
    order = np.argsort(clips[0].muscles)
    np.testing.assert_allclose(table.specificity, np.stack(parts)[:, order], atol=1e-6)
    np.testing.assert_allclose(scores.score(table)["specificity"], np.mean(parts), atol=1e-6)
    first = table.select(clips=np.array([True, False]))
    assert scores.score(first)["specificity"] > 0.5


def test_delay_shows_in_the_onset():
    burst = np.sin(np.pi * np.linspace(0, 1, 80)[:, None]) ** 2
    clip = make_clip(burst)
    late = np.concatenate([burst[:1].repeat(5, 0), burst[:-5]])
    found = scores.score(scores.tabulate([clip], [0.5 * late], [late]))
    np.testing.assert_allclose(found["onset_ms"], 100, atol=0.1)
    np.testing.assert_allclose(found["peak_ratio"], 0.5, rtol=1e-3)


def test_symmetry_is_the_share_of_the_left():
    clip = make_clip(np.tile([[0.6, 0.2]], (20, 1)))
    prediction = np.tile([[0.2, 0.2]], (20, 1))
    found = scores.score(scores.tabulate([clip], [prediction], [prediction]))
    np.testing.assert_allclose(found["symmetry_error"], 0.75 - 0.5, rtol=1e-6)
    one_side = make_clip(np.full((20, 1), 0.5))
    found = scores.score(scores.tabulate([one_side], [prediction[:, :1]], [prediction[:, :1]]))
    assert np.isnan(found["symmetry_error"])


def test_masked_samples_do_not_count():
    y = RNG.random((40, 2))
    p = RNG.random((40, 2))
    mask = np.ones((40, 2), bool)
    mask[10:, 1] = False
    clip = make_clip(np.where(mask, y, np.nan), mask=mask)
    found = scores.score(scores.tabulate([clip], [p], [p]))
    np.testing.assert_allclose(found["rmse"], np.sqrt(np.mean((y - p)[mask] ** 2)), 1e-6)


def test_nothing_measured_gives_nan_not_a_crash():
    clip = make_clip(np.full((9, 2), np.nan), mask=np.zeros((9, 2), bool))
    found = scores.score(scores.tabulate([clip], [np.zeros((9, 2))], [np.zeros((9, 2))]))
    assert all(np.isnan(value) for value in found.values())


def test_one_sample_does_not_crash():
    clip = make_clip([[0.5, 0.4]])
    found = scores.score(scores.tabulate([clip], [np.zeros((1, 2))], [np.ones((1, 2))]))
    np.testing.assert_allclose(found["mae"], 0.45, 1e-6)
    assert np.isnan(found["pcc"])


def test_a_prediction_that_is_not_finite_names_its_clip():
    bad = [p.copy() for p in MODEL]
    bad[3][2, 1] = np.nan
    with pytest.raises(UserError, match=TEST[3].clip_id):
        table(bad)
    with pytest.raises(UserError, match="no clips"):
        scores.tabulate([], [], [])


def test_order_of_clips_does_not_matter():
    order = RNG.permutation(len(TEST))
    again = scores.tabulate(*([items[i] for i in order] for items in (TEST, MODEL, TEMPLATE)))
    for name, value in scores.score(table()).items():
        np.testing.assert_allclose(scores.score(again)[name], value, 1e-9, err_msg=name)


def test_bootstrap_equals_scoring_the_drawn_subjects_again():
    whole = table()
    draws = scores.resample(whole, samples=5, seed=7)
    subjects = np.unique(whole.subject)
    weights = subject_weights(len(subjects), 5, 7)
    for r in range(5):
        rows = [
            i
            for subject, times in zip(subjects, weights[r], strict=True)
            for _ in range(times)
            for i in np.flatnonzero(whole.subject == subject)
        ]
        drawn = scores.tabulate(*([items[i] for i in rows] for items in (TEST, MODEL, TEMPLATE)))
        again = scores.score(drawn)
        # nrmse divides by the range over the whole set, whatever is drawn.
        for name in scores.METRICS.keys() - {"nrmse"}:
            np.testing.assert_allclose(draws[name][r], again[name], 1e-9, 1e-12, err_msg=name)
