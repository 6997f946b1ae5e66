"""The table job: several systems, several seeds each, tested on the same clips."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from video2emg import experiment, regression
from video2emg.config import Config
from video2emg.errors import UserError
from video2emg.eval import baselines, comparison, results, scores
from video2emg.experiment import say
from video2emg.files import folder, write_text
from video2emg.viz import systems as picture

Rows = list[tuple[str, Config]]

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
        and regressors have none.
      workdir: receives config.json, `<row>/<seed>` of every run, results.json, table.txt and
        table.png.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    chosen = _choose(config, list(rows))
    experiment.claim(workdir, config)
    systems: dict[str, list[scores.Table]] = {}
    sees, facts = {}, {}
    trivial: dict[str, scores.Table] = {}
    for place, (name, of) in enumerate(chosen):
        regressor = of.get("regressor")
        for seed in config.seeds[: 1 if regressor else None]:
            say(f"row {place + 1} of {len(chosen)}: {name}, seed {seed}")
            variant = of.copy_and_resolve_references()
            variant.train.seed = seed
            if regressor and regressor.encoder_of:  # another row's first run
                variant.regressor.encoder_of = str(workdir / regressor.encoder_of / str(seed))
            run_dir = workdir / name / str(seed)
            fact = (regression if regressor else experiment).run(variant, run_dir)["provenance"]
            tables = comparison.load(run_dir / experiment.SCORES)
            systems.setdefault(name, []).append(tables.pop("model"))
            sees[name], facts[name] = fact["sees"], fact
            if name == config.reference:
                trivial = tables
    for name, table in trivial.items():
        systems[name], sees[name] = [table], _KNOW[name]
    found = {
        "provenance": _common(facts),
        "test": comparison.compare(systems, config.reference, config.bootstrap),
    }
    for name, row in found["test"]["rows"].items():
        row["sees"] = sees[name]
        row["uses_test_emg"] = name in trivial and baselines.REGISTRY[name].uses_test_emg
        row |= {key: facts[name][key] for key in ("parameters", "settings", "config_hash")
                if name in facts and key in facts[name]}  # fmt: skip
    results.write_results(workdir / "results.json", found)
    found = results.read_results(workdir / "results.json")
    text = comparison.format_table(found)
    write_text(workdir / "table.txt", text + "\n")
    picture.systems(found, workdir / "table.png")
    print(text)
    say(f"results: {workdir / 'results.json'}; picture: {workdir / 'table.png'}")
    return found


def _choose(config: Config, rows: Rows) -> Rows:
    """The rows that are wanted, the reference among them; finds their mistakes early."""
    names = [name for name, _ in rows]
    only = {name for name in config.only.split(",") if name}
    unknown = sorted({*only, config.reference} - set(names))
    if unknown:
        raise UserError(f"no row {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = {*only, config.reference} if only else set(names)
    if not config.seeds:
        raise UserError("config.seeds: at least one is needed")
    return [(name, of) for name, of in rows if name in wanted]


def _common(facts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the provenance of all rows has in common."""
    first, *rest = facts.values()
    for field in ("dataset", "dataset_version", "normalisation"):
        different = {str(fact[field]) for fact in (first, *rest)}
        if len(different) > 1:
            raise UserError(f"rows of one table differ in {field}: {', '.join(sorted(different))}")
    return {k: v for k, v in first.items() if all(f.get(k) == v for f in rest) and k != "seed"}
