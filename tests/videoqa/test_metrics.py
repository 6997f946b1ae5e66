"""Marks against independent implementations, and what failures cost."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import stats
from sklearn.metrics import f1_score

from video2emg.videoqa import leaderboard
from video2emg.videoqa.answerers.baselines import Blind, Majority, Oracle
from video2emg.videoqa.generate import EVALUATE, SCORE, STANDARD
from video2emg.videoqa.items import Answer
from video2emg.videoqa.leaderboard import Sheet
from video2emg.videoqa.metrics import BootstrapEvaluator, Facts
from video2emg.videoqa.text_overlap import Overlap, rouge_l

WORDS = st.lists(
    st.sampled_from(["the", "knees", "fall", "inwards", "back", "rounds", "2"]), max_size=12
)
FACTS = Facts({}, 0.4)


@pytest.fixture(scope="module")
def examiner(graph, asked):
    return BootstrapEvaluator(graph, asked["test"], FACTS, samples=50)


@pytest.fixture(scope="module")
def oracle(asked):
    return Oracle(asked["test"]).answer([item.question for item in asked["test"]])


def of_kind(items, kind):
    return [item for item in items if item.question.kind == kind]


@given(WORDS, WORDS)
def test_rouge_l_is_that_of_the_package(one, other):
    said, true = " ".join(one), " ".join(other)
    theirs = rouge_scorer.RougeScorer(["rougeL"]).score(true, said)["rougeL"].fmeasure
    assert rouge_l(said, true) == pytest.approx(theirs)


def test_overlap_is_that_of_sacrebleu_and_draws_repeat_texts():
    said = ["the knees fall inwards here", "the back rounds a lot", "", "all is well done now"]
    true = [
        "the knees fall inwards",
        "the lower back rounds a lot",
        "the hips shift",
        "all is well",
    ]
    overlap = Overlap(said, true)
    assert overlap.scores(None)["bleu"] == pytest.approx(BLEU().corpus_score(said, [true]).score)
    chrf = CHRF(word_order=2)
    sentence = [chrf.sentence_score(a, [b]).score for a, b in zip(said, true, strict=True)]
    assert overlap.scores(None)["chrf"] == pytest.approx(np.mean(sentence))
    twice = overlap.scores(np.array([[2, 1, 0, 3]]))
    rows = [0, 0, 1, 3, 3, 3]
    again = Overlap([said[i] for i in rows], [true[i] for i in rows]).scores(None)
    for name, value in again.items():
        assert twice[name][0] == pytest.approx(value), name


def test_the_oracle_is_the_ceiling(examiner, oracle):
    point = examiner.mark(oracle).point
    for name in ("accuracy", "recognised", "error_f1", "consistent"):
        assert point[name] == 1.0, name
    assert point["bleu"] == pytest.approx(100) and point["rouge_l"] == pytest.approx(100)
    assert point["mae"] < 0.06 and point["failed"] == 0 and point["srcc"] > 0.99


def test_silence_is_as_wrong_as_can_be(examiner, asked):
    point = examiner.mark({}).point
    for name in ("accuracy", "recognised", "error_f1", "bleu", "chrf", "rouge_l", "consistent"):
        assert point[name] == 0.0, name
    assert point["failed"] == 1.0
    true = np.array([item.key.score for item in of_kind(asked["test"], SCORE)])
    assert point["mae"] == pytest.approx(np.maximum(true, 100 - true).mean())


def test_a_refusal_fails_even_if_it_names_an_option(examiner, oracle):
    refused = {name: dataclasses.replace(a, problem="refused") for name, a in oracle.items()}
    assert examiner.mark(refused).point["failed"] == 1.0
    assert examiner.mark(refused).point["accuracy"] == 0.0


def test_scores_and_errors_are_those_of_scipy_and_sklearn(graph, asked, examiner, oracle):
    rng = np.random.default_rng(0)
    answers = dict(oracle)
    names = sorted(graph.errors)
    true, said = [], []
    for item in of_kind(asked["test"], EVALUATE):
        claimed = [e for e in names if (e in item.key.errors) != (rng.random() < 0.05)]
        answers[item.question.id] = Answer(
            ". ".join(graph.errors[e].name for e in claimed) or "Ok."
        )
        true.append([e in item.key.errors for e in names])
        said.append([e in claimed for e in names])
    scored = of_kind(asked["test"], SCORE)
    guess = {i.question.id: round(float(np.clip(i.key.score + rng.normal(0, 9), 0, 100)), 1)
             for i in scored}  # fmt: skip
    answers |= {name: Answer(f"{value}") for name, value in guess.items()}
    point = examiner.mark(answers).point
    assert point["error_f1"] == pytest.approx(f1_score(true, said, average="micro"))
    z = []
    for action in graph.actions:
        own = [i for i in scored if i.key.action == action]
        rho = stats.spearmanr([guess[i.question.id] for i in own], [i.key.score for i in own])
        z.append(np.arctanh(rho.statistic))
    assert point["srcc"] == pytest.approx(np.tanh(np.mean(z)))
    error = [guess[i.question.id] - i.key.score for i in scored]
    assert point["mae"] == pytest.approx(np.abs(error).mean())
    assert point["relative_l2"] == pytest.approx(np.mean(np.square(error)) / 100, rel=1e-6)


def test_a_score_must_follow_from_the_evaluation(graph, asked, examiner, oracle):
    answers = dict(oracle)
    clean = [i for i in of_kind(asked["test"], EVALUATE) if not i.key.errors]
    for item in clean:  # no error named, and yet a low score
        answers[item.question.id.replace(EVALUATE, SCORE)] = Answer("60")
    share = len(clean) / len(of_kind(asked["test"], EVALUATE))
    assert 0 < share < 1
    assert examiner.mark(answers).point["consistent"] == pytest.approx(1 - share)


def test_intervals_hold_the_point_and_differences_are_paired(examiner, oracle, asked):
    questions = [item.question for item in asked["test"]]
    blind = Blind(asked["train"]).answer(questions)
    found = leaderboard.compare(examiner, [Sheet("oracle", oracle), Sheet("blind", blind)], "blind")
    for row in found["models"].values():
        for name in ("accuracy", "recognised", "error_f1", "mae"):
            low, high = row[f"{name}_ci95"]
            assert low - 1e-9 <= row[name] <= high + 1e-9, name
    gap = found["minus_blind"]["oracle"]
    for kind, row in gap["by_kind"].items():
        assert row["accuracy"] == pytest.approx(1 - found["chance"][kind])
        assert row["accuracy_ci95"][0] > 0


def test_a_single_subject_has_no_intervals(graph, asked, oracle):
    alone = [item for item in asked["test"] if item.subject == "s0"]
    row = BootstrapEvaluator(graph, alone, FACTS).mark(oracle).to_json()
    assert row["accuracy"] == 1.0 and np.isnan(row["accuracy_ci95"]).all()


def test_tables_and_pages_of_whatever_was_said(examiner, asked, oracle, tmp_path):
    evil = "<script>alert('x')</script>"
    answers = {name: Answer(evil, prompt_tokens=10) for name in oracle}
    majority = Majority(asked["train"]).answer([item.question for item in asked["test"]])
    sheets = [Sheet(f"openai:{evil}", answers, (1.0, 2.0)), Sheet("blind", majority)]
    found = {"test": leaderboard.compare(examiner, sheets, "blind"), "provenance": {}}
    text = leaderboard.format_table(found, "test")
    assert "chance" in text and "cost" in text and "error F1" in text
    page = leaderboard.page(found, "test", asked["test"], sheets)
    assert evil not in page and "&lt;script&gt;" in page
    usage = found["test"]["models"][f"openai:{evil}"]["usage"]
    assert usage["prompt_tokens"] == 10 * len(answers)
    assert usage["cost"] == pytest.approx(len(answers) / 1e5)
    path = tmp_path / leaderboard.file_name("openai:../../" + evil)
    assert path.parent == tmp_path and "/" not in path.name
    sheets[0].write(path)
    assert Sheet.read(path) == sheets[0]
    assert STANDARD in page
