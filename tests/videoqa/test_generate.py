"""Questions depend on their seed only, are balanced, and cannot be guessed from their text."""

import collections
import dataclasses

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from tests.videoqa import synthetic
from video2emg.core import emg as emg_lib
from video2emg.core.vocabulary import SIDES
from video2emg.data.repetitions import Repetitions
from video2emg.data.store import open_dataset
from video2emg.fkg.feedback import feedback
from video2emg.fkg.load import load
from video2emg.videoqa import extract, repetition_records, wording
from video2emg.videoqa.generate import DIALOGUE, EVALUATE, balanced_sample, generate
from video2emg.videoqa.metrics import Evaluator, TrainStatistics
from video2emg.videoqa.question_types import BY_NAME, QUESTION_TYPES
from video2emg.videoqa.question_types.base import balanced_groups
from video2emg.videoqa.respondents.baselines import Blind, Majority
from video2emg.videoqa.respondents.graph import GraphRespondent

# The graph has no errors that only muscles show.
TYPES = {*DIALOGUE, *BY_NAME} - {"hidden_error"}


def closed(items):
    return [item for item in items if item.key.choice is not None]


def groups(items):
    by_group = collections.defaultdict(list)
    for item in closed(items):
        by_group[item.group].append(item)
    return by_group


def accuracy(answers, items):
    correct = collections.defaultdict(list)
    for item in closed(items):
        choice = extract.choice(answers[item.question.id].text, item.question.options)
        correct[item.question.type].append(choice == item.key.choice)
    return {name: float(np.mean(values)) for name, values in correct.items()}


def test_every_split_has_all_question_types(items):
    for subset in items.values():
        assert {item.question.type for item in subset} == TYPES
        assert len({item.question.id for item in subset}) == len(subset)


def test_questions_depend_on_the_seed_only(graph, repetitions, items):
    assert generate(graph, repetitions["test"], 0) == items["test"]
    assert generate(graph, repetitions["test"], 1) != items["test"]


def test_groups_are_balanced(items):
    for subset in groups(items["test"]).values():
        texts = {(i.question.text, i.question.options, i.question.values) for i in subset}
        assert len(texts) == 1
        assert sorted(i.key.choice for i in subset) == list(range(len(subset[0].question.options)))
        assert len({i.question.clips for i in subset}) == len(subset)


def test_an_option_is_right_for_one_clip_of_its_group_only(items, repetitions, graph):
    by_id = {repetition.clip_id: repetition for repetition in repetitions["test"]}
    for item in closed(items["test"]):
        subset = [by_id[clip] for clip in item.question.clips]
        question_type = BY_NAME[item.question.type]
        assert question_type.select_option(graph, item.question, subset) == item.key.choice
        if item.question.type == "which_error":
            present = [subset[0].has_error(tuple(v.split("/"))) for v in item.question.values]
            assert sum(present) == 1


@pytest.mark.parametrize("respondent", [Blind, Majority])
def test_baselines_without_clips_are_at_chance(respondent, items):
    answers = respondent(items["train"]).answer([i.question for i in items["test"]])
    by_type = accuracy(answers, items["test"])
    for question_type in QUESTION_TYPES:
        subset = [i for i in closed(items["test"]) if i.question.type == question_type.name]
        if question_type.name not in TYPES:
            assert not subset
            continue
        chance = np.mean([1 / len(i.question.options) for i in subset])
        assert by_type[question_type.name] == pytest.approx(chance, abs=1e-12), question_type.name


def test_a_classifier_of_words_is_at_chance(items):
    """It reads text, options and their order, and learns from train which option is right."""

    def table(subset):
        rows = [
            (f"{i.question.type} {position} {option} | {i.question.text}", position == i.key.choice)
            for i in closed(subset)
            for position, option in enumerate(i.question.options)
        ]
        return [text for text, _ in rows], np.array([right for _, right in rows])

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    train, labels = table(items["train"])
    model = LogisticRegression(C=10.0, max_iter=300).fit(words.fit_transform(train), labels)
    weight = model.decision_function(words.transform(table(items["test"])[0]))
    start, gains = 0, collections.defaultdict(list)
    for item in closed(items["test"]):
        size = len(item.question.options)
        choice = int(np.argmax(weight[start : start + size].round(9)))
        gains[item.question.type].append((choice == item.key.choice) - 1 / size)
        start += size
    for name, values in gains.items():
        assert np.mean(values) == pytest.approx(0, abs=1e-12), name


def test_blind_gains_on_unbalanced_questions(items):
    """The same questions, but only those whose right option is first in the alphabet."""

    def skewed(subset):
        return [i for i in closed(subset) if i.key.text == min(i.question.options)]

    answers = Blind(skewed(items["train"])).answer([i.question for i in skewed(items["test"])])
    by_type = accuracy(answers, skewed(items["test"]))
    assert by_type["action"] > 0.5 and by_type["error"] == 1.0 and by_type["which_error"] > 0.6


def test_wrong_options_are_the_most_similar(repetitions):
    subset = repetitions["test"]
    by_label = {
        "1": subset[:9],
        "2": subset[9:12],
        "8": subset[12:15],
        "9": subset[15:18],
        "3": subset[18:21],
    }
    labels, members = next(
        balanced_groups(by_label, np.random.default_rng(0), lambda a, b: -abs(int(a) - int(b)))
    )
    assert sorted(labels) == ["1", "2", "3", "8"]
    assert all(member[0] in by_label[label] for label, member in zip(labels, members, strict=True))


def test_errors_that_only_muscles_show_are_asked_apart():
    graph = load("gymsim_effort")
    records = synthetic.repetitions(graph, 12, seed=3)
    items = generate(graph, records, seed=0)
    shown = collections.defaultdict(set)
    for item in closed(items):
        if item.question.type in ("which_error", "hidden_error"):
            shown[item.question.type] |= {
                graph.errors[value.split("/")[1]].shown_by for value in item.question.values
            }
    assert shown == {"which_error": {"movement"}, "hidden_error": {"muscles"}}
    hidden = [item for item in items if item.question.type == "hidden_error"]
    answers = Blind(hidden).answer([item.question for item in hidden])
    chance = np.mean([1 / len(item.question.options) for item in hidden])
    assert accuracy(answers, hidden)["hidden_error"] == pytest.approx(chance, abs=1e-12)


def test_what_changes_is_the_largest_effect_of_the_only_error(graph, repetitions, items):
    by_id = {repetition.clip_id: repetition for repetition in repetitions["test"]}
    asked = [item for item in items["test"] if item.question.type == "what_changes"]
    assert asked
    for item in asked:
        repetition = by_id[item.question.clips[0]]
        [(step, error)] = [p for p in repetition.probability if repetition.has_error(p)]
        effects = graph.action(repetition.action).occurrence(step, error).effects
        effect = max(effects, key=lambda effect: effect.size)
        change = f"{effect.name} {'falls' if effect.rises else 'rises'}"
        assert item.key.text == change.capitalize()


def test_a_limit_keeps_groups_and_dialogues_complete(items):
    chosen = balanced_sample(items["test"], 60)
    assert 60 <= len(chosen) < 75
    assert {item.question.type for item in chosen} == TYPES
    everything = groups(items["test"])
    for name, subset in groups(chosen).items():
        assert len(subset) == len(everything[name])
    assert balanced_sample(items["test"], 0) == items["test"]


def test_errors_of_an_evaluation_are_extracted(graph):
    """Each error, and each pair of errors of an exercise, in every wording."""
    for action in graph.actions.values():
        pairs = [(step.id, edge.error) for step, edge in action.pairs]
        for first in range(len(pairs)):
            for second in range(first, len(pairs)):
                present = np.zeros(len(pairs))
                present[[first, second]] = 1.0
                begins = np.arange(len(action.steps), dtype=float)
                words = feedback(graph, "c", action.id, 50.0, present, present, begins, 9.0, 0.5)
                phrases = wording.PhraseChooser(np.random.default_rng([first, second]))
                text = wording.evaluation(words, phrases)
                assert extract.errors(text, graph) == {pairs[first][1], pairs[second][1]}, text
        assert extract.errors(wording.standard(action, wording.PhraseChooser()), graph) == set()


def test_evaluations_name_the_labelled_errors(graph, repetitions, items):
    flawless = {r.clip_id for r in repetitions["test"] if not any(r.severity.values())}
    evaluations = [i for i in items["test"] if i.question.type == EVALUATE]
    assert flawless
    for item in evaluations:
        assert (item.question.clips[0] in flawless) == (not item.key.errors)
        assert extract.errors(item.key.text, graph) == set(item.key.errors)


def test_graph_respondent_is_right_if_its_records_are(graph, repetitions, items):
    respondent = GraphRespondent(graph, {r.clip_id: r for r in repetitions["test"]})
    answers = respondent.answer([i.question for i in items["test"]])
    evaluator = Evaluator(graph, items["test"], TrainStatistics({}, 0.4), samples=20)
    point = evaluator.evaluate(answers).point
    assert point["accuracy"] == point["recognised"] == point["error_f1"] == 1
    assert point["mae"] < 0.06 and point["failed"] == 0


def test_graph_respondent_with_records_of_another_exercise(graph, repetitions, items):
    other = {"barbell_squat": "dumbbell_curl"}
    rng = np.random.default_rng(0)
    wrong = {
        r.clip_id: dataclasses.replace(
            synthetic.repetition(graph, other.get(r.action, "barbell_squat"), r.subject, 0, rng),
            clip_id=r.clip_id,
        )
        for r in repetitions["test"]
    }
    answers = GraphRespondent(graph, wrong).answer([i.question for i in items["test"]])
    assert accuracy(answers, items["test"])["action"] < 0.4


def test_records_of_simulated_clips(graph, tiny_dir):
    for clip in Repetitions(open_dataset("gymsim/tiny", tiny_dir).splits["train"]):
        record = repetition_records.from_clip(clip, graph, emg_lib.Normalisation("mvc"))
        present = {pair for pair in record.severity if record.has_error(pair)}
        assert present == {(step, error) for step, error, _ in clip.errors}
        # The simulator's score carries noise of 1.5 points.
        assert 100 - sum(record.points_lost(graph).values()) == pytest.approx(clip.score, abs=6)
        assert set(record.activity) == {step for step, _, _ in clip.phases}
        assert set(record.tilt) == set(record.moments) == set(record.activity)
        envelope = emg_lib.clip_envelope(clip) / clip.emg_max
        step, begin, end = clip.phases[1]
        inside = (clip.emg_time >= begin) & (clip.emg_time < end)
        assert record.activity[step][clip.muscles[0]] == pytest.approx(
            float(envelope[inside, 0].mean()), rel=1e-5
        )
        assert set(record.activity[step]) == set(clip.muscles)
        inside = (clip.pose_time >= begin) & (clip.pose_time < end)
        knees = [clip.torque[inside, clip.dofs.index(f"{s}_knee_extension")] for s in SIDES]
        assert record.moments[step]["knee"] == pytest.approx(np.abs(knees).max(), rel=1e-5)
