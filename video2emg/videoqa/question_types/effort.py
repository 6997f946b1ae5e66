"""Questions about muscle activity, and comparisons of two repetitions."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.fkg.graph import Action, Graph, KeyStep
from video2emg.videoqa import wording
from video2emg.videoqa.items import Question
from video2emg.videoqa.question_types.base import (
    Group,
    QuestionType,
    Repetitions,
    Rng,
    balanced_groups,
    by_action,
    fill_templates,
    make_group,
    template_names,
)
from video2emg.videoqa.repetition_records import RepetitionRecord

_FIRST, _SECOND = "first", "second"
_MIN_ACTIVITY = 0.05  # muscles that are less active are not compared
_MAX_SECOND_ACTIVITY = 0.85  # second most active muscle, as a share of the most active
_MAX_WEAKER_ACTIVITY = 0.75  # of a muscle in the weaker repetition, as a share of the stronger
_JOINT_PAIRS = (("hip", "knee"), ("shoulder", "elbow"))
_MIN_MOMENT = 10.0  # N·m; joints that carry less are not compared
_MAX_SMALLER_MOMENT = 0.75  # smaller moment, as a share of the larger
_MIN_SCORE_DIFFERENCE = 8.0  # between two repetitions, points


def _muscle_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Which muscle works hardest in a key step, by measured EMG, mean of both sides."""
    for action, step, subset in _with_emg(graph, repetitions):
        by_label: dict[str, list[RepetitionRecord]] = {}
        for repetition in subset:
            activity = _muscle_activity(repetition, step.id)
            order = sorted(activity, key=lambda name: (-activity[name], name))
            if len(order) > 1 and (
                _MIN_ACTIVITY < activity[order[0]] > activity[order[1]] / _MAX_SECOND_ACTIVITY
            ):
                by_label.setdefault(order[0], []).append(repetition)
        texts = fill_templates(
            (
                "Relative to its maximum, which muscle works hardest in the key step {step} of "
                "this {action}?",
                "In the key step {step} of this {action}, which muscle is the most active, "
                "measured against its own maximum?",
            ),
            template_names(action, step),
        )
        parameters = {"action": action.id, "step": step.id}
        for labels, members in balanced_groups(by_label, rng):
            options = tuple(map(wording.to_words, labels))
            yield make_group(rng, texts, options, labels, parameters, members)


def _select_muscle(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    activity = _muscle_activity(repetitions[0], question.parameters["step"])
    values = [activity.get(value, -1.0) for value in question.values]
    return int(np.argmax(values)) if max(values) >= 0 else None


MUSCLE = QuestionType("muscle", _muscle_groups, _select_muscle)


def _joint_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Which of two joints carries the larger moment in a key step, by inverse dynamics."""
    for action, subset in by_action(graph, repetitions):
        for step, joints in itertools.product(action.steps, _JOINT_PAIRS):
            by_label: dict[str, list[RepetitionRecord]] = {}
            for repetition in subset:
                moments = repetition.moments.get(step.id, {})
                smaller, larger = sorted(joints, key=lambda joint: moments.get(joint, 0.0))
                high, low = moments.get(larger, 0.0), moments.get(smaller, 0.0)
                if high >= _MIN_MOMENT and low <= _MAX_SMALLER_MOMENT * high:
                    by_label.setdefault(larger, []).append(repetition)
            texts = fill_templates(
                (
                    "Which joint carries the larger moment in the key step {step} of this "
                    "{action}?",
                    "In the key step {step} of this {action}, at which joint is the peak moment "
                    "larger?",
                ),
                template_names(action, step),
            )
            parameters = {"action": action.id, "step": step.id}
            for labels, members in balanced_groups(by_label, rng):
                options = tuple(f"The {joint}" for joint in labels)
                yield make_group(rng, texts, options, labels, parameters, members)


def _select_joint(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    moments = repetitions[0].moments.get(question.parameters["step"])
    if moments is None:
        return None
    return int(np.argmax([moments[joint] for joint in question.values]))


JOINT = QuestionType("joint", _joint_groups, _select_joint)


def _better_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Which of two repetitions of one person is done better."""
    for action, a, b in _same_person_pairs(graph, repetitions):
        if not abs(a.score - b.score) >= _MIN_SCORE_DIFFERENCE:  # also skips unknown scores
            continue
        texts = fill_templates(
            (
                "Which of the two repetitions of the {action} is done better?",
                "Two repetitions of the {action} are shown. Which deserves the higher score?",
            ),
            template_names(action),
        )
        yield _both_orders(rng, texts, {"action": action.id}, a, b, a.score > b.score)


def _select_better(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    return _first_or_second(question, repetitions[0].score > repetitions[1].score)


BETTER = QuestionType("better", _better_groups, _select_better)


def _stronger_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """In which of two repetitions of one person a muscle works harder, by measured EMG."""
    for action, a, b in _same_person_pairs(graph, repetitions):
        for step in action.steps:
            activity_a, activity_b = _muscle_activity(a, step.id), _muscle_activity(b, step.id)
            for muscle in sorted(activity_a.keys() & activity_b.keys()):
                values = activity_a[muscle], activity_b[muscle]
                if not _MIN_ACTIVITY < max(values) > min(values) / _MAX_WEAKER_ACTIVITY:
                    continue
                texts = fill_templates(
                    (
                        "In which of the two repetitions of the {action} does the {muscle} "
                        "work harder in the key step {step}?",
                        "Compare the key step {step} of the two repetitions of the {action}: "
                        "in which is the {muscle} more active?",
                    ),
                    template_names(action, step) | {"muscle": wording.to_words(muscle)},
                )
                parameters = {"action": action.id, "step": step.id, "muscle": muscle}
                yield _both_orders(rng, texts, parameters, a, b, values[0] > values[1])


def _select_stronger(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    step, muscle = question.parameters["step"], question.parameters["muscle"]
    first, second = (_muscle_activity(r, step).get(muscle) for r in repetitions)
    if first is None or second is None:
        return None
    return _first_or_second(question, first > second)


STRONGER = QuestionType("stronger", _stronger_groups, _select_stronger)


def _both_orders(
    rng: Rng,
    texts: Sequence[str],
    parameters: Mapping[str, str],
    a: RepetitionRecord,
    b: RepetitionRecord,
    a_wins: bool,
) -> Group:
    """Two repetitions, shown in either order."""
    winner, loser = (a, b) if a_wins else (b, a)
    return make_group(
        rng,
        texts,
        ("The first", "The second"),
        (_FIRST, _SECOND),
        parameters,
        [(winner, loser), (loser, winner)],
        False,
    )


def _first_or_second(question: Question, first: bool) -> int:
    return question.values.index(_FIRST if first else _SECOND)


def _with_emg(
    graph: Graph, repetitions: Repetitions
) -> Iterator[tuple[Action, KeyStep, list[RepetitionRecord]]]:
    """(exercise, key step, repetitions with EMG in that step)."""
    for action, subset in by_action(graph, repetitions):
        for step in action.steps:
            measured = [repetition for repetition in subset if step.id in repetition.activity]
            if measured:
                yield action, step, measured


def _same_person_pairs(
    graph: Graph, repetitions: Repetitions
) -> Iterator[tuple[Action, RepetitionRecord, RepetitionRecord]]:
    """Pairs of repetitions of one exercise by one person."""
    for action, subset in by_action(graph, repetitions):
        by_subject: dict[str, list[RepetitionRecord]] = {}
        for repetition in subset:
            by_subject.setdefault(repetition.subject, []).append(repetition)
        for of_subject in by_subject.values():
            for a, b in itertools.combinations(of_subject, 2):
                yield action, a, b


def _muscle_activity(repetition: RepetitionRecord, step: str) -> dict[str, float]:
    """Activity of each muscle in a key step, mean of its sides."""
    sides: dict[str, list[float]] = {}
    for channel, value in repetition.activity.get(step, {}).items():
        sides.setdefault(vocabulary.split_channel(channel)[1], []).append(value)
    return {muscle: float(np.mean(values)) for muscle, values in sides.items()}
