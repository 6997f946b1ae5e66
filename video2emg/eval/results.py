"""One writer for results: scores with intervals, by group, beside the baselines, with provenance.

A results file is
`{schema_version, provenance: {...}, <split>: {model, baselines: {name: ...}, model_minus: {...}}}`
where `model` and each baseline hold every metric of `scores.METRICS`, and `<metric>_ci95`. The main
job adds `shift_r` to the split (`evaluate.shift_r`).
"""

import importlib.metadata
import json
import math
import os
import pathlib
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.core.text_table import MISSING, Columns, cell, cells, descending, number, titled
from video2emg.eval import baselines, intervals, scores
from video2emg.eval.bootstrap import BootstrapScores
from video2emg.eval.series import ClipSeries

SCHEMA_VERSION = 1

Results = dict[str, Any]

_PACKAGES = ("video2emg", "jax", "flax", "numpy", "scipy", "mujoco-core")
_PACKAGE_FOLDER = pathlib.Path(__file__).parent

# Of the printed table.
_COLUMNS: Columns = (
    ("skill", "skill", "{:+.3f}"),
    ("pcc", "PCC", "{:.3f}"),
    ("specificity", "specificity", "{:.3f}"),
    ("amplitude_r", "amplitude r", "{:.3f}"),
    ("r2", "R²", "{:.3f}"),
    ("rmse", "RMSE", "{:.4f}"),
    ("rmse_source", "RMSE, source unit", "{:.2f}"),
    ("mae", "MAE", "{:.4f}"),
    ("onset_ms", "onset ms", "{:.0f}"),
    ("peak_ratio", "peak ratio", "{:.2f}"),
    ("symmetry_error", "L/R error", "{:.3f}"),
)


def _describe(
    table: scores.Table, scored: BootstrapScores, samples: int, seed: int, group_intervals: bool
) -> Results:
    """All that is written about one predictor.

    Args:
      table: of the predictor.
      scored: its scores over the whole table.
      samples: bootstrap samples.
      seed: of the bootstrap.
      group_intervals: whether the groups have intervals too.

    Returns:
      Every metric and its `<metric>_ci95`; `clips`, `subjects`, `samples` (measured samples over
      all channels); the same in `by_muscle`, `by_action` and `by_subject`, the last without
      intervals (a person cannot be resampled).
    """

    def counts(part: scores.Table) -> Results:
        return {
            "clips": len(part.clip_id),
            "subjects": len(np.unique(part.subject)),
            "samples": int(part.moments.count.sum()),
        }

    def group(part: scores.Table, intervals: bool) -> Results:
        if intervals:
            return counts(part) | scores.bootstrap_scores(part, samples, seed).with_intervals()
        return counts(part) | scores.score(part)

    return (
        counts(table)
        | scored.with_intervals()
        | {
            "by_muscle": {
                str(muscle): group(table.select(channels=table.muscles == muscle), group_intervals)
                for muscle in np.unique(table.muscles)
            },
            "by_action": {
                str(action): group(table.select(clips=table.action == action), group_intervals)
                for action in np.unique(table.action)
            },
            "by_subject": {
                str(subject): group(table.select(clips=table.subject == subject), False)
                for subject in np.unique(table.subject)
            },
        }
    )


def tables(
    train: Sequence[ClipSeries],
    test: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
) -> dict[str, scores.Table]:
    """Per-clip results of the model and of baselines that are fitted on `train`.

    Args:
      train: training series (of other subjects).
      test: the clips that were predicted.
      predictions: one [N, C] per clip of `test`.
      names: baselines; by default all that the data allow.

    Returns:
      `model`, then each baseline by name.
    """
    predicted = baselines.predict_baselines(train, test, names)
    template = predicted.get("template")
    if template is None:
        template = baselines.predict_baselines(train, test, ["template"])["template"]
    return {
        name: scores.tabulate(test, values, template)
        for name, values in {"model": predictions, **predicted}.items()
    }


def evaluate(
    tables: Mapping[str, scores.Table],
    train_subjects: Iterable[str],
    samples: int = 1000,
    seed: int = 0,
) -> Results:
    """Scores a model beside the baselines.

    Args:
      tables: from `tables`.
      train_subjects: whom the model was trained on.
      samples: bootstrap samples.
      seed: of the bootstrap.

    Returns:
      `model` (as `_describe`), `baselines[name]` (so too, with `uses_test_emg` and without
      intervals of groups), `model_minus[name]` (paired differences), and
      `subjects_shared_with_training`, which should be empty.
    """
    scored = {name: scores.bootstrap_scores(table, samples, seed) for name, table in tables.items()}
    rivals = [name for name in tables if name != "model"]
    test_subjects = set(tables["model"].subject.tolist())
    return {
        "model": _describe(tables["model"], scored["model"], samples, seed, True),
        "baselines": {
            name: _describe(tables[name], scored[name], samples, seed, False)
            | {"uses_test_emg": baselines.REGISTRY[name].uses_test_emg}
            for name in rivals
        },
        "model_minus": {name: scored["model"].minus(scored[name]) for name in rivals},
        "subjects_shared_with_training": sorted(set(train_subjects) & test_subjects),
    }


def provenance(
    *,
    dataset: str,
    dataset_version: str,
    simulated: bool,
    normalisation: str,
    seed: int,
    config_hash: str,
    **more: Any,
) -> Results:
    """The facts that are needed to judge or repeat a result.

    Args:
      dataset: name and config of the dataset, e.g. `gymsim/default`.
      dataset_version: its version.
      simulated: whether the EMG is simulated; tables and figures say so.
      normalisation: what the envelopes are divided by, e.g. `mvc`.
      seed: of the training run.
      config_hash: of the whole configuration.
      **more: anything else, JSON-able.
    """
    return {
        "dataset": dataset,
        "dataset_version": dataset_version,
        "simulated": simulated,
        "normalisation": normalisation,
        "seed": seed,
        "config_hash": config_hash,
        "git_commit": _git_commit(),
        "packages": packages(),
        "python": platform.python_version(),
        "metrics": dict(scores.METRICS),
    } | more


def common_provenance(provenances: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the provenances of all rows of one table have in common.

    Raises:
      UserError: the rows are of different datasets or normalisations.
    """
    first, *rest = provenances.values()
    for field in ("dataset", "dataset_version", "normalisation"):
        values = {str(provenance[field]) for provenance in (first, *rest)}
        if len(values) > 1:
            raise UserError(f"rows of one table differ in {field}: {', '.join(sorted(values))}")
    return {k: v for k, v in first.items() if all(p.get(k) == v for p in rest) and k != "seed"}


def packages() -> dict[str, str | None]:
    """Versions of the packages that results depend on."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Commit of the checkout that this package lies in, `+` if edited; None if it is installed."""
    if not (_PACKAGE_FOLDER.parents[1] / ".git").exists():
        return None

    def git(*args: str) -> str:
        command = ["git", "-C", str(_PACKAGE_FOLDER), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_results(path: str | os.PathLike[str], results: Results) -> None:
    """Writes strict JSON (NaN and infinities become null, keys sorted) in one step.

    A reader gets the old file or the complete new one.

    Raises:
      UserError: the file cannot be written.
    """
    text = json.dumps(
        _jsonable({"schema_version": SCHEMA_VERSION} | results),
        indent=2,
        sort_keys=True,
        allow_nan=False,
        ensure_ascii=False,
    )
    write_text(path, text + "\n")


def read_results(path: str | os.PathLike[str]) -> Results:
    """Reads what `write_results` wrote.

    Raises:
      UserError: no such file, not JSON, or of another schema.
    """
    try:
        results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not a results file: {error}") from None
    version = results.get("schema_version") if isinstance(results, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(f"{path}: results schema {version}, expected {SCHEMA_VERSION}; rerun")
    return results


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_jsonable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def merge_seeds(runs: Sequence[Results]) -> Results:
    """Mean over runs that differ in their seed, with the standard deviation.

    Every number of the model becomes its mean, `<key>_sd` (n - 1; over trainings, not an interval
    over subjects) and `<key>_per_seed`. Undefined values (null) make the mean undefined. Intervals
    over subjects are dropped: an average of end points is not the interval of an average. A single
    run stays as it is, with its intervals.

    Raises:
      UserError: no runs, or runs of different datasets, configurations or splits.
    """
    if not runs:
        raise UserError("no results to merge")
    facts = [run.get("provenance", {}) for run in runs]
    for key in ("dataset", "dataset_version", "normalisation"):
        values = sorted({str(fact.get(key)) for fact in facts})
        if len(values) > 1:
            raise UserError(f"cannot merge results that differ in {key}: {', '.join(values)}")
    seeds = [fact.get("seed") for fact in facts]
    if len(set(seeds)) < len(seeds) and None not in seeds:
        raise UserError(f"cannot merge results: a seed occurs twice in {seeds}")
    splits = [key for key in runs[0] if key not in ("schema_version", "provenance")]
    for split in splits:
        if any(split not in run for run in runs):
            raise UserError(f"cannot merge results: not all have the split {split!r}")
    if len(runs) == 1:
        merged = {split: runs[0][split] for split in splits}
    else:
        merged = {split: _merge([run[split] for run in runs]) for split in splits}
    return {
        "schema_version": SCHEMA_VERSION,
        "provenance": {k: v for k, v in facts[0].items() if k != "seed"} | {"seeds": seeds},
    } | merged


# Counts and flags of a set, the same in every run.
_FIXED = ("clips", "subjects", "samples")


def _merge(parts: Sequence[Mapping[str, Any]]) -> Results:
    merged: Results = {}
    for key, first in parts[0].items():
        values = [part.get(key) for part in parts]
        if key == "baselines" and len({repr(value) for value in values}) == 1:
            merged[key] = first  # they do not depend on the seed, so their intervals stay valid
        elif isinstance(first, Mapping):
            merged[key] = _merge([value or {} for value in values])
        elif key.endswith("_ci95"):
            continue
        elif key in _FIXED or not isinstance(first, int | float | None) or isinstance(first, bool):
            merged[key] = first
        else:
            numbers = np.array([np.nan if v is None else v for v in values], np.float64)
            merged[key] = float(numbers.mean())
            merged[f"{key}_sd"] = float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan
            merged[f"{key}_per_seed"] = numbers.tolist()
    return merged


def format_table(results: Results, split: str = "test") -> str:
    """The model and the baselines as text, best skill first, under the facts of the test set."""
    if split not in results:
        raise UserError(f"these results have no split {split!r}")
    part, facts = results[split], results.get("provenance", {})
    model = part["model"]
    columns = _COLUMNS
    if not math.isfinite(number(model.get("rmse_source"))):  # most sources have none
        columns = tuple(column for column in _COLUMNS if column[0] != "rmse_source")
    rows = [["", *(heading for _, heading, _ in columns)], ["model", *cells(model, columns)]]
    rows += _spread(model, columns)
    order = sorted(part["baselines"].items(), key=lambda item: descending(item[1].get("skill")))
    for name, scored in order:
        rows.append([name + (" *" if scored.get("uses_test_emg") else ""), *cells(scored, columns)])
    about = [
        facts.get("dataset", "unnamed dataset"),
        "simulated EMG" if facts.get("simulated") else "",
        f"{split}: {model.get('clips', '?')} clips of {model.get('subjects', '?')} subjects",
        f"envelopes / {facts['normalisation']}" if "normalisation" in facts else "",
        f"seeds {facts['seeds']}" if "seeds" in facts else "",
    ]
    lines = titled(about, rows)
    if any(scored.get("uses_test_emg") for _, scored in order):
        lines.append("* is shown EMG of the test subjects: a comparison, not a competitor")
    if math.isfinite(shift := number(part.get("shift_r"))):
        lines.append(f"windows moved by half a window: r {shift:.3f} between both predictions")
    if coverage := intervals.coverage_text(part.get("calibration", {})):
        lines.append(coverage)
    return "\n".join(lines)


def _spread(model: Results, columns: Columns) -> list[list[str]]:
    """Second row of the model: intervals over subjects, or standard deviations over seeds."""
    if any(f"{name}_ci95" in model for name, _, _ in columns):
        ends = [_interval(model.get(f"{name}_ci95"), form) for name, _, form in columns]
        return [["  95 %", *ends]]
    if any(f"{name}_sd" in model for name, _, _ in columns):
        spread = [_deviation(model.get(f"{name}_sd"), form) for name, _, form in columns]
        return [["  sd over seeds", *spread]]
    return []


def _deviation(value: float | None, form: str) -> str:
    text = cell(value, form.replace("+", ""))
    return text if text == MISSING else f"±{text}"


def _interval(ends: Sequence[float | None] | None, form: str) -> str:
    if not all(math.isfinite(number(end)) for end in ends or [None]):
        return MISSING
    # .776–.847: without the leading zeros the column stays as narrow as its numbers allow.
    texts = [cell(end, form.replace("+", "")) for end in ends or []]
    return "–".join(
        text.replace("0.", ".", 1) if abs(number(end)) < 1 else text
        for text, end in zip(texts, ends or [], strict=True)
    )
