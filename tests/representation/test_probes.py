"""Probes find what features hold, and nothing in noise; priors are what they should be."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from video2emg.representation import probes, report
from video2emg.representation.probes import ProbePredictions, ProbeTargets, WindowEmbeddings

SIZES = {"train": 240, "validation": 90, "test": 120}


@pytest.fixture(scope="module")
def data():
    """Features that hold everything linearly, action by action, and targets of three actions."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3 + 1 + 2 + 1, 12))
    targets, features = {}, {}
    for split, count in SIZES.items():
        action = rng.integers(0, 3, count)
        load = rng.uniform(0, 1, count)
        made = rng.random((count, 2)) < 0.3
        score = 90 - 20 * made[:, 0] - 10 * made[:, 1] + rng.normal(size=count)
        targets[split] = ProbeTargets(
            clip_id=np.array([f"{split}{i}" for i in range(count)]),
            subject=np.array([f"{split}{i % 10}" for i in range(count)]),
            action=np.array(["curl", "press", "squat"])[action],
            load=np.exp(load + action),
            score=score,
            made=made,
        )
        known = np.column_stack([np.eye(3)[action], load, made, score / 20])
        features[split] = known @ mix + 0.05 * rng.normal(size=(count, 12))
    return features, targets


@pytest.fixture(scope="module")
def targets(data):
    return data[1]


@pytest.fixture(scope="module")
def fitted(data):
    return probes.fit_probes(*data)


def score(predictions, targets):
    return probes.score(predictions, targets["test"], targets["train"])


def test_linear_features_predict_everything(fitted, targets):
    scores = score(fitted, targets)
    assert scores["action_accuracy"] > 0.97 and scores["load_skill"] > 0.9
    assert scores["error_map"] > 0.95 and scores["score_srcc"] > 0.9
    assert np.isnan(scores["video_to_emg_r1"])


def test_noise_predicts_nothing(targets):
    rng = np.random.default_rng(1)
    noise = {split: rng.normal(size=(count, 12)) for split, count in SIZES.items()}
    scores = score(probes.fit_probes(noise, targets), targets)
    assert scores["action_accuracy"] < 0.5 and abs(scores["load_skill"]) < 0.05
    assert scores["error_map"] < 0.5 and abs(scores["score_srcc"]) < 0.25


def test_the_prior_has_no_skill_and_the_precision_of_the_prevalence(targets):
    test, train = targets["test"], targets["train"]
    scores = score(probes.prior(train, test), targets)
    names, count = np.unique(train.action, return_counts=True)
    assert scores["action_accuracy"] == np.mean(test.action == names[count.argmax()])
    assert scores["load_skill"] == 0 and np.isnan(scores["score_srcc"])
    rates = [test.made[test.action == a].mean(0) for a in names]
    assert scores["error_map"] == pytest.approx(np.mean(rates))


def test_average_precision_is_that_of_scikit_learn(fitted, targets):
    test, train = targets["test"], targets["train"]
    predictions = fitted.predictions["error_map"]
    predictions = predictions + np.random.default_rng(2).normal(size=predictions.shape)
    expected = [
        average_precision_score(test.made[test.action == a, e], predictions[test.action == a, e])
        for a in np.unique(test.action)
        for e in range(2)
    ]
    assert probes.error_map(predictions, test, train) == pytest.approx(np.mean(expected))


def test_unknown_targets_are_left_out(data):
    features, targets = data
    partly = {}
    for split, part in targets.items():
        load = np.where(np.arange(len(part.load)) % 3 == 0, np.nan, part.load)
        partly[split] = dataclasses.replace(part, load=load, score=np.full(len(load), np.nan))
    scores = score(probes.fit_probes(features, partly), partly)
    assert scores["load_skill"] > 0.9 and np.isnan(scores["score_srcc"])


def test_weights_are_repetitions(fitted, targets):
    test, train = targets["test"], targets["train"]
    weight = np.random.default_rng(3).integers(0, 3, (2, len(test.action)))
    drawn = probes.score(fitted, test, train, weight)
    fields = [field.name for field in dataclasses.fields(ProbeTargets)]
    for draw in range(2):
        rows = np.repeat(np.arange(len(test.action)), weight[draw])
        repeated = ProbeTargets(**{name: getattr(test, name)[rows] for name in fields})
        predictions = {name: part[rows] for name, part in fitted.predictions.items()}
        alone = probes.score(ProbePredictions(predictions, np.zeros(0, int), {}), repeated, train)
        for name in ("action_accuracy", "load_skill", "error_map", "score_srcc"):
            assert drawn[name][draw] == pytest.approx(alone[name]), name


def test_retrieval_of_perfect_and_of_constant_embeddings(targets):
    test = targets["test"]
    clip = np.arange(len(test.action))
    perfect = WindowEmbeddings(clip, np.eye(len(clip)), np.eye(len(clip)))
    constant = WindowEmbeddings(clip, np.ones((len(clip), 1)), np.ones((len(clip), 1)))
    scores = {
        name: score(ProbePredictions({}, *hits), targets)
        for name, hits in {
            "perfect": probes.retrieval_hits(perfect, test),
            "constant": probes.retrieval_hits(constant, test),
            "chance": probes.chance_hits(clip, test),
        }.items()
    }
    for metric in probes.RETRIEVAL:
        assert scores["perfect"][metric] == 1
        assert scores["constant"][metric] == pytest.approx(scores["chance"][metric])
    assert scores["chance"]["video_to_emg_r5"] == pytest.approx(5 / len(clip))
    assert scores["chance"]["emg_to_video_r1_same"] == pytest.approx(3 / len(clip))


def test_a_row_minus_itself_is_zero_in_numbers_and_in_the_table(fitted, targets):
    test, train = targets["test"], targets["train"]
    rows = {"a": [fitted, fitted], "b": [fitted], "nothing": [probes.prior(train, test)]}
    results = report.compare(rows, test, train, "a", samples=50)
    minus = results["minus_baseline"]
    assert minus["b"]["load_skill"] == 0 and minus["b"]["load_skill_ci95"] == [0.0, 0.0]
    row = results["rows"]["a"]
    low, high = row["load_skill_ci95"]
    assert low < row["load_skill"] < high and row["load_skill_sd"] == 0
    assert minus["nothing"]["load_skill_ci95"][1] < 0
    facts = {"dataset": "made/up", "simulated": True, "seeds": [0, 1]}
    text = report.format_table({"provenance": facts, "test": results})
    assert "simulated EMG" in text and "load, skill" in text and "minus a" in text
    assert "retrieval" not in text
