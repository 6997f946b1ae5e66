"""The table job: several systems, several seeds each, tested on the same clips."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder, write_text
from video2emg.eval import baselines, comparison, results, scores
from video2emg.jobs import regressor, video2emg
from video2emg.parallel.hosts import log
from video2emg.run.workdir import SCORES, init_workdir
from video2emg.viz import systems as picture

# What the trivial baselines know; the others of `baselines.REGISTRY` see the video.
_KNOW = {
    "zero": "nothing",
    "train_mean": "nothing",
    "action_mean": "exercise",
    "template": "exercise, phase",
    "subject_mean": "test EMG",
    "nearest_neighbour": "video",
}


def run(config: Config, rows: Iterable[tuple[str, Config]], workdir: str | Path) -> dict[str, Any]:
    """Runs (or resumes) every row and seed, then writes the table.

    Args:
      config: `seeds`; `reference`, the row that the others are compared with; `only`, names of
        rows with commas between, all if empty; `bootstrap`, samples.
      rows: name, also of its folder, and config of each system; its own seed counts for nothing,
        and regressors have none. A name that comes several times is one row, whose parts are tested
        on different clips (leave one action out).
      workdir: receives config.json, the workdir of every run under `<row>/`, results.json,
        table.txt and table.png.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    every: dict[str, list[Config]] = {}
    for name, part in rows:
        every.setdefault(name, []).append(part)
    chosen = {name: every[name] for name in choose(config, list(every))}
    init_workdir(workdir, config)
    systems: dict[str, list[scores.Table]] = {}
    facts: dict[str, dict[str, Any]] = {}
    trivial: dict[str, scores.Table] = {}
    for place, (name, parts) in enumerate(chosen.items()):
        for seed in config.seeds[: 1 if parts[0].get("regressor") else None]:
            log(f"row {place + 1} of {len(chosen)}: {name}, seed {seed}")
            found = []
            for n, part in enumerate(parts):
                at = workdir / name / (str(seed) if len(parts) == 1 else f"{seed}/{n}")
                facts[name] = _one(part, seed, at, workdir)
                found.append(comparison.load(at / SCORES))
            systems.setdefault(name, []).append(scores.join([one["model"] for one in found]))
            if name == config.baseline:
                trivial = {t: scores.join([one[t] for one in found]) for t in found[0]}
    del trivial["model"]
    systems |= {name: [table] for name, table in trivial.items()}
    comparison.check_same_clips(systems, config.baseline)
    # One yardstick: rows that learn from less have a worse template of their own.
    yardstick = systems[config.baseline][0].template_sq_error
    systems = {
        name: [dataclasses.replace(table, template_sq_error=yardstick) for table in tables]
        for name, tables in systems.items()
    }
    result = {
        "provenance": _common(facts),
        "test": comparison.compare(systems, config.baseline, config.bootstrap),
    }
    for name, row in result["test"]["rows"].items():
        if name in trivial:
            row["sees"] = _KNOW[name]
            row["uses_test_emg"] = baselines.REGISTRY[name].uses_test_emg
            continue
        known = ("sees", "parameters", "settings", "config_hash")
        row |= {key: facts[name][key] for key in known if key in facts[name]}
    return finish(result, workdir)


def _one(part: Config, seed: int, at: Path, workdir: Path) -> dict[str, Any]:
    """Runs one part of a row; returns its provenance."""
    variant = part.copy_and_resolve_references()
    variant.train.seed = seed
    if not variant.get("regressor"):
        return video2emg.run(variant, at)["provenance"]
    if variant.regressor.encoder_of:  # another row's first run
        variant.regressor.encoder_of = str(workdir / variant.regressor.encoder_of / str(seed))
    return regressor.run(variant, at)["provenance"]


def choose(config: Config, names: Sequence[str]) -> list[str]:
    """The rows that are wanted, the reference among them; finds mistakes early.

    Args:
      config: of a table, see `run`.
      names: of all rows.

    Raises:
      UserError: there is no such row, or no seed.
    """
    only = {name for name in config.only.split(",") if name}
    unknown = sorted({*only, config.baseline} - set(names))
    if unknown:
        raise UserError(f"no row {', '.join(unknown)}; there are {', '.join(names)}")
    if not config.seeds:
        raise UserError("config.seeds: at least one is needed")
    return [name for name in names if not only or name in {*only, config.baseline}]


def finish(
    found: dict[str, Any],
    workdir: Path,
    as_text: Callable[[dict[str, Any]], str] = comparison.format_table,
    draw: Callable[[dict[str, Any], Path], Any] = picture.systems,
) -> dict[str, Any]:
    """Writes a table as results.json, table.txt and table.png, and prints it.

    Args:
      found: `provenance`, and `test` with `rows`, as `as_text` and `draw` know it.
      workdir: where to.
      as_text: the table as text.
      draw: the table as a picture.

    Returns:
      The results, as written.
    """
    path = workdir / "results.json"
    results.write_results(path, found)
    found = results.read_results(path)
    text = as_text(found)
    write_text(workdir / "table.txt", text + "\n")
    draw(found, workdir / "table.png")
    print(text)
    log(f"results: {path}; picture: {workdir / 'table.png'}")
    return found


def _common(facts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the provenance of all rows has in common."""
    first, *rest = facts.values()
    for field in ("dataset", "dataset_version", "normalisation"):
        different = {str(fact[field]) for fact in (first, *rest)}
        if len(different) > 1:
            raise UserError(f"rows of one table differ in {field}: {', '.join(sorted(different))}")
    return {k: v for k, v in first.items() if all(f.get(k) == v for f in rest) and k != "seed"}
