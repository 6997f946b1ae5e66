"""Compares runs that differ in a few values: tables of systems, sweeps over seeds or settings.

Every run has a folder of its own and resumes by itself. How the runs become a table is known to the
job of the rows: its module has `summarise(runs, config, workdir) -> results`. A job that needs
something for all rows beforehand has `prepare(rows, workdir) -> rows`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from video2emg import jobs
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.jobs import Options, Row
from video2emg.parallel import hosts
from video2emg.parallel.hosts import log
from video2emg.run.tables import RESULTS
from video2emg.run.workdir import init_workdir

# Jobs whose results are Video→EMG scores and stand in one table.
_TABLE_OF = {"regressor": "video2emg"}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a comparison.

    Attributes:
      row: name of the row.
      seed: replaces `config.train.seed`.
      part: number of the part, of rows that consist of several.
      config: with the seed.
      workdir: of the run.
      results: as the run wrote them.
    """

    row: str
    seed: int
    part: int
    config: Config
    workdir: Path
    results: Mapping[str, Any]


def run(config: Config, workdir: str | Path, options: Options) -> dict[str, Any]:
    """Runs (or resumes) every row and seed, then writes the table.

    Args:
      config: `seeds`; `baseline`, the row that the others are compared with; `only`, names of rows
        with commas between, all if empty; `bootstrap`, samples.
      workdir: receives config.json, the workdir of every run (`<row>/<seed>`), results.json,
        table.txt and table.png.
      options: `rows`; `collect`.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    rows = choose(config, options.rows)
    job = _job_of(rows)
    # Single runs may be there already, made by the commands of --sweep_print.
    expected = {at.relative_to(workdir).parts[0] for *_, at in _plan(rows, workdir)} | {"video2emg"}
    hosts.main_only(lambda: init_workdir(workdir, config, expected))
    if hasattr(job, "prepare"):
        rows = job.prepare(rows, workdir)
    runs: list[Run] = []
    shared: dict[str, Any] = {}
    plan = list(_plan(rows, workdir))
    for number, (row, seed, part, variant, at) in enumerate(plan, 1):
        label = f"run {number} of {len(plan)}: {row or 'model'}, seed {seed}"
        if options.collect and not (at / RESULTS).exists():
            log(f"{label} is not finished")
            continue
        log(label)
        outcome = jobs.run(variant, at, Options(shared=shared))
        runs.append(Run(row, seed, part, variant, at, outcome))
    if not runs:
        raise UserError(f"{workdir}: no run of this comparison is finished")
    return job.summarise(runs, config, workdir)


def sweep(config: Config, overrides: Iterable[Mapping[str, Any]]) -> tuple[Config, list[Row]]:
    """Variants of one config as a comparison.

    Args:
      config: what the variants differ from.
      overrides: of each variant, values by dotted name. `row` names its row, else the values that
        differ do; variants that differ in `train.seed` only are one row.

    Returns:
      The config of the comparison, and its rows.
    """
    variants: dict[str, tuple[Config, list[int]]] = {}
    for override in map(dict, overrides):
        seed = override.pop("train.seed", config.train.seed)
        name = override.pop("row", "") or ", ".join(
            f"{value}" if key == "emg_source" else f"{key}={value}"
            for key, value in override.items()
        )
        if name not in variants:
            variant = config.copy_and_resolve_references()
            variant.update_from_flattened_dict(override)
            variants[name] = variant, []
        variants[name][1].append(seed)
    rows = [Row(name, variant, tuple(seeds)) for name, (variant, seeds) in variants.items()]
    comparison = ml_collections.ConfigDict(
        dict(
            job="compare",
            seeds=sorted({seed for row in rows for seed in row.seeds}),
            baseline=rows[0].name,
            only="",
            bootstrap=config.eval.get("bootstrap", 1000),
        )
    )
    return comparison, rows


def table_rows(config: Config, parts: Iterable[tuple[str, Config]]) -> list[Row]:
    """Rows of a table: every part with the seeds of the table, regressors (no seed) once."""
    seeds = tuple(config.seeds)
    return [
        Row(name, part, seeds[:1] if part.job == "regressor" else seeds) for name, part in parts
    ]


def workdir_of(workdir: str | Path, row: str, seed: int) -> Path:
    """Where the run of a row and seed lives."""
    return Path(workdir) / row / str(seed)


def choose(config: Config, rows: Sequence[Row]) -> list[Row]:
    """The rows that are wanted, the baseline among them; finds mistakes early.

    Raises:
      UserError: there is no such row, or no seed.
    """
    names = list(dict.fromkeys(row.name for row in rows))
    only = {name for name in config.only.split(",") if name}
    unknown = sorted({*only, config.baseline} - set(names))
    if unknown:
        raise UserError(f"no row {', '.join(unknown)}; there are {', '.join(names)}")
    if not config.seeds:
        raise UserError("config.seeds: at least one is needed")
    return [row for row in rows if not only or row.name in {*only, config.baseline}]


def _job_of(rows: Sequence[Row]) -> Any:
    names = {str(_TABLE_OF.get(row.config.job, row.config.job)) for row in rows}
    if len(names) > 1:
        raise UserError(f"rows of one table are of different jobs: {', '.join(sorted(names))}")
    job = jobs.load(names.pop())
    if not hasattr(job, "summarise"):
        raise UserError(f"config.job={rows[0].config.job}: --sweep is not for this job")
    return job


def _plan(rows: Sequence[Row], workdir: Path) -> Iterable[tuple[str, int, int, Config, Path]]:
    """Row, seed, part, config and workdir of every run."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row.name, []).append(row)
    # Seeds are outermost, so that a comparison that is stopped has every row.
    for place in range(max(len(row.seeds) for row in rows)):
        for name, row_parts in parts.items():
            for seed in row_parts[0].seeds[place : place + 1]:
                for number, part in enumerate(row_parts):
                    variant = part.config.copy_and_resolve_references()
                    variant.train.seed = seed
                    at = workdir_of(workdir, name, seed)
                    at = at / str(number) if len(row_parts) > 1 else at
                    yield name, seed, number, variant, at
