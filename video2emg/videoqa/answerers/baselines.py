"""Answers without looking: from the question's text, from nothing, and from the key itself."""

import collections
import math
from collections.abc import Iterable, Sequence

import numpy as np

from video2emg.videoqa.items import Answer, Item, Question
from video2emg.videoqa.prompt import LETTERS


class Majority:
    """Says what was right most often among training questions of the kind."""

    def __init__(self, train: Sequence[Item]) -> None:
        """Counts."""
        texts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        scores = []
        for item in train:
            said = item.key.text if item.key.choice is None else LETTERS[item.key.choice]
            texts[item.question.kind][said] += 1
            scores += [] if item.key.score is None else [item.key.score]
        self._most = {kind: counts.most_common(1)[0][0] for kind, counts in texts.items()}
        self._score = f"{np.mean(scores):.1f}" if scores else ""

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """One answer for each question; kinds that were not in training stay without one."""
        return {q.id: self._of(q) for q in questions}

    def _of(self, question: Question) -> Answer:
        most = self._score if question.form == "number" else self._most.get(question.kind, "")
        return Answer(most, "" if most else "no training question of this kind")


class Blind(Majority):
    """Reads the question but does not look: naive Bayes over what was right in training.

    Each option is weighed by how often it was right when offered: at all, with these other
    options, and after this text; closed questions only. It finds what the text gives away; on
    balanced questions there is nothing to find.
    """

    def __init__(self, train: Sequence[Item]) -> None:
        """Counts."""
        super().__init__(train)
        self._right: collections.Counter = collections.Counter()
        self._offered: collections.Counter = collections.Counter()
        for item in train:
            for place in range(len(item.question.options)):
                for clue in _clues(item.question, place):
                    self._offered[clue] += 1
                    self._right[clue] += place == item.key.choice

    def _of(self, question: Question) -> Answer:
        if question.form != "choice":
            return super()._of(question)
        prior = 1 / len(question.options)

        def weight(place: int) -> float:
            # Two observations of chance keep rare clues from shouting.
            rates = [
                (self._right[clue] + 2 * prior) / (self._offered[clue] + 2)
                for clue in _clues(question, place)
            ]
            return sum(math.log(rate / (1 - rate)) for rate in rates)

        return Answer(LETTERS[max(range(len(question.options)), key=weight)])


class Oracle:
    """Gives the reference answers: the ceiling of every metric."""

    def __init__(self, items: Iterable[Item]) -> None:
        """Keeps the keys."""
        self._keys = {item.question.id: item.key for item in items}

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """The keys' texts, options by their letters."""
        return {q.id: Answer(self._say(q)) for q in questions}

    def _say(self, question: Question) -> str:
        key = self._keys[question.id]
        if key.choice is not None:
            return LETTERS[key.choice]
        return key.text if key.score is None else f"{key.score:.1f}"


def _clues(question: Question, place: int) -> list[tuple]:
    kind, value = question.kind, question.values[place]
    together = tuple(sorted(question.values))
    return [
        (kind, value),
        (kind, together, value),
        (kind, question.text, value),
        (kind, "place", len(question.options), place),
    ]
