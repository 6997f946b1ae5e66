"""Metrics of answers, with confidence intervals by bootstrap over subjects.

A question without a readable answer counts as answered as wrongly as possible. So no metric becomes
undefined, and silence never pays. Shapes: K questions, R bootstrap draws.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from video2emg.aqa import metrics
from video2emg.eval import bootstrap
from video2emg.fkg.graph import Graph
from video2emg.videoqa import extract
from video2emg.videoqa.generate import EVALUATE, RECOGNISE, SCORE, STANDARD
from video2emg.videoqa.items import Answer, Item
from video2emg.videoqa.text_overlap import TextOverlap

# How far a score may be from what the named errors allow, in points of 100. Annotators scatter.
TOLERANCE = 5.0

METRICS = {
    "accuracy": "share of closed questions answered correctly, mean over question types",
    "recognised": "share of clips whose exercise is named",
    "error_f1": "micro F1 over error types named in the evaluations",
    "bleu": "corpus BLEU of standards and evaluations (sacrebleu)",
    "chrf": "chrF++ of standards and evaluations, mean over answers (sacrebleu)",
    "rouge_l": "ROUGE-L F of standards and evaluations, mean over answers, 0-100 (rouge-score)",
    "srcc": "Spearman's r of the score within each exercise, Fisher-z mean over exercises",
    "relative_l2": "R-ℓ2 × 100 of the score, mean over exercises; range of the training scores",
    "mae": "mean absolute error of the score, points of 100",
    "consistent": "share of clips whose score follows from the errors named in their evaluation",
    "failed": "share of questions without a readable answer",
}

Weight = Shaped[np.ndarray, "R K"] | None


@dataclasses.dataclass(frozen=True)
class TrainStatistics:
    """Statistics of the training split.

    Attributes:
      score_ranges: lowest and highest score, by exercise.
      min_severity: smallest severity of an error.
    """

    score_ranges: Mapping[str, tuple[float, float]]
    min_severity: float


class Evaluator:
    """Evaluates answers to one set of questions, with the same bootstrap draws for everybody."""

    def __init__(
        self,
        graph: Graph,
        items: Sequence[Item],
        statistics: TrainStatistics,
        samples: int = 1000,
        seed: int = 0,
    ) -> None:
        """Draws the subjects.

        Args:
          graph: for names and weights.
          items: the questions with their keys.
          statistics: of the training split.
          samples: number of bootstrap draws.
          seed: seed of the bootstrap.
        """
        self._graph, self._items, self._statistics = graph, list(items), statistics
        self._evaluation_rows = {
            item.question.dialogue: row
            for row, item in enumerate(self._items)
            if item.question.type == EVALUATE
        }
        subject = np.array([item.subject for item in items])
        self.subjects = len(np.unique(subject))
        self._draws = bootstrap.recording_weights(subject, samples, seed)

    def evaluate(self, answers: Mapping[str, Answer]) -> "Scores":
        """All metrics of one respondent. Questions without an answer count as failed."""
        missing = Answer("", "not asked")
        ordered = [answers.get(item.question.id, missing) for item in self._items]
        parsed = [
            self._parse(item, answer) for item, answer in zip(self._items, ordered, strict=True)
        ]
        rows = self._rows(STANDARD, EVALUATE)
        texts = ["" if parsed[i] is None else extract.final_answer(ordered[i].text) for i in rows]
        overlap = TextOverlap(texts, [self._items[i].key.text for i in rows])
        point = self._metrics(parsed, overlap, None)
        draws = None if self._draws is None else self._metrics(parsed, overlap, self._draws)
        return Scores(point, draws)

    def chance(self) -> dict[str, float]:
        """Accuracy of guessing, by closed question type."""
        shares: dict[str, list[float]] = {}
        for item in self._items:
            if item.key.choice is not None:
                shares.setdefault(item.question.type, []).append(1 / len(item.question.options))
        return {name: float(np.mean(values)) for name, values in shares.items()}

    def counts(self) -> dict[str, int]:
        """Number of questions of each type."""
        types = [item.question.type for item in self._items]
        return {name: types.count(name) for name in dict.fromkeys(types)}

    def _parse(self, item: Item, answer: Answer) -> Any:
        """The content of an answer; None if it cannot be read."""
        if answer.problem or not extract.final_answer(answer.text):
            return None
        if item.question.form == "choice":
            return extract.choice(answer.text, item.question.options)
        if item.question.form == "number":
            return extract.number(answer.text)
        if item.question.type == RECOGNISE:
            return extract.action(answer.text, self._graph)
        if item.question.type == EVALUATE:
            return extract.errors(answer.text, self._graph)
        return extract.final_answer(answer.text)

    def _metrics(
        self, parsed: Sequence[Any], overlap: TextOverlap, weight: Weight
    ) -> dict[str, Any]:
        closed: dict[str, list[int]] = {}
        for row, item in enumerate(self._items):
            if item.key.choice is not None:
                closed.setdefault(item.question.type, []).append(row)
        correct = np.array(
            [_is_correct(item, value) for item, value in zip(self._items, parsed, strict=True)]
        )
        unreadable = np.array([value is None for value in parsed], float)
        by_type = {name: _mean(correct, rows, weight) for name, rows in closed.items()}
        values: dict[str, Any] = {f"type/{name}": value for name, value in by_type.items()}
        values["accuracy"] = (
            np.mean(list(by_type.values()), axis=0) if closed else metrics.undefined(weight)
        )
        values["recognised"] = _mean(correct, self._rows(RECOGNISE), weight)
        values["failed"] = metrics.weighted_mean(unreadable, weight)
        values |= self._error_metrics(parsed, weight)
        text_rows = self._rows(STANDARD, EVALUATE)
        values |= overlap.metrics(None if weight is None else weight[:, text_rows])
        return values | self._score_metrics(parsed, weight)

    def _rows(self, *types: str) -> list[int]:
        return [row for row, item in enumerate(self._items) if item.question.type in types]

    def _error_metrics(self, parsed: Sequence[Any], weight: Weight) -> dict[str, Any]:
        rows = self._rows(EVALUATE)
        counts = np.zeros((len(rows), 2))
        for n, row in enumerate(rows):
            labels, predictions = set(self._items[row].key.errors), parsed[row] or set()
            counts[n] = len(labels & predictions), len(labels ^ predictions)
        w = np.ones((1, len(rows))) if weight is None else weight[:, rows]
        hits, mistakes = (w @ counts).T
        f1 = metrics.ratio(2 * hits, 2 * hits + mistakes)
        return {"error_f1": float(f1[0]) if weight is None else f1}

    def _score_metrics(self, parsed: Sequence[Any], weight: Weight) -> dict[str, Any]:
        rows = self._rows(SCORE)
        if not rows:
            names = ("srcc", "relative_l2", "mae", "consistent")
            return dict.fromkeys(names, metrics.undefined(weight))
        labels = np.array([self._items[row].key.score for row in rows], float)
        predictions = np.array(
            [np.nan if parsed[row] is None else parsed[row] for row in rows], float
        )
        # An unreadable score becomes the worst possible one.
        worst = np.where(labels >= 50, 0.0, 100.0)
        predictions = np.where(np.isfinite(predictions), predictions, worst)
        actions = np.array([self._items[row].key.action for row in rows])
        srcc, l2 = [], []
        for name in np.unique(actions):
            subset = np.flatnonzero(actions == name)
            w = None if weight is None else weight[:, np.array(rows)[subset]]
            srcc.append(metrics.srcc(predictions[subset], labels[subset], w))
            score_range = self._statistics.score_ranges.get(str(name), (0.0, 100.0))
            l2.append(metrics.relative_l2(predictions[subset], labels[subset], score_range, w))
        w = None if weight is None else weight[:, rows]
        consistent = np.array([self._is_consistent(row, parsed) for row in rows], float)
        return {
            "srcc": metrics.fisher_mean(np.array(srcc)),
            "relative_l2": np.mean(l2, axis=0) if weight is not None else float(np.mean(l2)),
            "mae": metrics.mae(predictions, labels, w),
            "consistent": metrics.weighted_mean(consistent, w),
        }

    def _is_consistent(self, row: int, parsed: Sequence[Any]) -> bool:
        """Whether a score fits the errors that the same respondent named in this clip.

        It must lie between the score with all these errors at full severity and the score with all
        at the smallest severity of the training split, give or take `TOLERANCE`. Errors that the
        exercise does not have cost nothing.
        """
        item = self._items[row]
        evaluation_row = self._evaluation_rows.get(item.question.dialogue)
        errors = None if evaluation_row is None else parsed[evaluation_row]
        if parsed[row] is None or errors is None:
            return False
        action = self._graph.action(item.key.action)
        lost = sum(
            penalty
            for (_, edge), penalty in zip(action.pairs, action.penalties, strict=True)
            if edge.error in errors
        )
        share = 100 * lost / sum(action.penalties)
        low, high = 100 - share, 100 - self._statistics.min_severity * share
        return low - TOLERANCE <= parsed[row] <= high + TOLERANCE


@dataclasses.dataclass(frozen=True)
class Scores:
    """Metrics of one respondent.

    Attributes:
      point: metrics by name; accuracies of closed question types as `type/<name>`.
      draws: the same for each bootstrap draw; None if there is a single subject.
    """

    point: Mapping[str, float]
    draws: Mapping[str, np.ndarray] | None

    def to_json(self) -> dict[str, Any]:
        """Every metric with its `_ci95`; accuracies of closed question types in `by_type`."""
        return _nested(self.point, self._flat().with_intervals())

    def minus(self, other: "Scores") -> dict[str, Any]:
        """Differences on the same draws, each with its `_ci95`."""
        return _nested(self.point, self._flat().minus(other._flat()))

    def _flat(self) -> bootstrap.BootstrapScores:
        return bootstrap.BootstrapScores(self.point, self.draws)


def _nested(names: Iterable[str], flat: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics and their `_ci95`, with the accuracies of closed question types in `by_type`."""
    nested: dict[str, Any] = {"by_type": {}}
    for name in names:
        value, interval = flat[name], flat[f"{name}_ci95"]
        type_name = name.removeprefix("type/")
        if type_name != name:
            nested["by_type"][type_name] = {"accuracy": value, "accuracy_ci95": interval}
        else:
            nested |= {name: value, f"{name}_ci95": interval}
    return nested


def _mean(values: np.ndarray, rows: list[int], weight: Weight) -> Any:
    """Mean of some rows, for each draw."""
    return metrics.weighted_mean(values[rows], None if weight is None else weight[:, rows])


def _is_correct(item: Item, parsed: Any) -> float:
    if item.key.choice is not None:
        return float(parsed == item.key.choice)
    return float(item.question.type == RECOGNISE and parsed == item.key.action)
