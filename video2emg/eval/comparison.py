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
from video2emg.core.text_table import cells, descending, titled, with_interval
from video2emg.eval import scores
from video2emg.eval.bootstrap import BootstrapScores, mean_over_seeds
from video2emg.eval.metrics import Moments
from video2emg.eval.scores import Table

Results = dict[str, Any]

# Columns of the printed table: metric, heading, format.
_COLUMNS = (
    ("skill", "skill", "{:+.3f}"),
    ("pcc", "PCC", "{:.3f}"),
    ("specificity", "specificity", "{:.3f}"),
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
        tables = {}
        for name, fields in parts.items():
            moments = Moments(**{m: fields.pop(f"moments.{m}") for m in _MOMENTS})
            channels = tuple(str(c) for c in fields.pop("channels"))
            tables[name] = Table(**fields, channels=channels, moments=moments)
        return tables


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
    """Scores systems on the same clips, see `compare_rows`.

    Args:
      systems: name → one table per seed; the n-th tables of all are of the same clips.
      baseline: the system that the others are subtracted from.
      samples: bootstrap samples.
      seed: of the bootstrap.

    Returns:
      As `compare_rows`, and how many `clips` of how many `subjects`.

    Raises:
      UserError: they were not tested on the same clips.
    """
    check_same_clips(systems, baseline)
    first = systems[baseline][0]
    rows = {
        name: [scores.bootstrap_scores(table, samples, seed) for table in tables]
        for name, tables in systems.items()
    }
    return {
        "clips": len(first.clip_id),
        "subjects": len(np.unique(first.subject)),
    } | compare_rows(rows, baseline)


def compare_rows(rows: Mapping[str, Sequence[BootstrapScores]], baseline: str) -> Results:
    """A table of systems, each of them a few runs that differ in their seed.

    Args:
      rows: name → the scores of every run, all on the same bootstrap draws.
      baseline: the row that the others are subtracted from.

    Returns:
      `rows[name]` as `table_row`; `baseline`; `minus_baseline[name]`: differences with `_ci95`.
    """
    means = {name: mean_over_seeds(runs) for name, runs in rows.items()}
    return {
        "rows": {name: table_row(runs) for name, runs in rows.items()},
        "baseline": baseline,
        "minus_baseline": {
            name: mean.minus(means[baseline]) for name, mean in means.items() if name != baseline
        },
    }


def table_row(runs: Sequence[BootstrapScores]) -> Results:
    """One system: every metric with `_ci95`, `_per_seed` and `_sd`.

    A metric is its mean over seeds; its interval comes from draws of subjects, in each of which the
    metric is again averaged over seeds. `_sd` is the standard deviation over seeds.
    """
    row: Results = mean_over_seeds(runs).with_intervals()
    for metric in runs[0].values:
        values = [run.values[metric] for run in runs]
        row[f"{metric}_per_seed"] = values
        row[f"{metric}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return row


def format_table(results: Results) -> str:
    """The systems as text, best skill first; skill with its interval over subjects."""
    facts, part = results["provenance"], results["test"]
    rows = [["", "sees", "seeds", *(heading for _, heading, _ in _COLUMNS), "skill - baseline"]]
    for name, row in sorted(part["rows"].items(), key=lambda item: descending(item[1]["skill"])):
        numbers = cells(row, _COLUMNS, {"skill": "{:+.3f}"})
        minus = part["minus_baseline"].get(name)
        gap = with_interval(minus["skill"], minus["skill_ci95"], "{:+.3f}") if minus else ""
        rows.append([name, row["sees"], str(len(row["skill_per_seed"])), *numbers, gap])
    about = (
        facts["dataset"],
        "simulated EMG" if facts["simulated"] else "measured EMG",
        f"test: {part['clips']} clips of {part['subjects']} subjects",
        f"envelopes / {facts['normalisation']}",
        f"baseline: {part['baseline']}",
    )
    return "\n".join(titled(about, rows, left=2))
