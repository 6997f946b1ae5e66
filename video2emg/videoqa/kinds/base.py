"""The closed kinds of question: what is asked of whom, and what an account answers.

Every kind hands out groups: one text with its options, and clips of which each has another option
as its right answer. So whatever is answered from the text alone, without looking, is right in
exactly one of a group's questions (the idea of balanced pairs, Goyal et al., CVPR 2017). The wrong
options are right for other clips, and taken from neighbours in the graph where there is a choice.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from video2emg.fkg.graph import Action, Graph, KeyStep
from video2emg.videoqa import wording
from video2emg.videoqa.accounts import Account
from video2emg.videoqa.items import Question

SIZE = 4  # options at most

Accounts = Sequence[Account]
Rng = np.random.Generator
Members = list[tuple[Account, ...]]


@dataclasses.dataclass(frozen=True)
class Group:
    """Questions that differ in the clips shown only.

    Attributes:
      text, options, values, ask: as in `Question`.
      members: (clips, right option) of each.
    """

    text: str
    options: tuple[str, ...]
    values: tuple[str, ...]
    ask: Mapping[str, str]
    members: tuple[tuple[tuple[Account, ...], int], ...]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of closed question.

    Attributes:
      name: in files and tables.
      about: what it takes to answer, for people.
      groups: all groups that accounts of clips allow, in no useful order.
      choose: the option that the accounts of a question's clips speak for; None if for none.
    """

    name: str
    about: str
    groups: Callable[[Graph, Accounts, Rng], Iterator[Group]]
    choose: Callable[[Graph, Question, Accounts], int | None]


def deal(
    buckets: Mapping[str, Sequence[Account]],
    rng: np.random.Generator,
    near: Callable[[str, str], float] = lambda one, other: 0.0,
    suits: Callable[[Account, str, Sequence[str]], bool] = lambda account, label, labels: True,
) -> Iterator[tuple[list[str], Members]]:
    """Groups of labels, the nearest together, with one account of each; each account used once.

    Args:
      buckets: accounts by what is right for them.
      rng: shuffles.
      near: how alike two labels are.
      suits: whether an account of a label may be asked with these labels as options.
    """
    left = {
        label: [own[i] for i in rng.permutation(len(own))]
        for label, own in sorted(buckets.items())
        if own
    }
    while len(left) > 1:
        order = sorted(left, key=lambda label: -len(left[label]))
        first = order[0]
        labels = [first, *sorted(order[1:], key=lambda label: -near(first, label))[: SIZE - 1]]
        while len(labels) > 1:
            chosen = {
                label: next((a for a in left[label] if suits(a, label, labels)), None)
                for label in labels
            }
            unfit = [label for label, account in chosen.items() if account is None]
            if not unfit:
                break
            labels.remove(unfit[-1])
        if len(labels) < 2:
            left[first].pop()  # nothing goes with it
            left = {label: own for label, own in left.items() if own}
            continue
        members: Members = []
        for label in labels:
            account = chosen[label]
            assert account is not None
            left[label].remove(account)
            members.append((account,))
        left = {label: own for label, own in left.items() if own}
        yield labels, members


def make_group(
    rng: np.random.Generator,
    texts: Sequence[str],
    options: Sequence[str],
    values: Sequence[str],
    ask: Mapping[str, str],
    members: Sequence[tuple[Account, ...]],
    shuffle: bool = True,
) -> Group:
    """A group in which `members[i]` has `options[i]` as right answer."""
    order = list(range(len(options)))
    if shuffle:
        rng.shuffle(order)
    return Group(
        text=texts[int(rng.integers(len(texts)))],
        options=tuple(options[i] for i in order),
        values=tuple(values[i] for i in order),
        ask=ask,
        members=tuple((members[i], place) for place, i in enumerate(order)),
    )


def by_action(graph: Graph, accounts: Sequence[Account]) -> Iterator[tuple[Action, list[Account]]]:
    """Accounts of each exercise that somebody does."""
    for action in graph.actions.values():
        own = [account for account in accounts if account.action == action.id]
        if own:
            yield action, own


def names_of(action: Action, step: KeyStep | None = None) -> dict[str, str]:
    """What texts of questions are filled with."""
    names = {"action": wording.action_name(action).lower()}
    return names if step is None else names | {"step": wording.step_name(step)}


def filled(texts: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Ways to ask, names put in."""
    return [text.format_map(names) for text in texts]
