"""The modality ablation: one model, tested with subsets of its inputs (views, pose, load, …).

The model is trained with inputs hidden at random (`config.main.augment.hide`). Each row of the
table is the same model on the same clips, with all other inputs hidden.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from video2emg import jobs
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.examples import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.jobs import Options
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.tables import write_table
from video2emg.run.workdir import init_workdir
from video2emg.train.step import predict_step


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs (or resumes) the job.

    Args:
      config: `main`, of the model; `seeds`; `rows`, pairs of a name and the inputs that are shown
        (views and `extra_inputs` of the model); `baseline`, the row that the others are compared
        with; `bootstrap`, samples.
      workdir: receives config.json, the models' workdirs under `model/`, the scores of every row
        and seed under `rows/`, results.json, table.txt and table.png.
      options: nothing of it is used.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    rows = _rows(config)
    init_workdir(workdir, config)
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    systems: dict[str, list[scores.Table]] = {name: [] for name in rows}
    provenance: dict[str, Any] = {}
    for seed in config.seeds:
        main = config.main.copy_and_resolve_references()
        main.train.seed = seed
        source = workdir / "model" / str(seed)
        log(f"seed {seed}: model in {source}")
        provenance = jobs.run(main, source)["provenance"]
        files = {name: workdir / "rows" / f"{n}-{seed}.npz" for n, name in enumerate(rows)}
        if not all(path.exists() for path in files.values()):
            _score_rows(main, source, rows, files, mesh)
        for name, path in files.items():
            systems[name].append(comparison.load(path)["model"])
    outcome = {
        "provenance": {k: v for k, v in provenance.items() if k != "seed"},
        "test": comparison.compare(systems, config.baseline, config.bootstrap),
    }
    for name, shown in rows.items():
        outcome["test"]["rows"][name] |= {"sees": _kind(shown, config.main), "shown": list(shown)}
    return write_table(outcome, workdir)


def _kind(shown: tuple[str, ...], main: Config) -> str:
    """The kind of the inputs, for the column `sees`."""
    views = set(main.data.views)
    if not views & set(shown):
        return "no camera"
    return "video" if set(shown) <= views else "video and more"


def _rows(config: Config) -> dict[str, tuple[str, ...]]:
    """The inputs of each row, checked."""
    inputs = (*config.main.data.views, *config.main.model.extra_inputs)
    rows = {name: tuple(shown) for name, shown in config.rows}
    for name, shown in rows.items():
        unknown = sorted(set(shown) - set(inputs))
        if unknown:
            raise UserError(
                f"config.rows, {name}: the model has no input {', '.join(unknown)}; it "
                f"has {', '.join(inputs)}"
            )
        if not {*config.main.data.views, "pose"} & set(shown):
            raise UserError(f"config.rows, {name}: neither a view nor the pose is shown")
    if config.baseline not in rows:
        raise UserError(
            f"config.baseline: {config.baseline!r} is no row; rows are {', '.join(rows)}"
        )
    return rows


def _score_rows(
    main: Config,
    source: Path,
    rows: Mapping[str, tuple[str, ...]],
    files: Mapping[str, Path],
    mesh: jax.sharding.Mesh,
) -> None:
    """Predicts the test clips from the inputs of each row, and writes the scores to `files`."""
    dataset = open_dataset(main.data.name, main.data.dir, main.data.manual_dir)
    splits, _ = setup.load_splits(main, dataset)
    test: Examples = splits["test"]
    model, params = setup.load_trained(main, source, test, mesh)
    predict = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))
    series = evaluate.series_of(test)
    train = evaluate.series_of(splits["train"])
    template = predict_baselines(train, series, ["template"])["template"]
    inputs = (*main.data.views, *main.model.extra_inputs)
    for name, shown in rows.items():
        if files[name].exists():
            continue
        log(f"shown: {', '.join(shown)}")
        hidden = [name for name in inputs if name not in shown]
        predictions = evaluate.predict(
            predict, params, test.drop_inputs(hidden), main.eval.batch_size, mesh
        )
        table = scores.tabulate(series, predictions, template)
        files[name].parent.mkdir(exist_ok=True)
        comparison.save(files[name], {"model": table})
