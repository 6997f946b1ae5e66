import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.fkg.rubrics import rubric
from video2emg.aqa import baselines, predictions, report
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.core.errors import UserError
from video2emg.fkg.rubric import Rubric


def labels(count: int, seed: int) -> AQAPredictions:
    """Random annotations of the test rubric; scores follow from the errors, plus noise."""
    rng = np.random.default_rng(seed)
    table = rubric()
    action = np.arange(count) % 2
    known = table.weight[action] > 0
    extent = np.where((rng.random((count, 3)) < 0.4) & known, rng.uniform(0.3, 1, (count, 3)), 0.0)
    lost = (table.weight[action] * extent).sum(1) / table.weight[action].sum(1)
    boundary = np.cumsum(rng.uniform(0.5, 1.0, (count, 3)), 1)
    boundary[action == 0, 2] = np.nan
    score = np.clip(100 * (1 - lost) + rng.normal(0, 1, count), 0, 100)
    return AQAPredictions((extent > 0).astype(float), extent, score, boundary, action)


def truth(label: AQAPredictions, train: AQAPredictions) -> AQALabels:
    of = [train.score[train.action == a] for a in (0, 1)]
    count = len(label.score)
    return AQALabels(
        label=label,
        known=rubric().weight[label.action] > 0,
        subject=np.array([f"s{i % 4}" for i in range(count)]),
        clip_id=np.arange(count).astype(str),
        rubric=rubric(),
        spans=[(float(s.min()), float(s.max())) for s in of],
        means=np.array([s.mean() for s in of]),
    )


TRAIN, TEST = labels(60, 0), labels(40, 1)


def examiner() -> report.BootstrapEvaluator:
    return report.BootstrapEvaluator(truth(TRAIN, TRAIN), truth(TEST, TRAIN), samples=100)


def both(judge):
    return {"validation": judge(TRAIN), "test": judge(TEST)}


def test_the_prior_has_no_ranking_and_no_skill_and_the_truth_has_all():
    prior = examiner().scores(both(lambda of: baselines.action_prior(TRAIN, rubric(), of))).values
    assert np.isnan(prior["srcc"]) and prior["skill"] == pytest.approx(0, abs=1e-12)
    true = examiner().scores(both(lambda of: baselines.of_true_errors(of, rubric())))
    point, draws = true.values, true.draws
    assert point["map"] == 1 and point["f1"] == 1 and point["boundary_ms"] == 0
    assert 0.9 < point["srcc"] < 1 and point["mae"] < 1.5  # what annotators' noise leaves
    assert (draws["map"] == 1).all() and draws["srcc"].shape == (100,)


def test_neighbours_copy_labels_of_the_same_action_only():
    pictures = TEST.score[:, None]
    said = baselines.nearest_neighbour(TRAIN, TEST, TRAIN.score[:, None], pictures)
    for row in range(len(TEST.score)):
        same = TRAIN.action == TEST.action[row]
        expected = TRAIN.score[same][np.abs(TRAIN.score[same] - TEST.score[row]).argmin()]
        assert said.score[row] == expected


def test_emg_only_finds_what_lies_in_the_features():
    def features(of):
        return [np.append(extent, 1.0) for extent in of.expected_severity]

    subject = np.array([f"s{i % 6}" for i in range(60)])
    said = both(
        lambda of: baselines.emg_only(TRAIN, rubric(), of, features(TRAIN), features(of), subject)
    )
    assert examiner().scores(said).values["srcc"] > 0.9


def test_ridge_equals_sklearn():
    rng = np.random.default_rng(0)
    x, y, new = rng.normal(size=(20, 5)), rng.normal(size=(20, 2)), rng.normal(size=(4, 5))
    x -= x.mean(0)
    expected = Ridge(alpha=3.0).fit(x, y).predict(new)
    np.testing.assert_allclose(baselines.ridge(x, y, new, 3.0), expected, rtol=1e-9)


def test_a_judge_minus_itself_is_nothing_and_the_better_one_wins():
    perfect = both(lambda of: baselines.of_true_errors(of, rubric()))
    rng = np.random.default_rng(3)
    noise = {len(of.score): rng.normal(size=(len(of.score), 2)) for of in (TRAIN, TEST)}
    poor = both(lambda of: baselines.nearest_neighbour(TRAIN, of, noise[60], noise[len(of.score)]))
    found = report.compare(examiner(), {"none": [poor, poor], "good": [perfect]}, {"prior": poor})
    assert found["minus"]["none"]["prior"]["mae"] == 0
    assert found["minus"]["none"]["prior"]["mae_ci95"] == [0, 0]
    gap = found["minus"]["good"]["none"]
    assert gap["srcc"] > 0 and gap["srcc_ci95"][0] > 0 and gap["srcc_p"] < 0.05
    assert found["minus"]["none"]["good"]["mae"] == -gap["mae"]
    assert gap["mae"] < 0 and found["sources"]["none"]["mae_sd"] == 0
    assert "good: SRCC +" in report.format_differences({"test": found})
    assert "prior" in report.format_table({"test": found})


def test_answers_about_another_action_count_only_where_the_pairs_are_shared():
    table: Rubric = rubric()
    value = np.array([[0.9, 0.8, 0.7], [0.6, 0.0, 0.0], [0.5, 0.4, 0.3]])
    moved = predictions._rename(table, value, np.array([0, 1, 0]), np.array([1, 0, 0]))
    np.testing.assert_array_equal(moved, [[0.9, 0, 0], [0.6, 0, 0], [0.5, 0.4, 0.3]])


def test_judgements_survive_the_file_and_must_be_finite(tmp_path):
    report.save(tmp_path / "said.npz", {"test": TEST})
    again = report.load(tmp_path / "said.npz")["test"]
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
