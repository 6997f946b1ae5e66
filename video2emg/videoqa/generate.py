"""Questions of one split: the chain of four for every clip, and closed ones in balanced groups."""

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.fkg.graph import Graph
from video2emg.videoqa import wording
from video2emg.videoqa.accounts import Account
from video2emg.videoqa.items import Item, Key, Question
from video2emg.videoqa.kinds import KINDS, Group, Kind

# The chain of FLEX-VideoQA, in order: recognise, explain, evaluate, score.
RECOGNISE, STANDARD, EVALUATE, SCORE = CHAIN = ("recognise", "standard", "evaluate", "score")
_ASKED = {
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


def generate(graph: Graph, accounts: Sequence[Account], seed: int) -> list[Item]:
    """The questions of one split, a pure function of its arguments.

    Of every closed kind there are at most about as many questions as clips.

    Args:
      graph: with weights and, for good wording, texts.
      accounts: of the clips, by annotators and electrodes.
      seed: of every choice.
    """
    items = [item for account in accounts for item in chain(graph, account, seed)]
    for kind in KINDS:
        rng = np.random.default_rng([seed, *kind.name.encode()])
        items += _closed(graph, kind, accounts, rng)
    return items


def chain(graph: Graph, account: Account, seed: int) -> Iterator[Item]:
    """The four questions of one clip; without a score in the labels, three."""
    digest = hashlib.sha256(f"{seed} {account.clip_id}".encode()).digest()
    voice = wording.Voice(np.random.default_rng(list(digest)))
    action = graph.action(account.action)
    words = account.feedback_texts(graph)
    answers = {
        RECOGNISE: wording.action_name(action),
        STANDARD: wording.standard(action, voice),
        EVALUATE: wording.evaluation(words, voice),
        SCORE: "" if math.isnan(account.score) else wording.score(account.score),
    }
    for kind, answer in answers.items():
        if not answer:
            continue
        question = Question(
            id=f"{account.clip_id}/{kind}",
            kind=kind,
            form="number" if kind == SCORE else "text",
            clips=(account.clip_id,),
            text=voice.pick(_ASKED[kind]),
            dialogue=account.clip_id,
        )
        key = Key(
            text=answer,
            action=account.action,
            errors=tuple(dict.fromkeys(f.error for f in words.findings))
            if kind == EVALUATE
            else (),
            score=account.score if kind == SCORE else None,
        )
        yield Item(question, key, account.subject, account.clip_id)


def _closed(
    graph: Graph, kind: Kind, accounts: Sequence[Account], rng: np.random.Generator
) -> Iterator[Item]:
    groups = list(kind.groups(graph, accounts, rng))
    asked = 0
    for number, place in enumerate(rng.permutation(len(groups))):
        if asked >= len(accounts):
            break
        for item in _of_group(kind, groups[place], number):
            asked += 1
            yield item


def _of_group(kind: Kind, group: Group, number: int) -> Iterator[Item]:
    name = f"{kind.name}/{number}"
    for clips, choice in group.members:
        question = Question(
            id=f"{name}/{choice}",
            kind=kind.name,
            form="choice",
            clips=tuple(account.clip_id for account in clips),
            text=group.text,
            options=group.options,
            values=group.values,
            ask=group.ask,
        )
        key = Key(text=group.options[choice], choice=choice, action=clips[0].action)
        yield Item(question, key, clips[0].subject, name)


def balanced_sample(items: Sequence[Item], limit: int) -> list[Item]:
    """Whole dialogues and groups, as many of each kind, until there are `limit` items or more.

    What is left out is the end of each kind's list, whose order is random for closed questions and
    that of the clips for the chain.
    """
    if not limit or limit >= len(items):
        return list(items)
    lists: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        kind = "" if item.question.dialogue else item.question.kind
        lists.setdefault(kind, {}).setdefault(item.group, []).append(item)
    queues = [list(groups.values())[::-1] for groups in lists.values()]
    chosen: set[str] = set()
    while len(chosen) < limit:
        for queue in queues:
            if queue and len(chosen) < limit:
                chosen |= {item.question.id for item in queue.pop()}
    return [item for item in items if item.question.id in chosen]
