"""What is done wrong, and what would help most."""

from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.fkg.graph import Graph
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

_WORSE = 0.8  # share of the largest loss that the second largest may reach


def _is_made_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, own in by_action(graph, accounts):
        for step, edge in action.pairs:
            names = names_of(action, step) | {"error": wording.error_name(graph, edge.error)}
            texts = filled(
                (
                    "In this {action}, is the following error made in the key step {step}: "
                    "“{error}”?",
                    "Look at the key step {step} of this {action}. Is this seen: “{error}”?",
                    "Does this {action} show the error “{error}” in its key step {step}?",
                ),
                names,
            )
            ask = {"action": action.id, "step": step.id, "error": edge.error}
            buckets: dict[str, list[Account]] = {"yes": [], "no": []}
            for account in own:
                said = account.makes((step.id, edge.error))
                buckets["yes" if said else "no"].append(account)
            for labels, members in deal(buckets, rng):
                yes_first = sorted(labels, reverse=True)
                order = [labels.index(label) for label in yes_first]
                yield make_group(
                    rng, texts, ("Yes", "No"), yes_first, ask, [members[i] for i in order], False
                )


def _choose_is_made(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    pair = question.ask["step"], question.ask["error"]
    return question.values.index("yes" if accounts[0].makes(pair) else "no")


IS_MADE = Kind("error", "whether an error is made", _is_made_groups, _choose_is_made)


def _which_error_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, own in by_action(graph, accounts):
        known = {_joined(step.id, edge.error): (step, edge) for step, edge in action.pairs}
        buckets: dict[str, list[Account]] = {}
        for account in own:
            for value in known:
                if account.makes(_split(value)):
                    buckets.setdefault(value, []).append(account)

        def near(one: str, other: str, known=known) -> float:
            (step, edge), (other_step, other_edge) = known[one], known[other]
            tiers = (graph.errors[e.error].tier for e in (edge, other_edge))
            return (step.id == other_step.id) + (len(set(tiers)) == 1)

        def alone(account: Account, label: str, labels: Sequence[str]) -> bool:
            others = (other for other in labels if other != label)
            return not any(account.makes(_split(other)) for other in others)

        texts = filled(
            (
                "Which of these errors is made in this {action}?",
                "This {action} shows one of the following errors. Which?",
                "What is wrong with this {action}?",
            ),
            names_of(action),
        )
        for labels, members in deal(buckets, rng, near, alone):
            options = tuple(
                f"{wording.error_name(graph, known[label][1].error)} "
                f"({wording.step_name(known[label][0])})"
                for label in labels
            )
            yield make_group(rng, texts, options, labels, {"action": action.id}, members)


def _choose_which_error(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    said = [accounts[0].probability.get(_split(value), 0.0) for value in question.values]
    return int(np.argmax(said))


WHICH_ERROR = Kind(
    "which_error",
    "which of several errors of the exercise is made",
    _which_error_groups,
    _choose_which_error,
)


def _correction_groups(graph: Graph, accounts: Accounts, rng: Rng) -> Iterator[Group]:
    for action, own in by_action(graph, accounts):
        advice = {
            _joined(step.id, edge.error): graph.feedback[edge.feedback[0]]
            for step, edge in action.pairs
            if edge.feedback
        }
        buckets: dict[str, list[Account]] = {}
        for account in own:
            losses = account.losses(graph)
            order = sorted(losses, key=lambda pair: (-losses[pair], pair))
            runner_up = losses[order[1]] if len(order) > 1 else 0.0
            value = _joined(*order[0])
            if value in advice and runner_up <= _WORSE * losses[order[0]] and losses[order[0]]:
                buckets.setdefault(value, []).append(account)

        def distinct(account: Account, label: str, labels: Sequence[str], advice=advice):
            return len({advice[label] for label in labels}) == len(labels)

        texts = filled(
            (
                "Which correction would raise the score of this {action} most?",
                "If one thing could be corrected in this {action}, what gains most points?",
                "Which advice is worth most to the person doing this {action}?",
            ),
            names_of(action),
        )
        for labels, members in deal(buckets, rng, suits=distinct):
            options = tuple(advice[label] for label in labels)
            yield make_group(rng, texts, options, labels, {"action": action.id}, members)


def _choose_correction(graph: Graph, question: Question, accounts: Accounts) -> int | None:
    if accounts[0].action != question.ask["action"]:
        return None
    losses = accounts[0].losses(graph)
    return int(np.argmax([losses.get(_split(value), 0.0) for value in question.values]))


CORRECTION = Kind(
    "correction",
    "counterfactual: which correction would raise the score most",
    _correction_groups,
    _choose_correction,
)


def _joined(step: str, error: str) -> str:
    return f"{step}/{error}"


def _split(value: str) -> tuple[str, str]:
    step, _, error = value.partition("/")
    return step, error
