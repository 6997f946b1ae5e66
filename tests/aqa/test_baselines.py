import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.fkg.rubrics import rubric
from video2emg.aqa import baselines, report
from video2emg.aqa import predictions as predictions_lib
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.core.errors import UserError


def annotations(count: int, seed: int) -> AQAPredictions:
    """Random annotations of the test rubric; scores follow from the errors, plus noise."""
    rng = np.random.default_rng(seed)
    table = rubric()
    action = np.arange(count) % 2
    known = table.weight[action] > 0
    severity = np.where((rng.random((count, 3)) < 0.4) & known, rng.uniform(0.3, 1, (count, 3)), 0)
    lost = (table.weight[action] * severity).sum(1) / table.weight[action].sum(1)
    boundary = np.cumsum(rng.uniform(0.5, 1.0, (count, 3)), 1)
    boundary[action == 0, 2] = np.nan
    score = np.clip(100 * (1 - lost) + rng.normal(0, 1, count), 0, 100)
    return AQAPredictions((severity > 0).astype(float), severity, score, boundary, action)


def with_scoring_facts(annotations: AQAPredictions, train: AQAPredictions) -> AQALabels:
    scores = [train.score[train.action == a] for a in (0, 1)]
    count = len(annotations.score)
    return AQALabels(
        annotations=annotations,
        pair_mask=rubric().weight[annotations.action] > 0,
        subject=np.array([f"s{i % 4}" for i in range(count)]),
        clip_id=np.arange(count).astype(str),
        recording=np.arange(count).astype(str),
        rubric=rubric(),
        score_ranges=[(float(s.min()), float(s.max())) for s in scores],
        mean_scores=np.array([s.mean() for s in scores]),
    )


TRAIN, TEST = annotations(60, 0), annotations(40, 1)


@pytest.fixture(scope="module")
def evaluator() -> report.BootstrapEvaluator:
    return report.BootstrapEvaluator(
        with_scoring_facts(TRAIN, TRAIN), with_scoring_facts(TEST, TRAIN), samples=100
    )


def both(baseline):
    """Predictions of a baseline, given as a function of annotations, by split."""
    return {"validation": baseline(TRAIN), "test": baseline(TEST)}


def test_the_prior_has_no_ranking_and_no_skill_and_the_true_errors_have_all(evaluator):
    prior = evaluator.scores(
        both(lambda part: baselines.action_prior(TRAIN, rubric(), part))
    ).values
    assert np.isnan(prior["srcc"]) and prior["skill"] == pytest.approx(0, abs=1e-12)
    true = evaluator.scores(both(lambda part: baselines.true_errors(part, rubric())))
    point, draws = true.values, true.draws
    assert point["map"] == 1 and point["f1"] == 1 and point["boundary_ms"] == 0
    assert 0.9 < point["srcc"] < 1 and point["mae"] < 1.5  # what annotators' noise leaves
    assert (draws["map"] == 1).all() and draws["srcc"].shape == (100,)


def test_neighbours_copy_labels_of_the_same_action_only():
    pictures = TEST.score[:, None]
    predictions = baselines.nearest_neighbour(TRAIN, TEST, TRAIN.score[:, None], pictures)
    for row in range(len(TEST.score)):
        same = TRAIN.action == TEST.action[row]
        expected = TRAIN.score[same][np.abs(TRAIN.score[same] - TEST.score[row]).argmin()]
        assert predictions.score[row] == expected


def test_emg_only_finds_what_lies_in_the_features(evaluator):
    def features(part):
        return [np.append(severity, 1.0) for severity in part.expected_severity]

    subject = np.array([f"s{i % 6}" for i in range(60)])
    predictions = both(
        lambda part: baselines.emg_only(
            TRAIN, rubric(), part, features(TRAIN), features(part), subject
        )
    )
    assert evaluator.scores(predictions).values["srcc"] > 0.9
    alone = np.full(60, "s0")  # a single subject: the penalty cannot be cross-validated
    baselines.emg_only(TRAIN, rubric(), TEST, features(TRAIN), features(TEST), alone)


def test_the_penalty_is_the_best_over_folds_of_subjects():
    rng = np.random.default_rng(0)
    x, subject = rng.normal(size=(40, 30)), np.array([f"s{i % 4}" for i in range(40)])
    y = x[:, 0] + 2 * rng.normal(size=40)
    errors = []
    for penalty in baselines._PENALTIES:
        error = 0.0
        for name in np.unique(subject):
            fitted = Ridge(penalty).fit(x[subject != name], y[subject != name])
            error += ((fitted.predict(x[subject == name]) - y[subject == name]) ** 2).sum()
        errors.append(error)
    best = baselines._PENALTIES[np.argmin(errors)]
    assert baselines._best_penalty(x, y, subject) == best and best not in (0.1, 1e4)


def test_a_system_minus_itself_is_zero_and_the_better_one_wins(evaluator):
    perfect = both(lambda part: baselines.true_errors(part, rubric()))
    rng = np.random.default_rng(3)
    noise = {len(part.score): rng.normal(size=(len(part.score), 2)) for part in (TRAIN, TEST)}
    poor = both(
        lambda part: baselines.nearest_neighbour(TRAIN, part, noise[60], noise[len(part.score)])
    )
    results = report.compare(evaluator, {"none": [poor, poor], "good": [perfect]}, {"prior": poor})
    assert results["minus"]["none"]["prior"]["mae"] == 0
    assert results["minus"]["none"]["prior"]["mae_ci95"] == [0, 0]
    gap = results["minus"]["good"]["none"]
    assert gap["srcc"] > 0 and gap["srcc_ci95"][0] > 0 and gap["srcc_p"] < 0.05
    assert results["minus"]["none"]["good"]["mae"] == -gap["mae"]
    assert gap["mae"] < 0 and results["sources"]["none"]["mae_sd"] == 0
    assert "good: SRCC +" in report.format_differences({"test": results})
    assert "prior" in report.format_table({"test": results})


def test_a_system_without_errors_has_metrics_of_the_score_only(evaluator):
    perfect = both(lambda part: baselines.true_errors(part, rubric()))
    results = report.evaluate(evaluator, perfect, {"same": perfect}, 40, score_only=True)
    assert np.isfinite(results["model"]["mae"]) and np.isnan(results["model"]["map"])
    assert np.isnan(results["model_minus"]["same"]["f1_ci95"]).all()
    assert results["baselines"]["same"]["map"] == 1


def test_errors_of_a_wrongly_recognised_action_count_only_if_both_actions_have_them():
    value = np.array([[0.9, 0.8, 0.7], [0.6, 0.0, 0.0], [0.5, 0.4, 0.3]])
    used, true = np.array([0, 1, 0]), np.array([1, 0, 0])
    moved = predictions_lib._pairs_of_true_action(rubric(), value, used, true)
    np.testing.assert_array_equal(moved, [[0.9, 0, 0], [0.6, 0, 0], [0.5, 0.4, 0.3]])


def test_predictions_are_read_as_written_and_must_be_finite(tmp_path):
    report.save(tmp_path / "predictions.npz", {"test": TEST})
    again = report.load(tmp_path / "predictions.npz")["test"]
    for name, value in vars(TEST).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with pytest.raises(UserError, match="score is not finite"):
        AQAPredictions(
            TEST.probability,
            TEST.expected_severity,
            TEST.score * np.nan,
            TEST.boundary,
            TEST.action,
        )
