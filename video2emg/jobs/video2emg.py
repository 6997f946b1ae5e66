"""The main job, top to bottom: data → model → training → test subjects → results."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.core.config import Config
from video2emg.core.files import folder, write_json
from video2emg.data.augment import Augmentation
from video2emg.data.pipeline import eval_batches, train_batches
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, forward, intervals, results, scores
from video2emg.eval.baselines import Template
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.workdir import SCORES, flatten, init_workdir, provenance
from video2emg.train import loop
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step
from video2emg.viz import run_figures

_FITTED_ON = (
    20_000  # training clips at most, evenly spread, for the baselines: 13 kB each in memory
)


def run(config: Config, workdir: str | Path, profile: bool = False) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/v2emg.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, scores.npz, results.json,
        figures.
      profile: whether it also receives `profile/`, about the first steps.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    jax.config.update("jax_threefry_partitionable", True)
    mesh = mesh_lib.make_mesh(**config.parallel)
    setup.check(config, mesh)
    hosts.agree(flatten(json.loads(config.to_json()), "config.") | {"packages": results.packages()})
    hosts.main_only(lambda: init_workdir(workdir, config))
    finished = workdir / "results.json"
    if finished.exists():
        found = results.read_results(finished)
        hosts.main_only(lambda: print(results.format_table(found)))
        log(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return found

    dataset = hosts.main_first(
        lambda: open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    )
    hosts.agree({"the dataset": dataset.fingerprint})
    splits, reference = setup.load_splits(config, dataset)
    model = setup.build_model(config, splits["train"].window)
    hosts.main_only(lambda: write_json(workdir / "normalisation.json", reference.to_json()))

    log(f"{len(splits['train'])} training clips, mesh {dict(mesh.shape)}")
    some = evaluate.evenly(len(splits["train"]), _FITTED_ON)
    train_series = evaluate.series_of(splits["train"], descriptors=True, clips=some)
    template = Template()
    template.fit(train_series)
    # Every process scores, so every process is given all answers.
    predict = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))

    def said(params: Any, split: str) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        return evaluate.predict_with_mae(
            predict, params, splits[split], config.eval.batch_size, mesh
        )

    def predictions(params: Any, split: str) -> list[np.ndarray]:
        return said(params, split)[0]

    validation = evaluate.series_of(splits["validation"])
    expected = [template.predict(series) for series in validation]

    def validate(params: Any) -> dict[str, float]:
        table = scores.tabulate(validation, predictions(params, "validation"), expected)
        found = scores.score(table)
        return {name: found[name] for name in ("skill", "pcc", "rmse", "amplitude_r")}

    def data(step: int) -> Iterable[Any]:
        return train_batches(
            splits["train"],
            Augmentation(**config.augment.to_dict()),
            config.train.batch_size,
            config.train.seed,
            rows=mesh_lib.local_rows(mesh, config.train.batch_size).tolist(),
            start=step,
            threads=config.data.threads,
        )

    def name_of(index: int) -> str:
        return splits["train"].clip(index).clip_id

    loop.train(model, config.train, data, validate, mesh, workdir, name_of=name_of, profile=profile)

    log("evaluating the model that was best on validation on the test subjects")
    params = load_params(
        workdir, setup.abstract_params(model, next(eval_batches(splits["test"], 1)), mesh)
    )
    test = evaluate.series_of(splits["test"], descriptors=True)
    of_test = said(params, "test")
    predicted, _ = of_test
    tables = results.tables(train_series, test, predicted)
    calibration = intervals.calibrate(validation, said(params, "validation"), test, of_test)
    found = {
        "provenance": provenance(config, dataset)
        | {"parameters": sum(x.size for x in jax.tree.leaves(params))},
        "test": results.evaluate(tables, {series.subject for series in train_series})
        | {"calibration": calibration},
    }
    domain = None
    if config.data.views:
        log("looking at training and validation clips, to know later what is out of domain")
        domain = forward.fit_ood_detector(
            forward.ForwardFunction(model, params, mesh),
            splits,
            config.eval.batch_size,
            {
                "dataset": config.data.name,
                "normalisation": config.data.normalisation,
                "simulated": dataset.simulated,
            },
        )

    def write() -> None:
        if domain is not None:
            domain.save(workdir)
        comparison.save(workdir / SCORES, tables)
        run_figures.figures(workdir, found, splits["test"], test, predicted, template)
        results.write_results(finished, found)
        print(results.format_table(found))

    hosts.main_only(write)
    log(f"results: {finished}; figures: {workdir / 'figures'}")
    return found


def sweep(
    config: Config, overrides: list[dict[str, Any]], workdir: str | Path, collect: bool = False
) -> dict[str, Any]:
    """Runs every variant into `workdir/<n>` and writes their summary to `workdir/results.json`.

    With `collect` none is run: the summary is of those that are finished.
    """
    workdir = folder(workdir, "--workdir")
    found = []
    for n, override in enumerate(overrides):
        if collect and not (workdir / str(n) / "results.json").exists():
            log(f"variant {n + 1} of {len(overrides)} is not finished: {override}")
            continue
        variant = config.copy_and_resolve_references()
        variant.update_from_flattened_dict(override)
        log(f"variant {n + 1} of {len(overrides)}: {override}")
        found.append(run(variant, workdir / str(n)))
    merged = results.merge_seeds(found)

    def write() -> None:
        results.write_results(workdir / "results.json", merged)
        print(results.format_table(merged))

    hosts.main_only(write)
    return merged
