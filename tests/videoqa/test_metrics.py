"""Metrics equal independent implementations, and failures cost what they should."""

import dataclasses

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import stats
from sklearn.metrics import f1_score

from video2emg.videoqa import leaderboard, text_overlap
from video2emg.videoqa.generate import EVALUATE, SCORE, STANDARD
from video2emg.videoqa.items import Answer
from video2emg.videoqa.leaderboard import Submission
from video2emg.videoqa.metrics import Evaluator, TrainStatistics
from video2emg.videoqa.respondents.baselines import Blind, Majority, Oracle
from video2emg.videoqa.text_overlap import TextOverlap

STATISTICS = TrainStatistics({}, 0.4)


@pytest.fixture(scope="module")
def evaluator(graph, items):
    return Evaluator(graph, items["test"], STATISTICS, samples=50)


@pytest.fixture(scope="module")
def oracle(items):
    return Oracle(items["test"]).answer([item.question for item in items["test"]])


def of_type(items, name):
    return [item for item in items if item.question.type == name]


def test_text_metrics_equal_their_libraries_and_draws_repeat_texts():
    answers = ["the knees fall inwards here", "the back rounds a lot", "", "all is well done now"]
    references = [
        "the knees fall inwards",
        "the lower back rounds a lot",
        "the hips shift",
        "all is well",
    ]
    overlap = TextOverlap(answers, references)
    metrics = overlap.metrics(None)
    chrf, rouge = CHRF(word_order=2), RougeScorer(["rougeL"])
    pairs = list(zip(answers, references, strict=True))
    expected = {
        "bleu": BLEU().corpus_score(answers, [references]).score,
        "chrf": np.mean([chrf.sentence_score(a, [r]).score for a, r in pairs]),
        "rouge_l": 100 * np.mean([rouge.score(r, a)["rougeL"].fmeasure for a, r in pairs]),
    }
    assert metrics == pytest.approx(expected)
    drawn = overlap.metrics(np.array([[2, 1, 0, 3]]))
    rows = [0, 0, 1, 3, 3, 3]
    repeated = TextOverlap([answers[i] for i in rows], [references[i] for i in rows])
    for name, value in repeated.metrics(None).items():
        assert drawn[name][0] == pytest.approx(value), name


def test_without_the_extra_text_metrics_are_unknown(monkeypatch):
    monkeypatch.setattr(text_overlap, "available", lambda: False)
    overlap = TextOverlap(["a b"], ["a b"])
    assert np.isnan(list(overlap.metrics(None).values())).all()
    assert np.isnan(overlap.metrics(np.ones((2, 1)))["rouge_l"]).all()


def test_oracle_reaches_the_upper_bound(evaluator, oracle):
    point = evaluator.evaluate(oracle).point
    for name in ("accuracy", "recognised", "error_f1", "consistent"):
        assert point[name] == 1.0, name
    assert point["bleu"] == pytest.approx(100) and point["rouge_l"] == pytest.approx(100)
    assert point["mae"] < 0.06 and point["failed"] == 0 and point["srcc"] > 0.99


def test_missing_answers_are_as_wrong_as_possible(evaluator, items):
    point = evaluator.evaluate({}).point
    for name in ("accuracy", "recognised", "error_f1", "bleu", "chrf", "rouge_l", "consistent"):
        assert point[name] == 0.0, name
    assert point["failed"] == 1.0
    labels = np.array([item.key.score for item in of_type(items["test"], SCORE)])
    assert point["mae"] == pytest.approx(np.maximum(labels, 100 - labels).mean())


def test_a_refusal_fails_even_if_it_names_an_option(evaluator, oracle):
    refused = {name: dataclasses.replace(a, problem="refused") for name, a in oracle.items()}
    point = evaluator.evaluate(refused).point
    assert point["failed"] == 1.0 and point["accuracy"] == 0.0


def test_score_and_error_metrics_equal_scipy_and_sklearn(graph, items, evaluator, oracle):
    rng = np.random.default_rng(0)
    answers = dict(oracle)
    names = sorted(graph.errors)
    labels, predictions = [], []
    for item in of_type(items["test"], EVALUATE):
        claimed = [e for e in names if (e in item.key.errors) != (rng.random() < 0.05)]
        text = ". ".join(graph.errors[e].name for e in claimed)
        answers[item.question.id] = Answer(text or "Ok.")
        labels.append([e in item.key.errors for e in names])
        predictions.append([e in claimed for e in names])
    scored = of_type(items["test"], SCORE)
    guesses = {}
    for item in scored:
        guess = np.clip(item.key.score + rng.normal(0, 9), 0, 100)
        guesses[item.question.id] = round(float(guess), 1)
    answers |= {name: Answer(f"{value}") for name, value in guesses.items()}
    point = evaluator.evaluate(answers).point
    f1 = f1_score(labels, predictions, average="micro")
    assert point["error_f1"] == pytest.approx(f1)
    z = []
    for action in graph.actions:
        subset = [i for i in scored if i.key.action == action]
        rho = stats.spearmanr(
            [guesses[i.question.id] for i in subset], [i.key.score for i in subset]
        )
        z.append(np.arctanh(rho.statistic))
    assert point["srcc"] == pytest.approx(np.tanh(np.mean(z)))
    error = [guesses[i.question.id] - i.key.score for i in scored]
    assert point["mae"] == pytest.approx(np.abs(error).mean())
    assert point["relative_l2"] == pytest.approx(np.mean(np.square(error)) / 100, rel=1e-6)


def test_a_score_must_be_consistent_with_the_evaluation(items, evaluator, oracle):
    answers = dict(oracle)
    evaluations = of_type(items["test"], EVALUATE)
    flawless = [i for i in evaluations if not i.key.errors]
    for item in flawless:  # no error is named, but the score is low
        answers[item.question.id.replace(EVALUATE, SCORE)] = Answer("60")
    share = len(flawless) / len(evaluations)
    assert 0 < share < 1
    assert evaluator.evaluate(answers).point["consistent"] == pytest.approx(1 - share)


def test_intervals_contain_the_point_and_differences_are_paired(evaluator, oracle, items):
    questions = [item.question for item in items["test"]]
    blind = Blind(items["train"]).answer(questions)
    submissions = [Submission("oracle", oracle), Submission("blind", blind)]
    results = leaderboard.compare(evaluator, submissions, "blind")
    for row in results["models"].values():
        for name in ("accuracy", "recognised", "error_f1", "mae"):
            low, high = row[f"{name}_ci95"]
            assert low - 1e-9 <= row[name] <= high + 1e-9, name
    for name, row in results["minus_blind"]["oracle"]["by_type"].items():
        assert row["accuracy"] == pytest.approx(1 - results["chance"][name])
        assert row["accuracy_ci95"][0] > 0


def test_a_single_subject_has_no_intervals(graph, items, oracle):
    subset = [item for item in items["test"] if item.subject == "s0"]
    row = Evaluator(graph, subset, STATISTICS).evaluate(oracle).to_json()
    assert row["accuracy"] == 1.0 and np.isnan(row["accuracy_ci95"]).all()


def test_tables_and_pages_escape_all_texts(evaluator, items, oracle, tmp_path):
    script = "<script>alert('x')</script>"
    answers = {name: Answer(script, prompt_tokens=10) for name in oracle}
    majority = Majority(items["train"]).answer([item.question for item in items["test"]])
    submissions = [
        Submission(f"openai:{script}", answers, (1.0, 2.0)),
        Submission("blind", majority),
    ]
    results = {"test": leaderboard.compare(evaluator, submissions, "blind"), "provenance": {}}
    text = leaderboard.format_table(results, "test")
    assert "chance" in text and "cost" in text and "error F1" in text
    page = leaderboard.page(results, "test", items["test"], submissions)
    assert script not in page and "&lt;script&gt;" in page and STANDARD in page
    usage = results["test"]["models"][f"openai:{script}"]["usage"]
    assert usage["prompt_tokens"] == 10 * len(answers)
    assert usage["cost"] == pytest.approx(len(answers) / 1e5)
    path = tmp_path / leaderboard.file_name("openai:../../" + script)
    assert path.parent == tmp_path and "/" not in path.name
    submissions[0].write(path)
    assert Submission.read(path) == submissions[0]
