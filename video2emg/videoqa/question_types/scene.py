"""Questions about the exercise, its timing and its sides."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.fkg.graph import Action, Graph
from video2emg.videoqa import wording
from video2emg.videoqa.items import Question
from video2emg.videoqa.question_types.base import (
    MAX_OPTIONS,
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

_MIN_GAP_S = 0.3  # between the moments of one group, s
_MIN_TILT_M = 0.03  # between the heights of the two hands, m


def _action_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Which exercise it is. The other options share equipment, errors or muscles."""
    texts = (
        "Which exercise is shown?",
        "What exercise is this person doing?",
        "Name the exercise in the video.",
    )
    by_label: dict[str, list[RepetitionRecord]] = {}
    for repetition in repetitions:
        by_label.setdefault(repetition.action, []).append(repetition)

    def similarity(label: str, other: str) -> float:
        a, b = graph.action(label), graph.action(other)
        shared = _errors(a) & _errors(b)
        return (a.equipment == b.equipment) + len(shared) + len({*a.muscles} & {*b.muscles})

    for labels, members in balanced_groups(by_label, rng, similarity):
        options = tuple(wording.action_name(graph.action(label)) for label in labels)
        yield make_group(rng, texts, options, labels, {}, members)


def _select_action(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    action = repetitions[0].action
    return question.values.index(action) if action in question.values else None


ACTION = QuestionType("action", _action_groups, _select_action)


def _moment_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """When a key step begins. Options are `_MIN_GAP_S` apart or more."""
    for action, subset in by_action(graph, repetitions):
        for step in action.steps[1:]:  # the first step begins with the clip
            texts = fill_templates(
                (
                    "When does the key step {step} of this {action} begin?",
                    "At what time does the person doing this {action} begin to {step}?",
                    "Find the beginning of the key step {step} in this {action}.",
                ),
                template_names(action, step),
            )
            parameters = {"action": action.id, "step": step.id}
            timed = [(r.spans[step.id][0], r) for r in subset if step.id in r.spans]
            for group in _spread_in_time(timed):
                values = [f"{time:.1f}" for time, _ in group]
                options = tuple(f"{value} s" for value in values)
                members = [(repetition,) for _, repetition in group]
                yield make_group(rng, texts, options, values, parameters, members)


def _select_moment(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    span = repetitions[0].spans.get(question.parameters["step"])
    if span is None:
        return None
    return int(np.argmin([abs(float(value) - span[0]) for value in question.values]))


MOMENT = QuestionType("moment", _moment_groups, _select_moment)


def _side_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Which hand is higher in a key step, by `_MIN_TILT_M` or more."""
    for action, subset in by_action(graph, repetitions):
        for step in action.steps:
            texts = fill_templates(
                (
                    "Which hand of the person is higher in the key step {step} of this {action}?",
                    "This {action} is uneven: on which side of the body is the hand higher in "
                    "the key step {step}?",
                ),
                template_names(action, step),
            )
            by_label: dict[str, list[RepetitionRecord]] = {}
            for repetition in subset:
                if abs(repetition.tilt.get(step.id, 0.0)) >= _MIN_TILT_M:
                    by_label.setdefault(_higher_side(repetition, step.id), []).append(repetition)
            parameters = {"action": action.id, "step": step.id}
            for labels, members in balanced_groups(by_label, rng):
                options = tuple(f"The {label} hand" for label in labels)
                yield make_group(rng, texts, options, labels, parameters, members)


def _select_side(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    step = question.parameters["step"]
    if step not in repetitions[0].tilt:
        return None
    return question.values.index(_higher_side(repetitions[0], step))


SIDE = QuestionType("side", _side_groups, _select_side)


def _spread_in_time(
    timed: Sequence[tuple[float, RepetitionRecord]],
) -> Iterator[list[tuple[float, RepetitionRecord]]]:
    """The largest possible groups of repetitions whose moments are apart; each is used once.

    Times are first rounded as the options show them.
    """
    remaining = sorted(
        ((round(time, 1), repetition) for time, repetition in timed), key=lambda pair: pair[0]
    )
    for size in range(MAX_OPTIONS, 1, -1):
        stride = len(remaining) // size
        rest = remaining[size * stride :]
        for start in range(stride):
            group = remaining[start : size * stride : stride]
            gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(group)]
            if min(gaps) >= _MIN_GAP_S - 1e-9:
                yield group
            else:
                rest += group
        remaining = sorted(rest, key=lambda pair: pair[0])


def _higher_side(repetition: RepetitionRecord, step: str) -> str:
    left, right = vocabulary.SIDES
    return left if repetition.tilt[step] > 0 else right


def _errors(action: Action) -> set[str]:
    return {edge.error for _, edge in action.pairs}
