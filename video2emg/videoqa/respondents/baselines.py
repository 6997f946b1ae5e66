"""Respondents that do not watch the clips: majority, blind and oracle."""

import collections
import math
from collections.abc import Iterable, Sequence

import numpy as np

from video2emg.videoqa.items import Answer, Item, Question
from video2emg.videoqa.prompt import LETTERS


class Majority:
    """Gives the most frequent right answer of the training questions of the same type."""

    def __init__(self, train: Sequence[Item]) -> None:
        """Counts the right answers of the training split."""
        counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        scores = []
        for item in train:
            answer = item.key.text if item.key.choice is None else LETTERS[item.key.choice]
            counts[item.question.type][answer] += 1
            scores += [] if item.key.score is None else [item.key.score]
        self._most_common = {name: counter.most_common(1)[0][0] for name, counter in counts.items()}
        self._mean_score = f"{np.mean(scores):.1f}" if scores else ""

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """One answer per question. Types that are absent from training get an empty answer."""
        return {question.id: self._answer(question) for question in questions}

    def _answer(self, question: Question) -> Answer:
        if question.form == "number":
            text = self._mean_score
        else:
            text = self._most_common.get(question.type, "")
        return Answer(text, "" if text else "no training question of this type")


class Blind(Majority):
    """Reads the question but not the clips: naive Bayes fitted on the training questions.

    Each option of a closed question is weighted by how often it was right in training: overall,
    among the same options, and after the same text. On balanced questions this gains nothing.
    """

    def __init__(self, train: Sequence[Item]) -> None:
        """Counts the right options of the training split."""
        super().__init__(train)
        self._right: collections.Counter = collections.Counter()
        self._offered: collections.Counter = collections.Counter()
        for item in train:
            for position in range(len(item.question.options)):
                for feature in _features(item.question, position):
                    self._offered[feature] += 1
                    self._right[feature] += position == item.key.choice

    def _answer(self, question: Question) -> Answer:
        if question.form != "choice":
            return super()._answer(question)
        prior = 1 / len(question.options)

        def weight(position: int) -> float:
            # Two pseudo-observations at chance keep rare features from dominating.
            rates = [
                (self._right[feature] + 2 * prior) / (self._offered[feature] + 2)
                for feature in _features(question, position)
            ]
            return sum(math.log(rate / (1 - rate)) for rate in rates)

        return Answer(LETTERS[max(range(len(question.options)), key=weight)])


class Oracle:
    """Gives the reference answers: the upper bound of every metric."""

    def __init__(self, items: Iterable[Item]) -> None:
        """Keeps the keys."""
        self._keys = {item.question.id: item.key for item in items}

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """The texts of the keys; letters for options."""
        return {question.id: Answer(self._text(question)) for question in questions}

    def _text(self, question: Question) -> str:
        key = self._keys[question.id]
        if key.choice is not None:
            return LETTERS[key.choice]
        return key.text if key.score is None else f"{key.score:.1f}"


def _features(question: Question, position: int) -> list[tuple]:
    name, value = question.type, question.values[position]
    all_values = tuple(sorted(question.values))
    return [
        (name, value),
        (name, all_values, value),
        (name, question.text, value),
        (name, "position", len(question.options), position),
    ]
