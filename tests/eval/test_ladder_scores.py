import numpy as np
import pytest

from tests.eval.test_ladder import recordings
from video2emg.eval import ladder_scores
from video2emg.eval.ladder import Ladder

LADDER = Ladder(recordings(late=True, count=12), 5)


@pytest.fixture(scope="module")
def found():
    return {k: ladder_scores.evaluate(LADDER.rung(k), samples=50) for k in (0, 5)}


def test_the_scores_of_a_late_person(found):
    for k in (0, 5):
        model = found[k]["rows"]["model"]
        assert model["by_subject"]["a"]["r"] > 0.99
        if not k:  # at k = 5 the calibration may use the angles
            assert model["by_subject"]["b"]["r"] < 0.5
        assert model["by_subject"]["b"]["r_lag"] > 0.99 or k
        assert model["by_subject"]["a"]["loudness"] > 0.9
    assert found[5]["rows"]["model"]["skill"] > 0.4
    assert set(found[0]["rows"]["model"]["by_muscle"]) == {"vastus_lateralis", "biceps_femoris"}


def test_sizes_that_nothing_is_known_of_are_not_scored(found):
    zero = found[0]["rows"]["model"]
    assert all(np.isnan(zero[name]) for name in ("skill", "rmse", "symmetry_error"))
    assert np.isfinite(zero["r"]) and len(zero["r_ci95"]) == 2
    assert "coverage" not in found[0]
    measured = ladder_scores.evaluate(Ladder(recordings(mvc=1.0), 2).rung(0), samples=10)
    assert measured["rows"]["model"]["rmse"] > 0
    assert np.isnan(measured["rows"]["model"]["skill"])
    assert np.isnan(measured["rows"]["ridge of other people"]["rmse"])


def test_prime_movers_are_scored_alone(found):
    """All channels of two kinds: those of the prime movers alone have the mean over them."""
    for k in (0, 5):
        model = found[k]["rows"]["model"]
        for name in ("r_lag", "loudness"):
            alone = model["by_muscle"]["vastus_lateralis"][name]
            assert model[f"prime_{name}"] == pytest.approx(alone, abs=1e-6)


def test_levels_are_of_the_emg_at_the_delay():
    """With a delay of 0.6 s the EMG during a repetition is half of another one's."""
    rung = LADDER.rung(0)
    at_lag = ladder_scores._AtLag.of(rung, rung.rows["model"], list(rung.series[0].muscles))
    late = [i for i, series in enumerate(rung.series) if series.subject == "b"]
    for row in late:
        one = rung.late[row]
        for column in range(len(one.muscles)):
            expected = one.target[one.mask[:, column], column].mean()
            assert at_lag.measured[row, column] == pytest.approx(expected, rel=1e-5)


def test_muscles_have_intervals_and_paired_differences(found):
    model, ridge = (found[5]["rows"][name]["by_muscle"] for name in ("model", "ridge"))
    gaps = found[5]["model_minus"]["ridge"]["by_muscle"]
    for muscle in ("vastus_lateralis", "biceps_femoris"):
        gap = gaps[muscle]
        assert gap["skill"] == pytest.approx(model[muscle]["skill"] - ridge[muscle]["skill"])
        low, high = model[muscle]["skill_ci95"]
        assert low <= model[muscle]["skill"] <= high
    of_person = found[5]["rows"]["model"]["by_subject"]["a"]["by_muscle"]
    assert set(of_person) == set(model) and of_person["vastus_lateralis"]["r_lag"] > 0.9
    assert "by_muscle" not in found[5]["rows"]["ridge"]["by_subject"]["a"]


def test_differences_are_paired(found):
    gap = found[5]["model_minus"]["ridge"]
    rows = found[5]["rows"]
    assert gap["skill"] == pytest.approx(rows["model"]["skill"] - rows["ridge"]["skill"])
    assert gap["skill_ci95"][0] <= gap["skill"] <= gap["skill_ci95"][1]


def test_coverage_counts_samples(found):
    rung = LADDER.rung(5)
    wide = [np.full(3, 1e3) for _ in rung.series]
    one = ladder_scores.coverage(rung.series, rung.rows["model"], wide, 20, 0)
    assert one["coverage"] == 1.0 and one["level"] == 0.8
    unknown = [np.full(3, np.nan) for _ in rung.series]
    none = ladder_scores.coverage(rung.series, rung.rows["model"], unknown, 20, 0)
    assert np.isnan(none["coverage"])
    assert 0.4 < found[5]["coverage"]["coverage"] < 1


def test_spearman_needs_repetitions_and_knows_flat_predictions():
    y = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, 5.0], [5.0, 4.0]])
    np.testing.assert_allclose(ladder_scores.spearman(y, y[:, :1].repeat(2, 1)), [1.0, 0.8])
    np.testing.assert_array_equal(ladder_scores.spearman(y, np.ones((5, 2))), 0.0)
    assert np.isnan(ladder_scores.spearman(y[:4], y[:4])).all()
