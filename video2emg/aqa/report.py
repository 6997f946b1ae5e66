"""Results of the assessment job: one run beside its baselines, and a table over sources of EMG."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.aqa import metrics, predictions
from video2emg.aqa.predictions import METRICS, AQALabels, AQAPredictions
from video2emg.core.files import arrays_of, write_arrays

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


def save(path: Path, said: Mapping[str, AQAPredictions]) -> None:
    """Writes judgements by split, so that a table can be made without the models."""
    arrays = {
        f"{split}/{name}": value for split, of in said.items() for name, value in vars(of).items()
    }
    write_arrays(path, arrays)


def load(path: Path) -> dict[str, AQAPredictions]:
    """Reads what `save` wrote.

    Raises:
      UserError: there is no such file, or it is another one.
    """
    with arrays_of(path, "the judgements of a run") as parts:
        return {split: AQAPredictions(**fields) for split, fields in parts.items()}


class BootstrapEvaluator:
    """Scores any judge of one test set, with the same bootstrap draws for all."""

    def __init__(self, validation: AQALabels, test: AQALabels, samples: int, seed: int = 0):
        """Draws the subjects.

        Args:
          validation: where thresholds are chosen.
          test: what is scored.
          samples: bootstrap draws.
          seed: of the bootstrap.
        """
        self._validation, self._test = validation, test
        single = len(np.unique(test.subject)) < 2
        self._weight = None if single else predictions.draw_subjects(test, samples, seed)

    def scores(
        self, said: Mapping[str, AQAPredictions], score_only: bool = False
    ) -> tuple[Results, Results]:
        """Point scores, and the same for every draw ([samples] NaN without draws).

        With `score_only` all that is not about the score is NaN: the judge says nothing of it.
        """
        threshold = predictions.threshold_of(self._validation, said["validation"])
        point = predictions.score(self._test, said["test"], threshold)
        draws = {name: np.full(1, np.nan) for name in METRICS}
        if self._weight is not None:
            draws = predictions.score(self._test, said["test"], threshold, self._weight)
        if score_only:
            silent = [name for name in METRICS if name not in predictions.OF_SCORE]
            point |= dict.fromkeys(silent, math.nan)
            draws |= {name: np.full_like(draws[name], np.nan) for name in silent}
        return point, draws

    def details(self, said: AQAPredictions) -> Results:
        """Scores of each action and each error."""
        test = self._test
        by_action = {}
        for action, name in enumerate(test.rubric.actions):
            rows = test.label.action == action
            if rows.any():
                p, t = said.score[rows], test.label.score[rows]
                by_action[name] = {
                    "clips": int(rows.sum()),
                    "srcc": metrics.srcc(p, t),
                    "relative_l2": metrics.relative_l2(p, t, test.spans[action]),
                    "mae": metrics.mae(p, t),
                    "boundary_ms": metrics.boundary_error_ms(
                        said.boundary[rows], test.label.boundary[rows]
                    ),
                }
        precision = predictions.pair_scores(test, said)
        by_error = {}
        for (action, step, error), value in precision.items():
            a = test.rubric.actions.index(action)
            rows = test.label.action == a
            slot = test.rubric.pairs[a].index((step, error))
            made = test.label.probability[rows, slot] > 0
            by_error[f"{action}/{step}/{error}"] = {
                "made": int(made.sum()),
                "average_precision": value,
                "prevalence": float(made.mean()),
            }
        return {"by_action": by_action, "by_error": by_error}


def evaluate(
    examiner: BootstrapEvaluator,
    said: Mapping[str, AQAPredictions],
    baselines: Mapping[str, Mapping],
    count: int,
    score_only: bool = False,
) -> Results:
    """Scores a model beside its baselines.

    Args:
      examiner: of the test set.
      said: the model's judgements, by split.
      baselines: the same, by name; `true_errors` is the ceiling.
      count: clips of the test set.
      score_only: see `BootstrapEvaluator.scores`; of the model.

    Returns:
      `model` and `baselines[name]`, every metric with `_ci95`; `model_minus[name]`, differences on
      the same draws, with `_ci95` and `_p`.
    """
    point, draws = examiner.scores(said, score_only)
    found: Results = {
        "model": {"clips": count} | predictions.with_intervals(point, draws)
        | examiner.details(said["test"]),
        "baselines": {},
        "model_minus": {},
    }  # fmt: skip
    for name, other in baselines.items():
        other_point, other_draws = examiner.scores(other)
        found["baselines"][name] = predictions.with_intervals(other_point, other_draws)
        found["model_minus"][name] = predictions.difference(point, other_point, draws, other_draws)
    return found


def compare(
    examiner: BootstrapEvaluator,
    runs: Mapping[str, Sequence[Mapping[str, AQAPredictions]]],
    baselines: Mapping[str, Mapping],
    score_only: Collection[str] = (),
) -> Results:
    """Scores groups of runs that differ in their seed; what `launch.py --sweep` writes.

    A metric of a group is its mean over seeds; its interval comes from draws of subjects, in each
    of which the metric is again averaged over seeds. `_sd` is the spread over seeds. Those in
    `score_only` see `BootstrapEvaluator.scores`.
    """
    found: Results = {"sources": {}, "baselines": {}, "minus": {}}
    points, samples = {}, {}
    for name, members in runs.items():
        scored = [examiner.scores(said, name in score_only) for said in members]
        points[name] = {m: float(np.mean([p[m] for p, _ in scored])) for m in METRICS}
        samples[name] = {m: np.mean([d[m] for _, d in scored], axis=0) for m in METRICS}
        row = predictions.with_intervals(points[name], samples[name])
        for metric in METRICS:
            each = [p[metric] for p, _ in scored]
            row[f"{metric}_per_seed"] = each
            row[f"{metric}_sd"] = float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
        found["sources"][name] = row
    for name, other in baselines.items():
        point, draws = examiner.scores(other)
        found["baselines"][name] = predictions.with_intervals(point, draws)
        points[name], samples[name] = point, draws
    for name in runs:
        found["minus"][name] = {
            rival: predictions.difference(
                points[name], points[rival], samples[name], samples[rival]
            )
            for rival in points
            if rival != name
        }
    return found


def format_table(results: Results, split: str = "test") -> str:
    """The model (or every source) and the baselines, as text."""
    part = results[split]
    models = part.get("sources") or {"model": part["model"]}
    rows = [["", *(heading for _, heading, _ in _COLUMNS)]]
    for name, found in models.items():
        rows += [[name, *_cells(found)], ["  95 %", *_intervals(found)]]
    rows += [[name, *_cells(found)] for name, found in part["baselines"].items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


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
            ends = " to ".join(_text(end, signed) for end in gap[f"{metric}_ci95"])
            p = _text(gap[f"{metric}_p"], "{:.3f}")
            parts.append(f"{heading} {_text(gap[metric], signed)} ({ends}; p {p})")
        lines.append(f"{name}: " + ", ".join(parts))
    return "\n".join([f"minus {rival}:", *lines])


def _cells(found: Mapping[str, Any]) -> list[str]:
    return [_text(found.get(name), form) for name, _, form in _COLUMNS]


def _intervals(found: Mapping[str, Any]) -> list[str]:
    return [
        "–".join(_text(end, form.replace("+", "")) for end in found[f"{name}_ci95"])
        for name, _, form in _COLUMNS
    ]


def _text(value: float | None, form: str) -> str:
    return "–" if value is None or not math.isfinite(value) else form.format(value)
