"""What all types of closed questions share: balanced groups of questions.

A group has one text with its options, and one question for each option. The questions show
different clips, and each has another option as its right answer. A respondent that reads the text
but not the clips therefore answers exactly one question of a group correctly (balanced pairs, Goyal
et al., CVPR 2017). Wrong options are right for other clips of the group. If there is a choice, they
are neighbours of the right option in the graph.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from video2emg.fkg.graph import Action, Graph, KeyStep
from video2emg.videoqa import wording
from video2emg.videoqa.items import Question
from video2emg.videoqa.repetition_records import RepetitionRecord

MAX_OPTIONS = 4

Repetitions = Sequence[RepetitionRecord]
Rng = np.random.Generator
Members = list[tuple[RepetitionRecord, ...]]


@dataclasses.dataclass(frozen=True)
class Group:
    """Questions that differ in their clips only.

    Attributes:
      text: as in `Question`.
      options: as in `Question`.
      values: as in `Question`.
      parameters: as in `Question`.
      members: (repetitions shown, index of the right option) of each question.
    """

    text: str
    options: tuple[str, ...]
    values: tuple[str, ...]
    parameters: Mapping[str, str]
    members: tuple[tuple[tuple[RepetitionRecord, ...], int], ...]


@dataclasses.dataclass(frozen=True)
class QuestionType:
    """A type of closed question.

    Attributes:
      name: in files and tables.
      make_groups: all groups that the repetitions of a split allow, in no particular order.
      select_option: index of the option that fits the records of a question's clips; None if none
        fits.
    """

    name: str
    make_groups: Callable[[Graph, Repetitions, Rng], Iterator[Group]]
    select_option: Callable[[Graph, Question, Repetitions], int | None]


def balanced_groups(
    by_label: Mapping[str, Repetitions],
    rng: Rng,
    similarity: Callable[[str, str], float] = lambda label, other: 0.0,
    is_suitable: Callable[[RepetitionRecord, str, Sequence[str]], bool] = (
        lambda repetition, label, labels: True
    ),
) -> Iterator[tuple[list[str], Members]]:
    """Groups similar labels, with one repetition for each label. Each repetition is used once.

    Args:
      by_label: repetitions by their right answer.
      rng: shuffles the repetitions.
      similarity: of two labels.
      is_suitable: whether a repetition with this label may be asked about with these labels as
        options.

    Yields:
      The labels of a group, and the repetition of each label.
    """
    remaining = {
        label: [repetitions[i] for i in rng.permutation(len(repetitions))]
        for label, repetitions in sorted(by_label.items())
        if repetitions
    }
    while len(remaining) > 1:
        largest_first = sorted(remaining, key=lambda label: -len(remaining[label]))
        first = largest_first[0]
        neighbours = sorted(largest_first[1:], key=lambda label: -similarity(first, label))
        labels = [first, *neighbours[: MAX_OPTIONS - 1]]
        while len(labels) > 1:
            chosen = {
                label: next((r for r in remaining[label] if is_suitable(r, label, labels)), None)
                for label in labels
            }
            unsuitable = [label for label, repetition in chosen.items() if repetition is None]
            if not unsuitable:
                break
            labels.remove(unsuitable[-1])
        if len(labels) < 2:
            remaining[first].pop()  # no other label can be combined with it
            remaining = {label: rest for label, rest in remaining.items() if rest}
            continue
        members: Members = []
        for label in labels:
            repetition = chosen[label]
            assert repetition is not None
            remaining[label].remove(repetition)
            members.append((repetition,))
        remaining = {label: rest for label, rest in remaining.items() if rest}
        yield labels, members


def make_group(
    rng: Rng,
    texts: Sequence[str],
    options: Sequence[str],
    values: Sequence[str],
    parameters: Mapping[str, str],
    members: Sequence[tuple[RepetitionRecord, ...]],
    shuffle: bool = True,
) -> Group:
    """A group in which `options[i]` is the right answer for `members[i]`."""
    order = list(range(len(options)))
    if shuffle:
        rng.shuffle(order)
    return Group(
        text=texts[int(rng.integers(len(texts)))],
        options=tuple(options[i] for i in order),
        values=tuple(values[i] for i in order),
        parameters=parameters,
        members=tuple((members[i], position) for position, i in enumerate(order)),
    )


def by_action(
    graph: Graph, repetitions: Repetitions
) -> Iterator[tuple[Action, list[RepetitionRecord]]]:
    """Repetitions of each exercise that has any."""
    for action in graph.actions.values():
        subset = [repetition for repetition in repetitions if repetition.action == action.id]
        if subset:
            yield action, subset


def template_names(action: Action, step: KeyStep | None = None) -> dict[str, str]:
    """Names that question templates are filled with."""
    names = {"action": wording.action_name(action).lower()}
    return names if step is None else names | {"step": wording.step_name(step)}


def fill_templates(templates: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Question texts with the names put in."""
    return [template.format_map(names) for template in templates]
