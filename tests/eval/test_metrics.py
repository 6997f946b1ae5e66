import hypothesis
import numpy as np
import pytest
import scipy.stats
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from video2emg.eval import metrics
from video2emg.eval.metrics import Moments

FUNCTIONS = {
    "rmse": metrics.rmse,
    "mae": metrics.mae,
    "bias": metrics.bias,
    "nrmse": metrics.nrmse,
    "pcc": metrics.pcc,
    "r2": metrics.r2,
    "vaf": metrics.vaf,
}


def reference(y, p):
    """The same scores of one channel by scipy, scikit-learn or directly from their definition."""
    with np.errstate(all="ignore"):
        constant = len(y) < 2 or np.ptp(y) == 0 or np.ptp(p) == 0
        return {
            "rmse": np.sqrt(sk.mean_squared_error(y, p)),
            "mae": sk.mean_absolute_error(y, p),
            "bias": np.mean(p - y),
            "nrmse": np.sqrt(np.mean((p - y) ** 2)) / np.ptp(y) if np.ptp(y) else np.nan,
            "pcc": np.nan if constant else scipy.stats.pearsonr(y, p).statistic,
            "r2": sk.r2_score(y, p, force_finite=False) if len(y) > 1 else np.nan,
            "vaf": 1 - np.sum((p - y) ** 2) / np.sum(y**2) if np.any(y) else np.nan,
        }


def assert_same_scores(moments, wanted):
    for name, function in FUNCTIONS.items():
        np.testing.assert_allclose(function(moments), wanted[name], 1e-6, 1e-9, err_msg=name)


RNG = np.random.default_rng(0)
NOISE, OTHER = RNG.normal(size=(2, 300))
CASES = {
    "noise": (NOISE, OTHER),
    "related": (NOISE, 0.5 * NOISE + 0.1 * OTHER + 2),
    "large offset": (1e6 + NOISE, 1e6 + NOISE + 0.3 * OTHER),
    "small numbers": (1e-8 * NOISE, 1e-8 * OTHER),
    "exact": (NOISE, NOISE.copy()),
    "opposite": (NOISE, -NOISE),
    "constant target": (np.full(50, 0.125), OTHER[:50]),
    "constant prediction": (NOISE[:50], np.full(50, 0.125)),
    "both constant": (np.full(50, 0.125), np.full(50, 0.5)),
    "both the same constant": (np.full(50, 0.125), np.full(50, 0.125)),
    "two samples": (NOISE[:2], OTHER[:2]),
    "one sample": (NOISE[:1], OTHER[:1]),
    "zeros": (np.zeros(20), OTHER[:20]),
}


@pytest.mark.parametrize("case", CASES)
def test_scores_equal_scipy_and_scikit_learn(case):
    y, p = CASES[case]
    assert_same_scores(Moments.of(y, p), reference(y, p))


def test_constants_that_binary_fractions_round_are_still_constant():
    # 50 × 0.1 / 50 is not 0.1 in floating point; scikit-learn's R² is then 1 or -1e33.
    y = np.full(50, 0.1)
    assert np.isnan(metrics.pcc(Moments.of(y, OTHER[:50])))
    assert metrics.r2(Moments.of(y, OTHER[:50])) == -np.inf
    assert np.isnan(metrics.r2(Moments.of(y, y)))


def test_masked_samples_do_not_count_even_if_nan():
    mask = RNG.random(300) < 0.6
    y = np.where(mask, NOISE, np.nan)
    p = np.where(mask, OTHER, np.inf)
    assert_same_scores(Moments.of(y, p, mask), reference(NOISE[mask], OTHER[mask]))


def test_nothing_measured_is_nan_not_zero():
    moments = Moments.of(np.full((5, 2), np.nan), np.zeros((5, 2)), np.zeros((5, 2), bool))
    for name, function in FUNCTIONS.items():
        assert np.isnan(function(moments)).all(), name


def test_channels_are_scored_apart():
    y, p = RNG.normal(size=(2, 40, 3))
    moments = Moments.of(y, p)
    for c in range(3):
        assert_same_scores(moments[c], reference(y[:, c], p[:, c]))


def test_float32_input_is_summed_in_double_precision():
    y = np.float32(1000) + NOISE.astype(np.float32)
    p = y + np.float32(0.5)
    assert_same_scores(Moments.of(y, p), reference(y.astype(np.float64), p.astype(np.float64)))


def test_scales_of_nrmse():
    y, p = 3 + NOISE, 3 + OTHER
    moments = Moments.of(y, p)
    rmse = np.sqrt(np.mean((p - y) ** 2))
    for by, scale in {"mean": y.mean(), "sd": y.std(), "peak": y.max()}.items():
        np.testing.assert_allclose(metrics.nrmse(moments, by), rmse / scale)
    np.testing.assert_allclose(metrics.nrmse(moments, "sd") ** 2, 1 - metrics.r2(moments))


finite = st.floats(-1e3, 1e3, width=32)
pairs = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=finite)


def fields(moments):
    return {name: getattr(moments, name) for name in Moments.__dataclass_fields__}


def assert_same_moments(a, b, scale):
    for name, value in fields(a).items():
        np.testing.assert_allclose(value, fields(b)[name], 1e-9, 1e-9 * scale, err_msg=name)


@hypothesis.given(pairs, st.data())
def test_merging_any_parts_gives_the_whole(values, data):
    y, p = values.T
    whole = Moments.of(y, p)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(y)), max_size=4)))
    merged = Moments.empty(())
    for start, end in zip([0, *cuts], [*cuts, len(y)], strict=True):
        # An empty part has no first sample: it is the neutral element.
        if end > start:
            merged = merged.merge(Moments.of(y[start:end], p[start:end]))
        else:
            merged = merged.merge(Moments.empty(()))
    assert_same_moments(merged, whole, 1 + np.abs(values).max() ** 2 * len(y))


@hypothesis.given(pairs, st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = values[order]
    scale = 1 + np.abs(values).max() ** 2 * len(values)
    assert_same_moments(Moments.of(*values.T), Moments.of(*shuffled.T), scale)


@hypothesis.given(pairs, st.sampled_from([0.25, 2.0, 1024.0]))
def test_units_scale_errors_and_leave_ratios(values, factor):
    a, b = Moments.of(*values.T), Moments.of(*(factor * values.T))
    for name in ("rmse", "mae", "bias"):
        np.testing.assert_allclose(FUNCTIONS[name](b), factor * FUNCTIONS[name](a), 1e-9)
    for name in ("pcc", "r2", "vaf", "nrmse"):
        np.testing.assert_allclose(FUNCTIONS[name](b), FUNCTIONS[name](a), 1e-9, err_msg=name)


def test_merging_constants_stays_exactly_constant():
    part = Moments.of(np.full(7, 0.1), np.full(7, 0.7))
    merged = part.merge(part).merge(part)
    assert merged.m2_target == 0
    assert np.isnan(metrics.pcc(merged))


def test_reduce_skips_empty_rows():
    y, p = RNG.normal(size=(2, 30))
    empty, full = Moments.empty((1,)), Moments.of(y[:, None], p[:, None])
    stacked = Moments(
        *(
            np.stack([a, b, a])
            for a, b in zip(fields(empty).values(), fields(full).values(), strict=True)
        )
    )
    assert_same_moments(stacked.reduce(0), full, 1)


def test_skill_is_a_ratio_of_sums():
    assert metrics.skill(np.array(1.0), np.array(4.0)) == 0.75
    assert metrics.skill(np.array(4.0), np.array(4.0)) == 0
    assert metrics.skill(np.array(8.0), np.array(4.0)) == -1
    assert np.isnan(metrics.skill(np.array(1.0), np.array(0.0)))


def sums(groups):
    """Additive sums of a list of (y, p) groups."""
    columns = [[len(y), y.sum(), p.sum(), y @ y, p @ p, y @ p] for y, p in groups]
    return [np.array(column, np.float64) for column in zip(*columns, strict=True)]


def test_correlation_within_one_group_is_pearsons():
    r = metrics.within_group_r(*sums([(NOISE, 0.4 * NOISE + OTHER)]))
    np.testing.assert_allclose(r, scipy.stats.pearsonr(NOISE, 0.4 * NOISE + OTHER).statistic, 1e-9)


def test_correlation_within_groups_is_that_of_residuals_from_group_means():
    groups = [(10 * g + RNG.normal(size=9), -3 * g + RNG.normal(size=9)) for g in range(4)]
    residuals = [np.concatenate([x[i] - x[i].mean() for x in groups]) for i in range(2)]
    wanted = scipy.stats.pearsonr(*residuals).statistic
    np.testing.assert_allclose(metrics.within_group_r(*sums(groups)), wanted, 1e-9)


def test_predictor_that_only_knows_the_group_has_no_correlation_within():
    groups = [(g + RNG.normal(size=9), np.full(9, 1.0 * g)) for g in range(4)]
    assert metrics.within_group_r(*sums(groups)) == 0
    nearly = [(y, p + 1e-4 * y) for y, p in groups]
    assert metrics.within_group_r(*sums(nearly)) == 0


def test_correlation_is_undefined_without_variation_of_the_target():
    assert np.isnan(metrics.within_group_r(*sums([(np.zeros(5), RNG.normal(size=5))])))


TIME = np.arange(100) / 50


def ramp(start, height=1.0, low=0.0):
    """0 until `start` s, then up to `height` within 0.5 s; [100, 1]."""
    return (low + height * np.clip((TIME - start) / 0.5, 0, 1))[:, None]


def test_onset_is_found_between_samples():
    mask = np.ones((100, 1), bool)
    # 20 % of the range is reached 0.1 s after the start of the ramp.
    np.testing.assert_allclose(metrics.onset(TIME, ramp(0.513), mask), [0.613], atol=1e-9)
    # Gain and offset do not move it.
    np.testing.assert_allclose(metrics.onset(TIME, ramp(0.513, 0.3, 0.2), mask), [0.613], atol=1e-9)
    np.testing.assert_allclose(metrics.onset(TIME, ramp(0.513), mask, k=0.5), [0.763], atol=1e-9)


def test_no_onset_without_activity_or_without_a_crossing():
    mask = np.ones((100, 1), bool)
    assert np.isnan(metrics.onset(TIME, ramp(0.5, 0.5 * metrics.QUIET), mask)).all()
    assert np.isnan(metrics.onset(TIME, np.full((100, 1), 0.4), mask)).all()
    assert np.isnan(metrics.onset(TIME, 1 - ramp(0.5), mask)).all()
    assert np.isnan(metrics.onset(TIME[:1], ramp(0.5)[:1], mask[:1])).all()


def test_no_onset_where_the_recording_starts_in_the_middle_of_activity():
    """A filter's edge dips for a few samples; a muscle at rest rests longer than that."""
    signal, mask = ramp(0.5), np.ones((100, 1), bool)
    held = np.where(TIME[:, None] < 0.04, signal, 0.8)
    assert np.isnan(metrics.onset(TIME, held, mask)).all()
    again = held.copy()
    again[50:70] = 0.0
    np.testing.assert_allclose(metrics.onset(TIME, again, mask), TIME[69:71].mean(), atol=0.02)


def test_no_onset_across_a_gap():
    mask = np.ones((100, 1), bool)
    mask[20:60] = False
    signal = np.where(mask, ramp(0.5), np.nan)
    assert np.isnan(metrics.onset(TIME, signal, mask)).all()


def test_peak_ratio_and_its_floor():
    target = np.array([[0.1, 0.01, 0.5], [0.8, 0.02, 0.5]])
    prediction = np.array([[0.4, 0.5, 9.0], [0.2, 0.5, 0.25]])
    mask = np.array([[True, True, False], [True, True, True]])
    ratio = metrics.peak_ratio(target, prediction, mask)
    np.testing.assert_allclose(ratio, [0.5, np.nan, 0.5])


def test_amplitude_is_the_mean_of_what_was_measured():
    envelope = np.array([[1.0, 5.0], [2.0, np.nan], [6.0, np.nan]])
    mask = np.array([[True, False], [True, False], [True, False]])
    np.testing.assert_allclose(metrics.amplitude(envelope, mask), [3.0, np.nan])


def test_left_share():
    left, right = np.array([3.0, 0.0, -1.0, 2.0]), np.array([1.0, 0.0, 2.0, -2.0])
    np.testing.assert_allclose(metrics.left_share(left, right), [0.75, 0.5, 0.0, 1.0])


def specificity_by_definition(y, p, mask, length):
    """Pair by pair with SciPy's Pearson r."""

    def r(a, b):
        return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else scipy.stats.pearsonr(a, b).statistic

    n, c = y.shape
    length = min(length, n)
    found = [[] for _ in range(c)]
    for first in range(0, n - length + 1, length):
        rows = slice(first, first + length)
        active = [
            bool(mask[rows, i].all() and y[rows, i].max() >= metrics.QUIET and np.ptp(y[rows, i]))
            for i in range(c)
        ]
        for i in range(c):
            for j in range(c):
                if i != j and active[i] and active[j] and r(y[rows, i], y[rows, j]) < 0.5:
                    found[i].append(r(p[rows, i], y[rows, i]) - r(p[rows, j], y[rows, i]))
    return np.array([np.mean(pairs) if pairs else np.nan for pairs in found])


def courses(seed, n=95, c=6):
    """Slow courses, some alike, one quiet, one constant; predictions with some of their course."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 4 * np.pi, n)[:, None] + rng.uniform(0, 2 * np.pi, c)
    y = 0.3 + 0.2 * np.sin(phase) + 0.02 * rng.normal(size=(n, c))
    y[:, 1] = y[:, 0] * 1.5
    y[:, 4] *= 0.05
    y[:, 5] = 0.4
    p = 0.5 * y + 0.1 * rng.random((n, c))
    p[:, 2] = 0.25
    mask = np.ones((n, c), bool)
    mask[40, 3] = False
    y[40, 3] = np.nan
    return y.astype(np.float32), p.astype(np.float32), mask


@pytest.mark.parametrize("length", [30, 95, 200])
@pytest.mark.parametrize("seed", range(4))
def test_specificity_equals_its_definition(seed, length):
    y, p, mask = courses(seed)
    found = metrics.specificity(y, p, mask, length)
    np.testing.assert_allclose(found, specificity_by_definition(y, p, mask, length), atol=1e-6)
    assert np.isnan(found[[4, 5]]).all()


def test_specificity_of_extremes():
    y, _, mask = courses(7)
    same = np.repeat(y[:, :1], y.shape[1], 1)
    for shared in (same, np.full(y.shape, 0.3, np.float32)):
        found = metrics.specificity(y, shared, mask, 30)
        np.testing.assert_allclose(found[np.isfinite(found)], 0, atol=1e-6)
    perfect = metrics.specificity(y, np.nan_to_num(y), mask, 30)
    # Of channels with r < 0.5, the other's prediction is worse by more than 0.5.
    assert (perfect[np.isfinite(perfect)] > 0.5).all()
    swapped = np.nan_to_num(y)[:, [2, 3, 0, 1, 4, 5]]
    assert np.nanmean(metrics.specificity(y, swapped, mask, 30)) < 0
