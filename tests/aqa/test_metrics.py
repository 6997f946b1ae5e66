import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from video2emg.aqa import metrics


def cases():
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 50):
        yield rng.normal(size=n), rng.normal(size=n)
        yield rng.integers(0, 3, n).astype(float), rng.integers(0, 4, n).astype(float)  # ties


def test_srcc_equals_scipy_also_on_ties():
    for p, t in cases():
        if len(np.unique(p)) > 1 and len(np.unique(t)) > 1:
            assert metrics.srcc(p, t) == pytest.approx(stats.spearmanr(p, t).statistic, abs=1e-12)


def test_srcc_by_hand():
    up = np.array([1.0, 2.0, 3.0, 4.0])
    assert metrics.srcc(np.exp(up), up) == 1.0
    assert metrics.srcc(-up, up) == -1.0
    # Ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
    assert metrics.srcc(np.array([7.0, 7.0, 8.0, 9.0]), up) == pytest.approx(np.sqrt(0.9))
    for constant in (np.ones(4), np.full(4, 70.1)):
        assert np.isnan(metrics.srcc(constant, up)) and np.isnan(metrics.srcc(up, constant))
    assert np.isnan(metrics.srcc(up[:1], up[:1]))


@hypothesis.settings(max_examples=50)
@hypothesis.given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans(), st.integers(0, 3)),
        min_size=2,
        max_size=20,
    )
)
def test_weights_are_repetitions(rows):
    p, t, made, times = (np.array(column) for column in zip(*rows, strict=True))
    hypothesis.assume(times.sum() > 0)
    p, t, predicted = p / 5.0, t / 1.0, p > 2
    again = np.repeat(np.arange(len(rows)), times)
    weight = times[None]
    for name, arguments in {
        "srcc": (p, t),
        "mae": (p, t),
        "average_precision": (p, made),
        "f1": (predicted, made),
        "expected_calibration_error": (p, made),
    }.items():
        metric = getattr(metrics, name)
        expected = metric(*(x[again] for x in arguments))
        np.testing.assert_allclose(metric(*arguments, weight), [expected], atol=1e-9, err_msg=name)


def test_fisher_mean():
    assert metrics.fisher_mean(np.array([0.9, 0.5])) == pytest.approx(0.766, abs=5e-4)
    by_hand = np.tanh(np.arctanh([0.2, -0.4, 0.7]).mean())
    assert metrics.fisher_mean(np.array([0.2, -0.4, 0.7])) == pytest.approx(by_hand)
    # |ρ| = 1 is clipped, not infinite: z = arctanh(1 − 1e-6) = 7.254.
    assert metrics.fisher_mean(np.array([1.0, 1.0])) == pytest.approx(1 - 1e-6)
    assert metrics.fisher_mean(np.array([1.0, 0.0])) == pytest.approx(np.tanh(7.254 / 2), abs=1e-4)
    assert metrics.fisher_mean(np.array([1.0, -1.0])) == pytest.approx(0.0)
    assert np.isnan(metrics.fisher_mean(np.array([0.9, np.nan])))
    draws = metrics.fisher_mean(np.array([[0.9, 0.1], [0.5, 0.1]]))
    np.testing.assert_allclose(draws, [0.7662, 0.1], atol=1e-3)


def test_relative_l2_and_mae_by_hand():
    p, t = np.array([50.0, 70.0]), np.array([60.0, 70.0])
    assert metrics.relative_l2(p, t, (40.0, 90.0)) == pytest.approx(100 * (0.2**2) / 2)
    # An affine change of labels, predictions and range changes nothing.
    assert metrics.relative_l2(3 * p + 1, 3 * t + 1, (121.0, 271.0)) == pytest.approx(2.0)
    assert np.isnan(metrics.relative_l2(p, t, (60.0, 60.0)))
    assert metrics.mae(p, t) == 5.0


def test_average_precision_and_f1_equal_sklearn():
    rng = np.random.default_rng(1)
    for n in (5, 40):
        for probability in (rng.random(n), rng.integers(0, 3, n) / 3, np.zeros(n)):
            made = rng.random(n) < 0.3
            made[0] = True
            expected = sk.average_precision_score(made, probability)
            assert metrics.average_precision(probability, made) == pytest.approx(expected)
            predicted = probability > 0.5
            expected = sk.f1_score(made, predicted, zero_division=np.nan)
            assert metrics.f1(predicted, made) == pytest.approx(expected, nan_ok=True)
    nothing = np.zeros(4, bool)
    assert np.isnan(metrics.average_precision(np.ones(4), nothing))
    assert np.isnan(metrics.f1(nothing, nothing))


def test_best_threshold_is_the_best():
    probability, made = np.array([0.1, 0.2, 0.3, 0.9]), np.array([False, True, False, True])
    best = metrics.best_threshold(probability, made)
    every = [metrics.f1(probability >= t, made) for t in np.linspace(0, 1, 101)]
    assert best == 0.2 and metrics.f1(probability >= best, made) == max(every)
    assert metrics.best_threshold(probability, made & False) == 0.5


def test_calibration_error_by_hand():
    probability, made = np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True])
    # Lowest bin: |0.5 − 0.05| for half of them; highest: |1 − 0.975|.
    assert metrics.expected_calibration_error(probability, made) == pytest.approx(0.2375)


def test_boundary_error_leaves_out_the_first_and_the_absent():
    true = np.array([[0.0, 1.0, np.nan], [0.0, 0.5, 1.0]])
    predicted = np.array([[0.9, 1.1, 2.0], [0.9, 0.5, 0.7]])
    assert metrics.boundary_error_ms(predicted, true) == pytest.approx(1e3 * 0.4 / 3)


def test_segmentation_is_the_best_of_all_cuts():
    rng = np.random.default_rng(2)
    for _ in range(20):
        q, p = int(rng.integers(1, 8)), int(rng.integers(1, 4))
        logits = rng.normal(size=(q, p))
        starts = metrics.segment(logits)

        def total(cut, logits=logits, q=q, p=p):
            edges = [*cut, q]
            return sum(logits[edges[i] : edges[i + 1], i].sum() for i in range(p))

        later = [rest for rest in np.ndindex(*[q + 1] * (p - 1)) if list(rest) == sorted(rest)]
        cuts = [(0, *rest) for rest in later]
        assert starts[0] == 0 and (np.diff(starts) >= 0).all()
        assert total(starts) == pytest.approx(max(total(cut) for cut in cuts))
