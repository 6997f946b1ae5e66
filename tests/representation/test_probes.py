"""Probes find what features hold, and nothing in noise; priors are what they should be."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from video2emg.representation import probes, report
from video2emg.representation.probes import Answers, Clips, Windows

SIZES = {"train": 240, "validation": 90, "test": 120}


def made_up(seed=0):
    """Clips of three actions, and features that hold everything linearly, action by action."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(3 + 1 + 2 + 1, 12))
    clips, features = {}, {}
    for split, count in SIZES.items():
        action = rng.integers(0, 3, count)
        load = rng.uniform(0, 1, count)
        made = rng.random((count, 2)) < 0.3
        score = 90 - 20 * made[:, 0] - 10 * made[:, 1] + rng.normal(size=count)
        clips[split] = Clips(
            clip_id=np.array([f"{split}{i}" for i in range(count)]),
            subject=np.array([f"{split}{i % 10}" for i in range(count)]),
            action=np.array(["curl", "press", "squat"])[action],
            load=np.exp(load + action),
            score=score,
            made=made,
        )
        known = np.column_stack([np.eye(3)[action], load, made, score / 20])
        features[split] = known @ mix + 0.05 * rng.normal(size=(count, 12))
    return features, clips


def test_what_is_there_is_found():
    features, clips = made_up()
    found = probes.score(probes.probe(features, clips), clips["test"], clips["train"])
    assert found["action_accuracy"] > 0.97 and found["load_skill"] > 0.9
    assert found["error_map"] > 0.95 and found["score_srcc"] > 0.9
    assert np.isnan(found["video_to_emg_r1"])


def test_noise_tells_nothing():
    _, clips = made_up()
    rng = np.random.default_rng(1)
    noise = {split: rng.normal(size=(count, 12)) for split, count in SIZES.items()}
    found = probes.score(probes.probe(noise, clips), clips["test"], clips["train"])
    assert found["action_accuracy"] < 0.5 and abs(found["load_skill"]) < 0.05
    assert found["error_map"] < 0.5 and abs(found["score_srcc"]) < 0.25


def test_the_prior_is_zero_skill_and_the_prevalence():
    _, clips = made_up()
    test, train = clips["test"], clips["train"]
    found = probes.score(probes.prior(train, test), test, train)
    names, count = np.unique(train.action, return_counts=True)
    assert found["action_accuracy"] == np.mean(test.action == names[count.argmax()])
    assert found["load_skill"] == 0 and np.isnan(found["score_srcc"])
    rates = [test.made[test.action == a].mean(0) for a in names]
    assert found["error_map"] == pytest.approx(np.mean(rates))


def test_average_precision_as_scikit_learn_has_it():
    features, clips = made_up()
    test, train = clips["test"], clips["train"]
    said = probes.probe(features, clips).said["error_map"]
    said = said + np.random.default_rng(2).normal(size=said.shape)
    expected = [
        average_precision_score(test.made[test.action == a, e], said[test.action == a, e])
        for a in np.unique(test.action)
        for e in range(2)
    ]
    assert probes.error_map(said, test, train) == pytest.approx(np.mean(expected))


def test_unknown_targets_are_left_out():
    features, clips = made_up()
    for split, of in clips.items():
        load = np.where(np.arange(len(of.load)) % 3 == 0, np.nan, of.load)
        clips[split] = dataclasses.replace(of, load=load, score=np.full(len(load), np.nan))
    found = probes.score(probes.probe(features, clips), clips["test"], clips["train"])
    assert found["load_skill"] > 0.9 and np.isnan(found["score_srcc"])


def test_weights_are_repetitions():
    features, clips = made_up()
    test, train = clips["test"], clips["train"]
    answers = probes.probe(features, clips)
    weight = np.random.default_rng(3).integers(0, 3, (2, len(test.action)))
    drawn = probes.score(answers, test, train, weight)
    for draw in range(2):
        rows = np.repeat(np.arange(len(test.action)), weight[draw])
        again = Clips(**{f.name: getattr(test, f.name)[rows] for f in dataclasses.fields(Clips)})
        said = {name: of[rows] for name, of in answers.said.items()}
        alone = probes.score(Answers(said, np.zeros(0, int), {}), again, train)
        for name in ("action_accuracy", "load_skill", "error_map", "score_srcc"):
            assert drawn[name][draw] == pytest.approx(alone[name]), name


def test_retrieval_of_perfect_and_of_constant_embeddings():
    _, clips = made_up()
    test, train = clips["test"], clips["train"]
    place = np.arange(len(test.action))
    perfect = Windows(place, np.eye(len(place)), np.eye(len(place)))
    blind = Windows(place, np.ones((len(place), 1)), np.ones((len(place), 1)))
    scores = {
        name: probes.score(Answers({}, *of), test, train)
        for name, of in {
            "perfect": probes.retrieved(perfect, test),
            "blind": probes.retrieved(blind, test),
            "chance": probes.chance(place, test),
        }.items()
    }
    for metric in probes.RETRIEVAL:
        assert scores["perfect"][metric] == 1
        assert scores["blind"][metric] == pytest.approx(scores["chance"][metric])
    assert scores["chance"]["video_to_emg_r5"] == pytest.approx(5 / len(place))
    assert scores["chance"]["emg_to_video_r1_same"] == pytest.approx(3 / len(place))


def test_a_row_minus_itself_is_nothing_and_says_so():
    features, clips = made_up()
    answers = probes.probe(features, clips)
    rows = {"a": [answers, answers], "b": [answers], "nothing": [
        probes.prior(clips["train"], clips["test"])]}  # fmt: skip
    found = report.compare(rows, clips["test"], clips["train"], "a", samples=50)
    assert found["minus_baseline"]["b"]["load_skill"] == 0
    assert found["minus_baseline"]["b"]["load_skill_ci95"] == [0.0, 0.0]
    low, high = found["rows"]["a"]["load_skill_ci95"]
    assert low < found["rows"]["a"]["load_skill"] < high
    gap = found["minus_baseline"]["nothing"]["load_skill_ci95"]
    assert gap[1] < 0
    facts = {"dataset": "made/up", "simulated": True, "seeds": [0, 1]}
    text = report.format_table({"provenance": facts, "test": found})
    assert "simulated EMG" in text and "load, skill" in text and "minus a" in text
    assert "retrieval" not in text
