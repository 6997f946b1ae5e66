"""Muscles, and two repetitions beside each other."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.fkg.graph import Action, Graph, KeyStep
from video2emg.videoqa import wording
from video2emg.videoqa.accounts import Account
from video2emg.videoqa.items import Question
from video2emg.videoqa.kinds.base import (
    Accounts,
    Group,
    Kind,
    Rng,
    by_action,
    deal,
    filled,
    make_group,
    names_of,
)

_FIRST, _SECOND = "first", "second"
_QUIET = 0.05  # activity below which muscles are not compared
_WEAKER = 0.85  # share of the hardest working muscle's activity that the next may reach
_LESS = 0.75  # likewise, of a muscle between two repetitions
_POINTS = 8.0  # between the scores of two repetitions


def _muscle_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, step, own in _measured(graph, accounts):
        buckets: dict[str, list[Account]] = {}
        for account in own:
            level = _level_of(account, step.id)
            order = sorted(level, key=lambda name: (-level[name], name))
            if len(order) > 1 and _QUIET < level[order[0]] > level[order[1]] / _WEAKER:
                buckets.setdefault(order[0], []).append(account)
        texts = filled(
            (
                "Relative to its maximum, which muscle works hardest in the key step {step} of "
                "this {action}?",
                "In the key step {step} of this {action}, which muscle is the most active, "
                "measured against its own maximum?",
            ),
            names_of(action, step),
        )
        ask = {"action": action.id, "step": step.id}
        for labels, members in deal(buckets, rng):
            yield make_group(rng, texts, tuple(map(wording.plain, labels)), labels, ask, members)


def _choose_muscle(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    level = _level_of(accounts[0], question.ask["step"])
    said = [level.get(value, -1.0) for value in question.values]
    return int(np.argmax(said)) if max(said) >= 0 else None


MUSCLE = Kind(
    "muscle",
    "EMG: which muscle works hardest in a key step, both sides together",
    _muscle_groups,
    _choose_muscle,
)


def _better_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, one, other in _two_of_one_person(graph, accounts):
        if not abs(one.score - other.score) >= _POINTS:
            continue
        texts = filled(
            (
                "Which of the two repetitions of the {action} is done better?",
                "Two repetitions of the {action} are shown. Which deserves the higher score?",
            ),
            names_of(action),
        )
        ask = {"action": action.id}
        yield _both_ways(rng, texts, ask, one, other, one.score > other.score)


def _choose_better(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    return _first_or_second(question, accounts[0].score > accounts[1].score)


BETTER = Kind(
    "better", "two repetitions of one person: which is done better", _better_groups, _choose_better
)


def _stronger_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, one, other in _two_of_one_person(graph, accounts):
        for step in action.steps:
            levels = _level_of(one, step.id), _level_of(other, step.id)
            for muscle in sorted(levels[0].keys() & levels[1].keys()):
                both = levels[0][muscle], levels[1][muscle]
                if not _QUIET < max(both) > min(both) / _LESS:
                    continue
                names = names_of(action, step) | {"muscle": wording.plain(muscle)}
                texts = filled(
                    (
                        "In which of the two repetitions of the {action} does the {muscle} "
                        "work harder in the key step {step}?",
                        "Compare the key step {step} of the two repetitions of the {action}: "
                        "in which is the {muscle} more active?",
                    ),
                    names,
                )
                ask = {"action": action.id, "step": step.id, "muscle": muscle}
                yield _both_ways(rng, texts, ask, one, other, both[0] > both[1])


def _choose_stronger(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    step, muscle = question.ask["step"], question.ask["muscle"]
    both = [_level_of(account, step).get(muscle) for account in accounts]
    if both[0] is None or both[1] is None:
        return None
    return _first_or_second(question, both[0] > both[1])


STRONGER = Kind(
    "stronger",
    "EMG: in which of two repetitions of one person a muscle works harder",
    _stronger_groups,
    _choose_stronger,
)


def _both_ways(
    rng: np.random.Generator,
    texts: Sequence[str],
    ask: Mapping[str, str],
    one: Account,
    other: Account,
    one_wins: bool,
) -> Group:
    """Two repetitions, shown in either order."""
    winner, loser = (one, other) if one_wins else (other, one)
    return make_group(
        rng,
        texts,
        ("The first", "The second"),
        (_FIRST, _SECOND),
        ask,
        [(winner, loser), (loser, winner)],
        False,
    )


def _first_or_second(question: Question, first: bool) -> int:
    return question.values.index(_FIRST if first else _SECOND)


def _measured(graph: Graph, accounts: Accounts) -> Iterator[tuple[Action, KeyStep, list[Account]]]:
    """(action, key step, accounts with EMG in it)."""
    for action, own in by_action(graph, accounts):
        for step in action.steps:
            known = [account for account in own if step.id in account.activity]
            if known:
                yield action, step, known


def _two_of_one_person(
    graph: Graph, accounts: Sequence[Account]
) -> Iterator[tuple[Action, Account, Account]]:
    """Two repetitions of one exercise by one person."""
    for action, own in by_action(graph, accounts):
        people: dict[str, list[Account]] = {}
        for account in own:
            people.setdefault(account.subject, []).append(account)
        for theirs in people.values():
            for one, other in itertools.combinations(theirs, 2):
                yield action, one, other


def _level_of(account: Account, step: str) -> dict[str, float]:
    """Activity of each muscle in a key step, mean of its sides."""
    sides: dict[str, list[float]] = {}
    for channel, value in account.activity.get(step, {}).items():
        sides.setdefault(vocabulary.split_channel(channel)[1], []).append(value)
    return {muscle: float(np.mean(values)) for muscle, values in sides.items()}
