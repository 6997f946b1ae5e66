"""What is done, when, and on which side."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.fkg.graph import Action, Graph
from video2emg.videoqa import wording
from video2emg.videoqa.accounts import Account
from video2emg.videoqa.items import Question
from video2emg.videoqa.kinds.base import (
    SIZE,
    Accounts,
    Group,
    Kind,
    Rng,
    by_action,
    deal,
    filled,
    make_group,
    names_of,
)  # fmt: skip

_APART_S = 0.3  # s between moments of one group
_TILT_M = 0.03  # m between the heights of two hands


def _action_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    texts = (
        "Which exercise is shown?",
        "What exercise is this person doing?",
        "Name the exercise in the video.",
    )
    buckets: dict[str, list[Account]] = {}
    for account in accounts:
        buckets.setdefault(account.action, []).append(account)

    def near(one: str, other: str) -> float:
        a, b = graph.action(one), graph.action(other)
        shared = _errors(a) & _errors(b)
        return (a.equipment == b.equipment) + len(shared) + len({*a.muscles} & {*b.muscles})

    for labels, members in deal(buckets, rng, near):
        options = tuple(wording.action_name(graph.action(label)) for label in labels)
        yield make_group(rng, texts, options, labels, {}, members)


def _choose_action(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    values = question.values
    return values.index(accounts[0].action) if accounts[0].action in values else None


ACTION = Kind(
    "action",
    "which exercise it is; the others share equipment, errors or muscles",
    _action_groups,
    _choose_action,
)


def _moment_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, own in by_action(graph, accounts):
        for step in action.steps[1:]:  # the first begins with the clip
            texts = filled(
                (
                    "When does the key step {step} of this {action} begin?",
                    "At what time does the person doing this {action} begin to {step}?",
                    "Find the beginning of the key step {step} in this {action}.",
                ),
                names_of(action, step),
            )
            ask = {"action": action.id, "step": step.id}
            timed = [(a.spans[step.id][0], a) for a in own if step.id in a.spans]
            for members in _spread(timed):
                values = [f"{when:.1f}" for when, _ in members]
                options = tuple(f"{value} s" for value in values)
                yield make_group(rng, texts, options, values, ask, [(a,) for _, a in members])


def _choose_moment(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    span = accounts[0].spans.get(question.ask["step"])
    if span is None:
        return None
    return int(np.argmin([abs(float(value) - span[0]) for value in question.values]))


MOMENT = Kind(
    "moment",
    f"when a key step begins; options lie {_APART_S:g} s apart or more",
    _moment_groups,
    _choose_moment,
)


def _side_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, own in by_action(graph, accounts):
        for step in action.steps:
            texts = filled(
                (
                    "Which hand of the person is higher in the key step {step} of this {action}?",
                    "This {action} is uneven: on which side of the body is the hand higher in "
                    "the key step {step}?",
                ),
                names_of(action, step),
            )
            buckets: dict[str, list[Account]] = {}
            for account in own:
                if abs(account.tilt.get(step.id, 0.0)) >= _TILT_M:
                    buckets.setdefault(_higher(account, step.id), []).append(account)
            ask = {"action": action.id, "step": step.id}
            for labels, members in deal(buckets, rng):
                options = tuple(f"The {label} hand" for label in labels)
                yield make_group(rng, texts, options, labels, ask, members)


def _choose_side(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    if question.ask["step"] not in accounts[0].tilt:
        return None
    return question.values.index(_higher(accounts[0], question.ask["step"]))


SIDE = Kind(
    "side",
    f"left or right: which hand is higher in a key step, by {_TILT_M} m or more",
    _side_groups,
    _choose_side,
)


def _spread(timed: Sequence[tuple[float, Account]]) -> Iterator[list[tuple[float, Account]]]:
    """Groups, as large as can be, of accounts whose moments lie apart; each is used once.

    Times are rounded first, as the options show them.
    """
    left = sorted(((round(when, 1), account) for when, account in timed), key=lambda x: x[0])
    for size in range(SIZE, 1, -1):
        stride = len(left) // size
        kept = left[size * stride :]
        for start in range(stride):
            group = left[start : size * stride : stride]
            gaps = [b[0] - a[0] for a, b in itertools.pairwise(group)]
            if min(gaps) >= _APART_S - 1e-9:
                yield group
            else:
                kept += group
        left = sorted(kept, key=lambda x: x[0])


def _higher(account: Account, step: str) -> str:
    left, right = vocabulary.SIDES
    return left if account.tilt[step] > 0 else right


def _errors(action: Action) -> set[str]:
    return {edge.error for _, edge in action.pairs}
