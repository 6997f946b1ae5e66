"""Questions about errors and corrections."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.fkg.effects import largest
from video2emg.fkg.graph import Action, Graph, ShownBy
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
from video2emg.videoqa.repetition_records import RepetitionRecord, StepError

_MAX_SECOND_LOSS = 0.8  # second largest loss of points, as a share of the largest


def _error_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Whether an error is made in a key step."""
    for action, subset in by_action(graph, repetitions):
        for step, edge in action.pairs:
            names = template_names(action, step) | {"error": wording.error_name(graph, edge.error)}
            texts = fill_templates(
                (
                    "In this {action}, is the following error made in the key step {step}: "
                    "“{error}”?",
                    "Look at the key step {step} of this {action}. Is this seen: “{error}”?",
                    "Does this {action} show the error “{error}” in its key step {step}?",
                ),
                names,
            )
            parameters = {"action": action.id, "step": step.id, "error": edge.error}
            by_label: dict[str, list[RepetitionRecord]] = {"yes": [], "no": []}
            for repetition in subset:
                present = repetition.has_error((step.id, edge.error))
                by_label["yes" if present else "no"].append(repetition)
            for labels, members in balanced_groups(by_label, rng):
                yes_first = sorted(labels, reverse=True)
                ordered = [members[labels.index(label)] for label in yes_first]
                yield make_group(rng, texts, ("Yes", "No"), yes_first, parameters, ordered, False)


def _select_error(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    step_error = question.parameters["step"], question.parameters["error"]
    return question.values.index("yes" if repetitions[0].has_error(step_error) else "no")


ERROR = QuestionType("error", _error_groups, _select_error)


def _which_error_groups(
    shown_by: ShownBy,
    templates: Sequence[str],
    graph: Graph,
    repetitions: Repetitions,
    rng: Rng,
) -> Iterator[Group]:
    """Which of several errors of the exercise, that are shown in the same way, is made."""
    for action, subset in by_action(graph, repetitions):
        pairs = {
            _join(step.id, edge.error): (step, edge)
            for step, edge in action.pairs
            if graph.errors[edge.error].shown_by == shown_by
        }
        by_label: dict[str, list[RepetitionRecord]] = {}
        for repetition in subset:
            for label in pairs:
                if repetition.has_error(_split(label)):
                    by_label.setdefault(label, []).append(repetition)

        def similarity(label: str, other: str, pairs=pairs) -> float:
            (step, edge), (other_step, other_edge) = pairs[label], pairs[other]
            tiers = {graph.errors[e.error].tier for e in (edge, other_edge)}
            return (step.id == other_step.id) + (len(tiers) == 1)

        def has_no_other(repetition: RepetitionRecord, label: str, labels: Sequence[str]) -> bool:
            others = (other for other in labels if other != label)
            return not any(repetition.has_error(_split(other)) for other in others)

        texts = fill_templates(templates, template_names(action))
        for labels, members in balanced_groups(by_label, rng, similarity, has_no_other):
            options = tuple(
                f"{wording.error_name(graph, pairs[label][1].error)} "
                f"({wording.step_name(pairs[label][0])})"
                for label in labels
            )
            yield make_group(rng, texts, options, labels, {"action": action.id}, members)


def _select_which_error(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    probability = repetitions[0].probability
    return int(np.argmax([probability.get(_split(value), 0.0) for value in question.values]))


WHICH_ERROR = QuestionType(
    "which_error",
    functools.partial(
        _which_error_groups,
        "movement",
        (
            "Which of these errors is made in this {action}?",
            "This {action} shows one of the following errors. Which?",
            "What is wrong with this {action}?",
        ),
    ),
    _select_which_error,
)
HIDDEN_ERROR = QuestionType(
    "hidden_error",
    functools.partial(
        _which_error_groups,
        "muscles",
        (
            "The muscles work wrongly in this {action}, without any change of its movement. How?",
            "Which of these errors, which only the muscles show, is made in this {action}?",
            "What is wrong with the effort of the muscles in this {action}?",
        ),
    ),
    _select_which_error,
)


def _correction_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Counterfactual: which correction would raise the score most."""
    for action, subset in by_action(graph, repetitions):
        advice = {
            _join(step.id, edge.error): graph.feedback[edge.feedback[0]]
            for step, edge in action.pairs
            if edge.feedback
        }
        by_label: dict[str, list[RepetitionRecord]] = {}
        for repetition in subset:
            lost = repetition.points_lost(graph)
            order = sorted(lost, key=lambda pair: (-lost[pair], pair))
            largest = lost[order[0]]
            second = lost[order[1]] if len(order) > 1 else 0.0
            label = _join(*order[0])
            if label in advice and second <= _MAX_SECOND_LOSS * largest and largest:
                by_label.setdefault(label, []).append(repetition)

        def has_distinct_options(
            repetition: RepetitionRecord, label: str, labels: Sequence[str], advice=advice
        ) -> bool:
            return len({advice[label] for label in labels}) == len(labels)

        texts = fill_templates(
            (
                "Which correction would raise the score of this {action} most?",
                "If one thing could be corrected in this {action}, what gains most points?",
                "Which advice is worth most to the person doing this {action}?",
            ),
            template_names(action),
        )
        for labels, members in balanced_groups(by_label, rng, is_suitable=has_distinct_options):
            options = tuple(advice[label] for label in labels)
            yield make_group(rng, texts, options, labels, {"action": action.id}, members)


def _select_correction(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    if repetitions[0].action != question.parameters["action"]:
        return None
    lost = repetitions[0].points_lost(graph)
    return int(np.argmax([lost.get(_split(value), 0.0) for value in question.values]))


CORRECTION = QuestionType("correction", _correction_groups, _select_correction)


def _what_changes_groups(graph: Graph, repetitions: Repetitions, rng: Rng) -> Iterator[Group]:
    """Counterfactual: what changes most in the body if the only error is corrected."""
    for action, subset in by_action(graph, repetitions):
        effects = _effects_of_correction(action)
        by_label: dict[str, list[RepetitionRecord]] = {}
        for repetition in subset:
            made = [pair for pair in repetition.probability if repetition.has_error(pair)]
            if len(made) == 1 and effects.get(made[0]):
                by_label.setdefault(effects[made[0]][0], []).append(repetition)

        def has_no_other(
            repetition: RepetitionRecord, label: str, labels: Sequence[str], effects=effects
        ) -> bool:
            [error] = (p for p in repetition.probability if repetition.has_error(p))
            return not any(other in effects[error] for other in labels if other != label)

        texts = fill_templates(
            (
                "If the error of this {action} were corrected, what changes most?",
                "What is the largest change in the body without the error of this {action}?",
            ),
            template_names(action),
        )
        for labels, members in balanced_groups(by_label, rng, is_suitable=has_no_other):
            options = tuple(label.capitalize() for label in labels)
            yield make_group(rng, texts, options, labels, {"action": action.id}, members)


def _select_what_changes(graph: Graph, question: Question, repetitions: Repetitions) -> int | None:
    [repetition] = repetitions
    if repetition.action != question.parameters["action"]:
        return None
    effects = _effects_of_correction(graph.action(repetition.action))
    chances = [
        max(
            (repetition.probability.get(e, 0.0) for e, c in effects.items() if c[0] == value),
            default=0.0,
        )
        for value in question.values
    ]
    return int(np.argmax(chances))


def _effects_of_correction(action: Action) -> dict[StepError, list[str]]:
    """What changes without each error, in words, the largest change first."""
    return {
        (step.id, edge.error): [
            f"{effect.name} {'falls' if effect.rises else 'rises'}"
            for effect in largest(edge.effects, len(edge.effects))
        ]
        for step, edge in action.pairs
        if edge.effects
    }


WHAT_CHANGES = QuestionType("what_changes", _what_changes_groups, _select_what_changes)


def _join(step: str, error: str) -> str:
    return f"{step}/{error}"


def _split(label: str) -> tuple[str, str]:
    step, _, error = label.partition("/")
    return step, error
