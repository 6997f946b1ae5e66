"""Questions of one split: a dialogue of four for every clip, and balanced closed questions."""

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.fkg.graph import Graph
from video2emg.videoqa import wording
from video2emg.videoqa.items import Item, Key, Question
from video2emg.videoqa.question_types import QUESTION_TYPES, Group, QuestionType
from video2emg.videoqa.repetition_records import RepetitionRecord

# The dialogue of FLEX-VideoQA, in order: recognise, explain, evaluate, score.
RECOGNISE, STANDARD, EVALUATE, SCORE = DIALOGUE = ("recognise", "standard", "evaluate", "score")
_QUESTION_TEXTS = {
    RECOGNISE: (
        "Which exercise is shown in the video?",
        "What fitness exercise is this person performing?",
        "Name the exercise that you see.",
    ),
    STANDARD: (
        "Explain the standard for this exercise, key step by key step.",
        "How is this exercise done well? Go through its key steps.",
        "Describe the correct execution of this exercise.",
    ),
    EVALUATE: (
        "Evaluate this performance against the standard: name the errors, when they happen, the "
        "muscles involved, and how to correct them.",
        "Judge the repetition shown: which errors are made, at what moment, which muscles do they "
        "concern, and what should be corrected?",
        "Compare what you see with the standard. List each error with its moment, muscles and "
        "correction.",
    ),
    SCORE: (
        "Based on this evaluation, give the performance a score from 0 to 100.",
        "What score from 0 to 100 does this performance deserve, given your evaluation?",
        "Rate the repetition from 0 to 100 in line with your evaluation.",
    ),
}


def generate(graph: Graph, repetitions: Sequence[RepetitionRecord], seed: int) -> list[Item]:
    """The questions of one split; a pure function of its arguments.

    Each closed type has at most about as many questions as there are clips.

    Args:
      graph: with weights and, for good wording, texts.
      repetitions: labels and measurements of the clips.
      seed: of every random choice.
    """
    items = [item for repetition in repetitions for item in dialogue(graph, repetition, seed)]
    for question_type in QUESTION_TYPES:
        rng = np.random.default_rng([seed, *question_type.name.encode()])
        items += _closed_items(graph, question_type, repetitions, rng)
    return items


def dialogue(graph: Graph, repetition: RepetitionRecord, seed: int) -> Iterator[Item]:
    """The four questions of one clip, or three if the clip has no score."""
    digest = hashlib.sha256(f"{seed} {repetition.clip_id}".encode()).digest()
    phrases = wording.PhraseChooser(np.random.default_rng(list(digest)))
    action = graph.action(repetition.action)
    feedback = repetition.to_feedback(graph)
    answers = {
        RECOGNISE: wording.action_name(action),
        STANDARD: wording.standard(action, phrases),
        EVALUATE: wording.evaluation(feedback, phrases),
        SCORE: "" if math.isnan(repetition.score) else wording.score(repetition.score),
    }
    errors = tuple(dict.fromkeys(finding.error for finding in feedback.findings))
    for name, answer in answers.items():
        if not answer:
            continue
        question = Question(
            id=f"{repetition.clip_id}/{name}",
            type=name,
            form="number" if name == SCORE else "text",
            clips=(repetition.clip_id,),
            text=phrases.choose(_QUESTION_TEXTS[name]),
            dialogue=repetition.clip_id,
        )
        key = Key(
            text=answer,
            action=repetition.action,
            errors=errors if name == EVALUATE else (),
            score=repetition.score if name == SCORE else None,
        )
        yield Item(question, key, repetition.subject, repetition.clip_id)


def _closed_items(
    graph: Graph,
    question_type: QuestionType,
    repetitions: Sequence[RepetitionRecord],
    rng: np.random.Generator,
) -> Iterator[Item]:
    groups = list(question_type.make_groups(graph, repetitions, rng))
    count = 0
    for number, index in enumerate(rng.permutation(len(groups))):
        if count >= len(repetitions):
            break
        for item in _group_items(question_type, groups[index], number):
            count += 1
            yield item


def _group_items(question_type: QuestionType, group: Group, number: int) -> Iterator[Item]:
    name = f"{question_type.name}/{number}"
    for repetitions, choice in group.members:
        question = Question(
            id=f"{name}/{choice}",
            type=question_type.name,
            form="choice",
            clips=tuple(repetition.clip_id for repetition in repetitions),
            text=group.text,
            options=group.options,
            values=group.values,
            parameters=group.parameters,
        )
        key = Key(text=group.options[choice], choice=choice, action=repetitions[0].action)
        yield Item(question, key, repetitions[0].subject, name)


def balanced_sample(items: Sequence[Item], limit: int) -> list[Item]:
    """Whole dialogues and groups, equally many of each type, until there are `limit` or more items.

    The end of each type's list is left out. The order is random for closed questions, and that of
    the clips for dialogues.
    """
    if not limit or limit >= len(items):
        return list(items)
    groups_by_type: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        name = "" if item.question.dialogue else item.question.type
        groups_by_type.setdefault(name, {}).setdefault(item.group, []).append(item)
    queues = [list(groups.values())[::-1] for groups in groups_by_type.values()]
    chosen: set[str] = set()
    while len(chosen) < limit:
        for queue in queues:
            if queue and len(chosen) < limit:
                chosen |= {item.question.id for item in queue.pop()}
    return [item for item in items if item.question.id in chosen]
