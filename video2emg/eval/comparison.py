"""Systems side by side: each is a few runs that differ in their seed, scored on one test set."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core.errors import UserError
from video2emg.core.files import arrays_of, write_arrays
from video2emg.eval import scores
from video2emg.eval.metrics import Moments
from video2emg.eval.scores import METRICS, Table

Results = dict[str, Any]

# Columns of the printed table: metric, heading, format.
_COLUMNS = (
    ("skill", "skill", "{:+.3f}"),
    ("pcc", "PCC", "{:.3f}"),
    ("amplitude_r", "amplitude r", "{:.3f}"),
    ("r2", "R²", "{:.3f}"),
    ("rmse", "RMSE", "{:.4f}"),
    ("onset_ms", "onset ms", "{:.0f}"),
)
_MOMENTS = tuple(field.name for field in dataclasses.fields(Moments))


def save(path: Path, tables: Mapping[str, Table]) -> None:
    """Writes the tables of a run, so that runs can be compared without data and models."""
    arrays = {}
    for name, table in tables.items():
        for field in dataclasses.fields(Table):
            if field.name != "moments":
                arrays[f"{name}/{field.name}"] = np.asarray(getattr(table, field.name))
        for moment in _MOMENTS:
            arrays[f"{name}/moments.{moment}"] = getattr(table.moments, moment)
    write_arrays(path, arrays)


def load(path: Path) -> dict[str, Table]:
    """Reads what `save` wrote.

    Raises:
      UserError: there is no such file, or it is another one.
    """
    with arrays_of(path, "the scores of a run") as parts:
        found = {}
        for name, fields in parts.items():
            moments = Moments(**{m: fields.pop(f"moments.{m}") for m in _MOMENTS})
            channels = tuple(str(c) for c in fields.pop("channels"))
            found[name] = Table(**fields, channels=channels, moments=moments)
        return found


def check_same_clips(systems: Mapping[str, Sequence[Table]], baseline: str) -> None:
    """Makes sure that the n-th tables of all systems are of the same clips.

    Raises:
      UserError: they are not.
    """
    first = systems[baseline][0]
    for name, tables in systems.items():
        for table, other in itertools.zip_longest(tables, systems[baseline], fillvalue=first):
            if table.clip_id.tolist() != other.clip_id.tolist():
                raise UserError(f"{name} and {baseline} were not tested on the same clips")


def compare(
    systems: Mapping[str, Sequence[Table]], baseline: str, samples: int = 1000, seed: int = 0
) -> Results:
    """Scores systems on the same clips.

    A metric of a system is its mean over seeds; its interval comes from draws of subjects, in each
    of which the metric is again averaged over seeds, the same subjects for every system. `_sd` is
    the spread over seeds.

    Args:
      systems: name → one table per seed; the n-th tables of all are of the same clips.
      baseline: the system that the others are subtracted from.
      samples: bootstrap samples.
      seed: of the bootstrap.

    Returns:
      `rows[name]`: every metric with `_ci95`, `_sd` and `_per_seed`; `baseline`;
      `minus_baseline[name]`: differences with `_ci95`.

    Raises:
      UserError: they were not tested on the same clips.
    """
    check_same_clips(systems, baseline)
    first = systems[baseline][0]
    single = len(np.unique(first.subject)) < 2
    points, draws = {}, {}
    found: Results = {
        "clips": len(first.clip_id),
        "subjects": len(np.unique(first.subject)),
    }
    found |= {"rows": {}, "baseline": baseline, "minus_baseline": {}}
    for name, tables in systems.items():
        each = [scores.score(table) for table in tables]
        points[name] = {m: float(np.mean([one[m] for one in each])) for m in METRICS}
        if not single:
            drawn = [scores.resample(table, samples, seed) for table in tables]
            draws[name] = {m: np.mean([one[m] for one in drawn], axis=0) for m in METRICS}
        row: Results = dict(points[name])
        for metric in METRICS:
            values = [one[metric] for one in each]
            row[f"{metric}_ci95"] = _interval(None if single else draws[name][metric])
            row[f"{metric}_per_seed"] = values
            row[f"{metric}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        found["rows"][name] = row
    for name in systems:
        if name == baseline:
            continue
        difference: Results = {}
        for metric in METRICS:
            difference[metric] = points[name][metric] - points[baseline][metric]
            both = None if single else draws[name][metric] - draws[baseline][metric]
            difference[f"{metric}_ci95"] = _interval(both)
        found["minus_baseline"][name] = difference
    return found


def _interval(draws: np.ndarray | None) -> list[float]:
    return [math.nan] * 2 if draws is None else scores.interval(draws)


def format_table(results: Results) -> str:
    """The systems as text, best skill first; skill with its interval over subjects."""
    facts, part = results["provenance"], results["test"]
    lines = [["", "sees", "seeds", *(title for _, title, _ in _COLUMNS), "skill - baseline"]]
    for name, row in sorted(part["rows"].items(), key=lambda item: -_number(item[1]["skill"])):
        cells = [_text(row[metric], form) for metric, _, form in _COLUMNS]
        cells[0] = _with_interval(row)
        difference = part["minus_baseline"].get(name)
        cells.append(_with_interval(difference) if difference else "")
        lines.append([name, row["sees"], str(len(row["skill_per_seed"])), *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    about = (
        facts["dataset"],
        "simulated EMG" if facts["simulated"] else "measured EMG",
        f"test: {part['clips']} clips of {part['subjects']} subjects",
        f"envelopes / {facts['normalisation']}",
        f"baseline: {part['baseline']}",
    )
    return "\n".join([" · ".join(about), text[0], "-" * max(map(len, text)), *text[1:]])


def _with_interval(row: Mapping[str, Any]) -> str:
    low, high = (_text(end, "{:+.3f}") for end in row["skill_ci95"])
    return f"{_text(row['skill'], '{:+.3f}')} ({low} to {high})"


def _text(value: float | None, form: str) -> str:
    return form.format(value) if math.isfinite(_number(value)) else "–"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
