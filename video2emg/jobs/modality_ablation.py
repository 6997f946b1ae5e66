"""The job that shows one model every subset of its inputs: views, pose, load and so on.

The model is trained to do without any of them (`config.main.augment.hide`); then each row of the
table is the same model, on the same clips, with the rest hidden.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.jobs import compare, video2emg
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.workdir import init_workdir
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step


def run(config: Config, workdir: str | Path) -> dict[str, Any]:
    """Runs (or resumes) the job.

    Args:
      config: `main`, of the model; `seeds`; `rows`, pairs of a name and of what is shown (views and
        `extra_inputs` of the model); `reference`, the row that the others are compared with;
        `bootstrap`, samples.
      workdir: receives config.json, the models' workdirs under `model/`, the scores of every row
        and seed under `rows/`, results.json, compare.txt and compare.png.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    rows = _rows(config)
    init_workdir(workdir, config)
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    systems: dict[str, list[scores.Table]] = {name: [] for name in rows}
    facts: dict[str, Any] = {}
    for seed in config.seeds:
        main = config.main.copy_and_resolve_references()
        main.train.seed = seed
        source = workdir / "model" / str(seed)
        log(f"seed {seed}: the model, in {source}")
        facts = video2emg.run(main, source)["provenance"]
        kept = {name: workdir / "rows" / f"{n}-{seed}.npz" for n, name in enumerate(rows)}
        if not all(path.exists() for path in kept.values()):
            _show(main, source, rows, kept, mesh)
        for name, path in kept.items():
            systems[name].append(comparison.load(path)["model"])
    found = {
        "provenance": {k: v for k, v in facts.items() if k != "seed"},
        "test": comparison.compare(systems, config.baseline, config.bootstrap),
    }
    for name, shown in rows.items():
        found["test"]["rows"][name] |= {"sees": _kind(shown, config.main), "shown": list(shown)}
    return compare.finish(found, workdir)


def _kind(shown: tuple[str, ...], main: Config) -> str:
    """What is seen, in a word that several rows share."""
    views = set(main.data.views)
    if not views & set(shown):
        return "no camera"
    return "video" if set(shown) <= views else "video and more"


def _rows(config: Config) -> dict[str, tuple[str, ...]]:
    """What each row is shown, once it is known to make sense."""
    inputs = (*config.main.data.views, *config.main.model.extra_inputs)
    rows = {name: tuple(shown) for name, shown in config.rows}
    for name, shown in rows.items():
        unknown = sorted(set(shown) - set(inputs))
        if unknown:
            raise UserError(f"config.rows, {name}: the model is not given {', '.join(unknown)}; it "
                            f"is given {', '.join(inputs)}")  # fmt: skip
        if not {*config.main.data.views, "pose"} & set(shown):
            raise UserError(f"config.rows, {name}: neither a view nor the pose is shown")
    if config.baseline not in rows:
        raise UserError(f"config.baseline: {config.baseline!r} is no row; there are "
                        f"{', '.join(rows)}")  # fmt: skip
    return rows


def _show(
    main: Config,
    source: Path,
    rows: Mapping[str, tuple[str, ...]],
    kept: Mapping[str, Path],
    mesh: jax.sharding.Mesh,
) -> None:
    """Predicts the test clips from what each row is shown, and keeps the scores."""
    dataset = open_dataset(main.data.name, main.data.dir, main.data.manual_dir)
    splits, _ = setup.load_splits(main, dataset)
    test: Examples = splits["test"]
    model = setup.build_model(main, test.window)
    like = next(eval_batches(test, 1))
    params = load_params(source, setup.abstract_params(model, like, mesh))
    predict = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))
    series = evaluate.series_of(test)
    train = evaluate.series_of(splits["train"])
    template = predict_baselines(train, series, ["template"])["template"]
    inputs = (*main.data.views, *main.model.extra_inputs)
    for name, shown in rows.items():
        if kept[name].exists():
            continue
        log(f"shown: {', '.join(shown)}")
        hidden = [one for one in inputs if one not in shown]
        guess = evaluate.predict(
            predict, params, test.drop_inputs(hidden), main.eval.batch_size, mesh
        )
        found = scores.tabulate(series, guess, template)
        kept[name].parent.mkdir(exist_ok=True)
        comparison.save(kept[name], {"model": found})
