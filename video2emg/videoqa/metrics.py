"""Scores of answers, with intervals by bootstrap over subjects.

A question that was not answered, or in a form that cannot be read, counts as answered as wrongly as
possible: it makes no metric undefined and pleases none. Letters: K questions of one kind, R draws.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from video2emg.aqa import metrics
from video2emg.eval import bootstrap
from video2emg.fkg.graph import Graph
from video2emg.videoqa import extract
from video2emg.videoqa.generate import EVALUATE, RECOGNISE, SCORE, STANDARD
from video2emg.videoqa.items import Answer, Item
from video2emg.videoqa.text_overlap import Overlap

# How far a score may lie from what the errors named allow, points of 100: annotators scatter.
TOLERANCE = 5.0

METRICS = {
    "accuracy": "share of closed questions answered rightly, mean over kinds",
    "recognised": "share of clips whose exercise is named",
    "error_f1": "micro F1 over error types named in the evaluations",
    "bleu": "corpus BLEU of standards and evaluations (sacrebleu)",
    "chrf": "chrF++ of standards and evaluations, mean over answers (sacrebleu)",
    "rouge_l": "ROUGE-L F of standards and evaluations, mean over answers, 0-100",
    "srcc": "Spearman's r of the score within each exercise, Fisher-z mean over exercises",
    "relative_l2": "R-ℓ2 × 100 of the score, mean over exercises; range of the training scores",
    "mae": "mean absolute error of the score, points of 100",
    "consistent": "share of clips whose score follows from the errors named in their evaluation",
    "failed": "share of questions without an answer that can be read",
}

Weight = Shaped[np.ndarray, "R K"] | None


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known from the training split.

    Attributes:
      spans: lowest and highest score, by exercise.
      mildest: smallest severity of an error.
    """

    spans: Mapping[str, tuple[float, float]]
    mildest: float


@dataclasses.dataclass(frozen=True)
class _Texts:
    """Free texts of one respondent: places among the questions, and what they share with keys."""

    rows: list[int]
    overlap: Overlap


class BootstrapEvaluator:
    """Marks the answers to one set of questions, with the same bootstrap draws for everybody."""

    def __init__(
        self, graph: Graph, items: Sequence[Item], facts: Facts, samples: int = 1000, seed: int = 0
    ) -> None:
        """Draws the subjects.

        Args:
          graph: for names and weights.
          items: the questions with their keys.
          facts: of the training split.
          samples: bootstrap draws.
          seed: of the bootstrap.
        """
        self._graph, self._items, self._facts = graph, list(items), facts
        self._evaluations = {
            item.question.dialogue: i
            for i, item in enumerate(self._items)
            if item.question.kind == EVALUATE
        }
        people, owner = np.unique([item.subject for item in items], return_inverse=True)
        self.subjects = len(people)
        weights = bootstrap.subject_weights(len(people), samples, seed)
        self._draws = weights[:, owner] if len(people) > 1 else None

    def mark(self, answers: Mapping[str, Answer]) -> "Marks":
        """All metrics of one respondent; questions without an answer count as failed."""
        said = [answers.get(item.question.id, Answer("", "not asked")) for item in self._items]
        read = [self._read(item, answer) for item, answer in zip(self._items, said, strict=True)]
        texts = self._texts(said, read)
        point = self._scores(read, texts, None)
        draws = None if self._draws is None else self._scores(read, texts, self._draws)
        return Marks(point, draws)

    def chance(self) -> dict[str, float]:
        """Accuracy of guessing, by closed kind."""
        found: dict[str, list[float]] = {}
        for item in self._items:
            if item.key.choice is not None:
                found.setdefault(item.question.kind, []).append(1 / len(item.question.options))
        return {kind: float(np.mean(shares)) for kind, shares in found.items()}

    def counts(self) -> dict[str, int]:
        """Questions of each kind."""
        kinds = [item.question.kind for item in self._items]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def _read(self, item: Item, answer: Answer) -> Any:
        """What an answer says, None if it cannot be read."""
        if answer.problem or not extract.final(answer.text):
            return None
        if item.question.form == "choice":
            return extract.choice(answer.text, item.question.options)
        if item.question.form == "number":
            return extract.number(answer.text)
        if item.question.kind == RECOGNISE:
            return extract.action(answer.text, self._graph)
        if item.question.kind == EVALUATE:
            return extract.errors(answer.text, self._graph)
        return extract.final(answer.text)

    def _scores(self, read: Sequence[Any], texts: "_Texts", weight: Weight) -> dict[str, Any]:
        items = self._items
        closed: dict[str, list[int]] = {}
        for i, item in enumerate(items):
            if item.key.choice is not None:
                closed.setdefault(item.question.kind, []).append(i)
        right = np.array([_right(item, value) for item, value in zip(items, read, strict=True)])

        def mean(values: np.ndarray, rows: Sequence[int]) -> Any:
            own = None if weight is None else weight[:, rows]
            return (
                metrics.mae(values[list(rows)], np.zeros(len(rows)), own) if rows else _nan(weight)
            )

        found: dict[str, Any] = {f"kind/{kind}": mean(right, rows) for kind, rows in closed.items()}
        found["accuracy"] = (
            np.mean([found[f"kind/{kind}"] for kind in closed], axis=0) if closed else _nan(weight)
        )
        found["recognised"] = mean(right, self._rows(RECOGNISE))
        found["failed"] = mean(
            np.array([value is None for value in read], float), range(len(items))
        )
        own = None if weight is None else weight[:, texts.rows]
        found |= self._errors(read, weight) | texts.overlap.scores(own)
        return found | self._score(read, weight)

    def _rows(self, *kinds: str) -> list[int]:
        return [i for i, item in enumerate(self._items) if item.question.kind in kinds]

    def _errors(self, read: Sequence[Any], weight: Weight) -> dict[str, Any]:
        rows = self._rows(EVALUATE)
        counts = np.zeros((len(rows), 2))
        for n, i in enumerate(rows):
            true, said = set(self._items[i].key.errors), read[i] or set()
            counts[n] = len(true & said), len(true ^ said)
        w = np.ones((1, len(rows))) if weight is None else weight[:, rows]
        hits, wrong = (w @ counts).T
        f1 = np.divide(2 * hits, 2 * hits + wrong, out=np.full(len(w), np.nan),
                       where=2 * hits + wrong > 0)  # fmt: skip
        return {"error_f1": float(f1[0]) if weight is None else f1}

    def _texts(self, said: Sequence[Answer], read: Sequence[Any]) -> "_Texts":
        rows = self._rows(STANDARD, EVALUATE)
        answers = ["" if read[i] is None else extract.final(said[i].text) for i in rows]
        return _Texts(rows, Overlap(answers, [self._items[i].key.text for i in rows]))

    def _score(self, read: Sequence[Any], weight: Weight) -> dict[str, Any]:
        rows = self._rows(SCORE)
        true = np.array([self._items[i].key.score for i in rows], float)
        said = np.array([np.nan if read[i] is None else read[i] for i in rows], float)
        # As wrong as an answer can be.
        said = np.where(np.isfinite(said), said, np.where(true >= 50, 0.0, 100.0))
        actions = np.array([self._items[i].key.action for i in rows])
        rho, l2 = [], []
        for name in np.unique(actions):
            own = np.flatnonzero(actions == name)
            w = None if weight is None else weight[:, np.array(rows)[own]]
            rho.append(metrics.srcc(said[own], true[own], w))
            span = self._facts.spans.get(str(name), (0.0, 100.0))
            l2.append(metrics.relative_l2(said[own], true[own], span, w))
        if not rows:
            return dict.fromkeys(("srcc", "relative_l2", "mae", "consistent"), _nan(weight))
        w = None if weight is None else weight[:, rows]
        follows = np.array([self._follows(i, read) for i in rows], float)
        return {
            "srcc": metrics.fisher_mean(np.array(rho)),
            "relative_l2": np.mean(l2, axis=0) if weight is not None else float(np.mean(l2)),
            "mae": metrics.mae(said, true, w),
            "consistent": metrics.mae(follows, np.zeros(len(rows)), w),
        }

    def _follows(self, row: int, read: Sequence[Any]) -> bool:
        """Whether a score lies where the errors named in the same clip's evaluation put it.

        Between all of them at their worst and all at the mildest seen in training, give or take
        `TOLERANCE`. Errors that the exercise does not have cost nothing.
        """
        item = self._items[row]
        before = self._evaluations.get(item.question.dialogue)
        named = None if before is None else read[before]
        if read[row] is None or named is None:
            return False
        action = self._graph.action(item.key.action)
        lost = sum(
            weight
            for (_, edge), weight in zip(action.pairs, action.penalties, strict=True)
            if edge.error in named
        )
        share = 100 * lost / sum(action.penalties)
        low, high = 100 - share, 100 - self._facts.mildest * share
        return low - TOLERANCE <= read[row] <= high + TOLERANCE


@dataclasses.dataclass(frozen=True)
class Marks:
    """Metrics of one respondent.

    Attributes:
      point: by name; accuracies of closed kinds under `kind/<name>`.
      draws: the same for each bootstrap draw; None with a single subject.
    """

    point: Mapping[str, float]
    draws: Mapping[str, np.ndarray] | None

    def to_json(self) -> dict[str, Any]:
        """Every metric with its `_ci95`, accuracies of closed kinds in `by_kind`."""
        return _nested(lambda name: self.point[name], lambda name: self._interval(name), self.point)

    def minus(self, other: "Marks") -> dict[str, Any]:
        """Differences on the same draws, each with its `_ci95`."""

        def interval(name: str) -> list[float]:
            if self.draws is None or other.draws is None:
                return [float("nan")] * 2
            return bootstrap.interval(np.asarray(self.draws[name]) - np.asarray(other.draws[name]))

        return _nested(lambda name: self.point[name] - other.point[name], interval, self.point)

    def _interval(self, name: str) -> list[float]:
        nothing = [float("nan")] * 2
        return nothing if self.draws is None else bootstrap.interval(np.asarray(self.draws[name]))


def _nested(
    value: Callable[[str], float], interval: Callable[[str], list[float]], names: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {"by_kind": {}}
    for name in names:
        kind = name.removeprefix("kind/")
        if kind != name:
            found["by_kind"][kind] = {"accuracy": value(name), "accuracy_ci95": interval(name)}
        else:
            found |= {name: value(name), f"{name}_ci95": interval(name)}
    return found


def _right(item: Item, read: Any) -> float:
    if item.key.choice is not None:
        return float(read == item.key.choice)
    return float(item.question.kind == RECOGNISE and read == item.key.action)


def _nan(weight: Weight) -> Any:
    return float("nan") if weight is None else np.full(len(weight), np.nan)
