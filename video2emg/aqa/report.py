"""Results of the assessment job: one run beside its baselines, and a table of sources of EMG."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.aqa import metrics
from video2emg.aqa.predictions import (
    METRICS,
    SCORE_METRICS,
    AQALabels,
    AQAPredictions,
    choose_threshold,
    pair_average_precision,
    score,
)
from video2emg.core.files import arrays_of, write_arrays
from video2emg.core.text_table import align, cell, cells
from video2emg.eval.bootstrap import BootstrapScores, mean_over_seeds, recording_weights
from video2emg.eval.comparison import table_row

Results = dict[str, Any]

# Columns of the printed table: metric, heading, format.
_COLUMNS = (
    ("srcc", "SRCC", "{:.3f}"),
    ("skill", "skill", "{:+.3f}"),
    ("relative_l2", "R-ℓ2×100", "{:.2f}"),
    ("mae", "MAE", "{:.2f}"),
    ("map", "mAP", "{:.3f}"),
    ("f1", "F1", "{:.3f}"),
    ("ece", "ECE", "{:.3f}"),
    ("boundary_ms", "boundary ms", "{:.0f}"),
)


def save(path: Path, predictions: Mapping[str, AQAPredictions]) -> None:
    """Writes predictions by split, so that a table can be made without the models."""
    arrays = {
        f"{split}/{name}": value
        for split, part in predictions.items()
        for name, value in vars(part).items()
    }
    write_arrays(path, arrays)


def load(path: Path) -> dict[str, AQAPredictions]:
    """Reads what `save` wrote.

    Raises:
      UserError: there is no such file, or it is another one.
    """
    with arrays_of(path, "the predictions of a run") as parts:
        return {split: AQAPredictions(**fields) for split, fields in parts.items()}


class BootstrapEvaluator:
    """Scores predictions for one test set, with the same bootstrap draws for all."""

    def __init__(self, validation: AQALabels, test: AQALabels, samples: int, seed: int = 0):
        """Draws the subjects.

        Args:
          validation: where thresholds are chosen.
          test: what is scored.
          samples: bootstrap draws.
          seed: of the bootstrap.
        """
        self._validation, self._test = validation, test
        self._weight = recording_weights(test.subject, samples, seed)

    def scores(
        self, predictions: Mapping[str, AQAPredictions], score_only: bool = False
    ) -> BootstrapScores:
        """All of `METRICS`.

        Args:
          predictions: of validation and test.
          score_only: whether the system predicts a score only; all other metrics are then NaN.
        """
        test = predictions["test"]
        threshold = choose_threshold(self._validation, predictions["validation"])
        values = score(self._test, test, threshold)
        draws = None
        if self._weight is not None:
            draws = score(self._test, test, threshold, self._weight)
        if score_only:
            others = [name for name in METRICS if name not in SCORE_METRICS]
            values |= dict.fromkeys(others, math.nan)
            if draws is not None:
                draws |= {name: np.full_like(draws[name], np.nan) for name in others}
        return BootstrapScores(values, draws)

    def details(self, predictions: AQAPredictions) -> Results:
        """Scores of each action and each error of the test set."""
        labels, true = self._test, self._test.annotations
        by_action = {}
        for action, name in enumerate(labels.rubric.actions):
            rows = true.action == action
            if rows.any():
                p, t = predictions.score[rows], true.score[rows]
                by_action[name] = {
                    "clips": int(rows.sum()),
                    "srcc": metrics.srcc(p, t),
                    "relative_l2": metrics.relative_l2(p, t, labels.score_ranges[action]),
                    "mae": metrics.mae(p, t),
                    "boundary_ms": metrics.boundary_error_ms(
                        predictions.boundary[rows], true.boundary[rows]
                    ),
                }
        by_error = {}
        precision = pair_average_precision(labels, predictions)
        for (name, step, error), value in precision.items():
            action = labels.rubric.actions.index(name)
            slot = labels.rubric.pairs[action].index((step, error))
            made = true.probability[true.action == action, slot] > 0
            by_error[f"{name}/{step}/{error}"] = {
                "made": int(made.sum()),
                "average_precision": value,
                "prevalence": float(made.mean()),
            }
        return {"by_action": by_action, "by_error": by_error}


def evaluate(
    evaluator: BootstrapEvaluator,
    predictions: Mapping[str, AQAPredictions],
    baselines: Mapping[str, Mapping[str, AQAPredictions]],
    count: int,
    score_only: bool = False,
) -> Results:
    """Scores a model beside its baselines.

    Args:
      evaluator: of the test set.
      predictions: of the model, by split.
      baselines: name → predictions by split; `true_errors` is the ceiling.
      count: clips of the test set.
      score_only: see `BootstrapEvaluator.scores`; of the model.

    Returns:
      `model` and `baselines[name]`, every metric with `_ci95`; `model_minus[name]`, differences on
      the same draws, with `_ci95` and `_p`.
    """
    model = evaluator.scores(predictions, score_only)
    rivals = {name: evaluator.scores(baseline) for name, baseline in baselines.items()}
    return {
        "model": {"clips": count} | model.with_intervals() | evaluator.details(predictions["test"]),
        "baselines": {name: rival.with_intervals() for name, rival in rivals.items()},
        "model_minus": {name: model.minus(rival, p_values=True) for name, rival in rivals.items()},
    }


def compare(
    evaluator: BootstrapEvaluator,
    runs: Mapping[str, Sequence[Mapping[str, AQAPredictions]]],
    baselines: Mapping[str, Mapping[str, AQAPredictions]],
    score_only: Collection[str] = (),
) -> Results:
    """Scores groups of runs that differ in their seed; what `launch.py --sweep` writes.

    Args:
      evaluator: of the test set.
      runs: name → the predictions of every seed, by split.
      baselines: name → predictions by split.
      score_only: names of runs, see `BootstrapEvaluator.scores`.

    Returns:
      `sources[name]` as `eval.comparison.table_row`; `baselines[name]` with `_ci95`;
      `minus[name][other]`: differences to every other source and baseline, with `_ci95` and `_p`.
    """
    rows = {
        name: [evaluator.scores(member, name in score_only) for member in members]
        for name, members in runs.items()
    }
    means = {name: mean_over_seeds(members) for name, members in rows.items()}
    rivals = means | {name: evaluator.scores(baseline) for name, baseline in baselines.items()}
    return {
        "sources": {name: table_row(members) for name, members in rows.items()},
        "baselines": {name: rivals[name].with_intervals() for name in baselines},
        "minus": {
            name: {
                rival: means[name].minus(rivals[rival], p_values=True)
                for rival in rivals
                if rival != name
            }
            for name in runs
        },
    }


def format_table(results: Results, split: str = "test") -> str:
    """The model (or every source of EMG) and the baselines, as text."""
    part = results[split]
    models = part.get("sources") or {"model": part["model"]}
    rows = [["", *(heading for _, heading, _ in _COLUMNS)]]
    for name, scored in models.items():
        rows += [[name, *cells(scored, _COLUMNS)], ["  95 %", *_intervals(scored)]]
    rows += [[name, *cells(scored, _COLUMNS)] for name, scored in part["baselines"].items()]
    return "\n".join(align(rows))


def format_differences(results: Results, rival: str = "none", split: str = "test") -> str:
    """Every source minus `rival`, with 95 % intervals and p of the paired bootstrap, as text."""
    chosen = [column for column in _COLUMNS if column[0] in ("srcc", "skill", "mae", "map")]
    lines = []
    for name, rivals in results[split]["minus"].items():
        if rival not in rivals:
            continue
        gap = rivals[rival]
        parts = []
        for metric, heading, form in chosen:
            signed = form if "+" in form else form.replace("{:", "{:+")
            ends = " to ".join(cell(end, signed) for end in gap[f"{metric}_ci95"])
            p = cell(gap[f"{metric}_p"], "{:.3f}")
            parts.append(f"{heading} {cell(gap[metric], signed)} ({ends}; p {p})")
        lines.append(f"{name}: " + ", ".join(parts))
    return "\n".join([f"minus {rival}:", *lines])


def _intervals(scored: Mapping[str, Any]) -> list[str]:
    return [
        "–".join(cell(end, form.replace("+", "")) for end in scored[f"{name}_ci95"])
        for name, _, form in _COLUMNS
    ]
