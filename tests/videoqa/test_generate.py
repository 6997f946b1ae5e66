"""Questions are determined by their seed, balanced, and give nothing away."""

import collections
import dataclasses

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from tests.videoqa import people
from video2emg.core import emg as emg_lib
from video2emg.data.store import open_dataset
from video2emg.fkg.feedback import feedback
from video2emg.videoqa import accounts, extract, wording
from video2emg.videoqa.answerers.baselines import Blind, Majority
from video2emg.videoqa.answerers.graph import GraphAnswerer
from video2emg.videoqa.generate import CHAIN, EVALUATE, balanced_sample, generate
from video2emg.videoqa.kinds import BY_NAME, KINDS
from video2emg.videoqa.kinds.base import deal
from video2emg.videoqa.metrics import BootstrapEvaluator, Facts


def closed(items):
    return [item for item in items if item.key.choice is not None]


def groups(items):
    found = collections.defaultdict(list)
    for item in closed(items):
        found[item.group].append(item)
    return found


def accuracy(answers, items):
    right = collections.defaultdict(list)
    for item in closed(items):
        said = extract.choice(answers[item.question.id].text, item.question.options)
        right[item.question.kind].append(said == item.key.choice)
    return {kind: float(np.mean(values)) for kind, values in right.items()}


def test_all_kinds_are_asked_of_every_split(asked):
    for items in asked.values():
        assert {item.question.kind for item in items} == {*CHAIN, *BY_NAME}
        assert len({item.question.id for item in items}) == len(items)


def test_a_seed_determines_everything(graph, told, asked):
    assert generate(graph, told["test"], 0) == asked["test"]
    assert generate(graph, told["test"], 1) != asked["test"]


def test_a_group_has_one_text_and_every_option_is_right_once(asked):
    for own in groups(asked["test"]).values():
        shown = {(i.question.text, i.question.options, i.question.values) for i in own}
        assert len(shown) == 1
        assert sorted(i.key.choice for i in own) == list(range(len(own[0].question.options)))
        assert len({i.question.clips for i in own}) == len(own)


def test_an_option_fits_one_clip_of_its_group_only(asked, told, graph):
    by_id = {account.clip_id: account for account in told["test"]}
    for item in closed(asked["test"]):
        own = [by_id[clip] for clip in item.question.clips]
        assert BY_NAME[item.question.kind].choose(graph, item.question, own) == item.key.choice
        if item.question.kind == "which_error":
            made = [own[0].makes(tuple(v.split("/"))) for v in item.question.values]
            assert sum(made) == 1


@pytest.mark.parametrize("respondent", [Blind, Majority])
def test_the_text_gives_nothing_away(respondent, asked):
    answers = respondent(asked["train"]).answer([i.question for i in asked["test"]])
    found = accuracy(answers, asked["test"])
    for kind in KINDS:
        items = [i for i in closed(asked["test"]) if i.question.kind == kind.name]
        chance = np.mean([1 / len(i.question.options) for i in items])
        assert found[kind.name] == pytest.approx(chance, abs=1e-12), kind.name


def test_a_classifier_of_words_finds_nothing_either(asked):
    """It reads text, options and their order, and learns from train which option is right."""

    def table(items):
        rows = [
            (f"{i.question.kind} {place} {option} | {i.question.text}", place == i.key.choice)
            for i in closed(items)
            for place, option in enumerate(i.question.options)
        ]
        return [text for text, _ in rows], np.array([right for _, right in rows])

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    train, labels = table(asked["train"])
    model = LogisticRegression(C=10.0, max_iter=300).fit(words.fit_transform(train), labels)
    weight = model.decision_function(words.transform(table(asked["test"])[0]))
    start, right = 0, collections.defaultdict(list)
    for item in closed(asked["test"]):
        size = len(item.question.options)
        said = int(np.argmax(weight[start : start + size].round(9)))
        right[item.question.kind].append((said == item.key.choice) - 1 / size)
        start += size
    for kind, gains in right.items():
        assert np.mean(gains) == pytest.approx(0, abs=1e-12), kind


def test_blind_finds_what_an_unbalanced_set_gives_away(asked):
    """The same questions, but those whose right option comes first in the alphabet only."""

    def skewed(items):
        return [i for i in closed(items) if i.key.text == min(i.question.options)]

    answers = Blind(skewed(asked["train"])).answer([i.question for i in skewed(asked["test"])])
    found = accuracy(answers, skewed(asked["test"]))
    assert found["action"] > 0.5 and found["error"] == 1.0 and found["which_error"] > 0.6


def test_wrong_options_are_the_nearest_there_are(told):
    own = told["test"]
    buckets = {"1": own[:9], "2": own[9:12], "8": own[12:15], "9": own[15:18], "3": own[18:21]}
    labels, members = next(
        deal(buckets, np.random.default_rng(0), lambda a, b: -abs(int(a) - int(b)))
    )
    assert sorted(labels) == ["1", "2", "3", "8"]
    assert all(member[0] in buckets[label] for label, member in zip(labels, members, strict=True))


def test_a_limit_keeps_groups_and_dialogues_whole(asked):
    chosen = balanced_sample(asked["test"], 60)
    assert 60 <= len(chosen) < 75
    assert {item.question.kind for item in chosen} == {*CHAIN, *BY_NAME}
    for name, own in groups(chosen).items():
        assert len(own) == len(groups(asked["test"])[name])
    assert balanced_sample(asked["test"], 0) == asked["test"]


def test_what_an_evaluation_says_is_read_back(graph):
    """Each error, and each two of an exercise, in every wording."""
    for action in graph.actions.values():
        pairs = [(step.id, edge.error) for step, edge in action.pairs]
        for first in range(len(pairs)):
            for second in range(first, len(pairs)):
                made = np.zeros(len(pairs))
                made[[first, second]] = 1.0
                begins = np.arange(len(action.steps), dtype=float)
                words = feedback(graph, "c", action.id, 50.0, made, made, begins, 9.0, 0.5)
                voice = wording.Voice(np.random.default_rng([first, second]))
                text = wording.evaluation(words, voice)
                assert extract.errors(text, graph) == {pairs[first][1], pairs[second][1]}, text
        assert extract.errors(wording.standard(action, wording.Voice()), graph) == set()


def test_a_flawless_repetition_names_no_error(graph, told, asked):
    flawless = {a.clip_id for a in told["test"] if not any(a.expected_severity.values())}
    evaluations = [i for i in asked["test"] if i.question.kind == EVALUATE]
    assert flawless
    for item in evaluations:
        assert (item.question.clips[0] in flawless) == (not item.key.errors)
        assert extract.errors(item.key.text, graph) == set(item.key.errors)


def test_ours_is_right_where_its_account_is(graph, told, asked):
    respondent = GraphAnswerer(graph, {a.clip_id: a for a in told["test"]})
    answers = respondent.answer([i.question for i in asked["test"]])
    marks = BootstrapEvaluator(graph, asked["test"], Facts({}, 0.4), samples=20).mark(answers)
    assert marks.point["accuracy"] == marks.point["recognised"] == marks.point["error_f1"] == 1
    assert marks.point["mae"] < 0.06 and marks.point["failed"] == 0


def test_an_account_of_another_exercise_is_no_crash(graph, told, asked):
    other = {"barbell_squat": "dumbbell_curl"}
    rng = np.random.default_rng(0)
    wrong = {
        a.clip_id: dataclasses.replace(
            people.account(graph, other.get(a.action, "barbell_squat"), a.subject, 0, rng),
            clip_id=a.clip_id,
        )
        for a in told["test"]
    }
    answers = GraphAnswerer(graph, wrong).answer([i.question for i in asked["test"]])
    assert accuracy(answers, asked["test"])["action"] < 0.4


def test_accounts_of_simulated_clips_say_what_the_clips_say(graph, tiny_dir):
    clips = open_dataset("gymsim/tiny", tiny_dir).splits["train"]
    for clip in clips:
        account = accounts.of_clip(clip, graph, emg_lib.Normalisation("mvc"))
        made = {pair for pair in account.expected_severity if account.makes(pair)}
        assert made == {(step, error) for step, error, _ in clip.errors}
        # The simulator's score carries noise of 1.5 points.
        assert 100 - sum(account.losses(graph).values()) == pytest.approx(clip.score, abs=6)
        assert set(account.activity) == {step for step, _, _ in clip.phases}
        assert set(account.tilt) == set(account.activity)
        envelope = emg_lib.clip_envelope(clip) / clip.emg_max
        step, begin, end = clip.phases[1]
        inside = (clip.emg_time >= begin) & (clip.emg_time < end)
        assert account.activity[step][clip.muscles[0]] == pytest.approx(
            float(envelope[inside, 0].mean()), rel=1e-5
        )
        assert set(account.activity[step]) == set(clip.muscles)
