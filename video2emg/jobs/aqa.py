"""The assessment job, top to bottom: Video→EMG → evidence → head → test subjects → results."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from video2emg.aqa import head as head_lib
from video2emg.aqa import predictions as predictions_lib
from video2emg.aqa import published, report
from video2emg.aqa.baselines import predict_baselines
from video2emg.aqa.build import (
    AQA_HEAD_FILE,
    build_head,
    build_published_head,
    head_metadata,
    video2emg_workdir,
)
from video2emg.aqa.frozen_features import (
    EMG_SOURCES,
    FeatureDataset,
    FrozenFeatures,
    cache_key,
    whole_clip_batches,
)
from video2emg.aqa.labels import error_log_odds, load_aqa_labels
from video2emg.aqa.losses import aqa_losses
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.core import vocabulary
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.augment import Augmentation
from video2emg.data.pipeline import train_batches
from video2emg.eval import results
from video2emg.fkg.feedback import feedback
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.jobs import video2emg
from video2emg.models.published.flex import MODALITIES
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.workdir import init_workdir, read_config
from video2emg.train import loop
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step

ACTIONS = ("given", "recognised")
Said = dict[str, AQAPredictions]


def run(config: Config, workdir: str | Path, bench: FrozenFeatures | None = None) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/aqa.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, aqa_predictions.npz,
        feedback.json (docs/fkg.md) and results.json; in `video2emg` the Video→EMG run, if none is
        given; in `frozen` the head from which joint training starts.
      bench: of an earlier run, if it serves this one too (same `cache_key(config)`).

    Returns:
      The results, as written.
    """
    workdir = Path(workdir).expanduser()
    jax.config.update("jax_threefry_partitionable", True)
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    graph, rubric = _check(config, mesh)
    init_workdir(workdir, config)
    finished = workdir / "results.json"
    if finished.exists():
        found = results.read_results(finished)
        print(report.format_table(found))
        log(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return found
    if bench is None:
        bench = FrozenFeatures(config, rubric, _video2emg(config, workdir), mesh)
    joint = config.emg_source == "predicted"
    if joint and not isinstance(bench.model, nn.Module):
        raise UserError(
            "config.emg_source=predicted trains Video→EMG too, which must then be without "
            "pretrained weights and LoRA; use predicted_frozen"
        )
    validation, test = load_aqa_labels(bench, "validation"), load_aqa_labels(bench, "test")
    log_odds = error_log_odds(bench)
    score_only = _score_only(config)
    head = build_published_head(config, bench) if config.published.system else build_head(
        config, bench.rubric, log_odds, bench.main
    )  # fmt: skip
    judge, params = _train(
        head, config, bench, validation, mesh, workdir / "frozen" if joint else workdir
    )
    if joint:
        assert isinstance(head, head_lib.AQAHead)
        judge = _train_jointly(head, params, config, bench, validation, mesh, workdir)

    log("judging the test subjects with the head that was best on validation")
    said = {"validation": judge("validation"), "test": judge("test")}
    report.save(workdir / "aqa_predictions.npz", said)
    if not score_only:
        write_json(workdir / AQA_HEAD_FILE, head_metadata(log_odds, validation, said["validation"]))
        write_json(workdir / "feedback.json", feedback_texts(graph, bench, validation, said))
    examiner = report.BootstrapEvaluator(validation, test, config.eval.bootstrap)
    found = {
        "provenance": _provenance(config, bench),
        "test": report.evaluate(
            examiner, said, predict_baselines(bench), len(test.subject), score_only
        ),
    }
    results.write_results(finished, found)
    print(report.format_table(found))
    log(f"results: {finished}")
    return found


def sweep(
    config: Config, overrides: list[dict[str, Any]], workdir: str | Path, collect: bool = False
) -> dict[str, Any]:
    """Runs every variant into `workdir/<n>` and writes their comparison to `workdir/results.json`.

    With `collect` none is run: the comparison is of those that are finished.

    Variants that differ in their seed only are one row of the table, called `row` if an override
    has that. One Video→EMG model serves all; it is trained into `workdir/video2emg` if none is
    given.
    """
    workdir = Path(workdir).expanduser()
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    _, rubric = _check(config, mesh)
    source = _video2emg(config, workdir)
    benches: dict[str, FrozenFeatures] = {}
    bench, groups, score_only, done = None, {}, set(), set()
    for n, override in enumerate(overrides):
        if collect and not (workdir / str(n) / "results.json").exists():
            log(f"variant {n + 1} of {len(overrides)} is not finished: {override}")
            continue
        override = dict(override)
        row = override.pop("row", "")
        variant = config.copy_and_resolve_references()
        variant.video2emg = str(source)
        variant.update_from_flattened_dict(override)
        key = cache_key(variant)
        if key not in benches:
            benches[key] = FrozenFeatures(variant, rubric, Path(variant.video2emg), mesh)
        bench = benches[key]
        log(f"variant {n + 1} of {len(overrides)}: {override}")
        run(variant, workdir / str(n), bench)
        name = row or ", ".join(
            f"{value}" if key == "emg_source" else f"{key}={value}"
            for key, value in override.items()
            if key != "train.seed"
        )
        said = report.load(workdir / str(n) / "aqa_predictions.npz")
        groups.setdefault(name or "model", []).append(said)
        done.add(variant.train.seed)
        if _score_only(variant):
            score_only.add(name)
    if bench is None:
        raise UserError(f"{workdir}: no variant is finished")
    examiner = report.BootstrapEvaluator(
        load_aqa_labels(bench, "validation"), load_aqa_labels(bench, "test"), config.eval.bootstrap
    )
    found = {
        "provenance": _provenance(config, bench) | {"seeds": sorted(done)},
        "test": report.compare(examiner, groups, predict_baselines(bench), score_only),
    }
    results.write_results(workdir / "results.json", found)
    print(report.format_table(found))
    return found


def feedback_texts(
    graph: Graph, bench: FrozenFeatures, validation: AQALabels, said: Said
) -> list[dict[str, Any]]:
    """What to tell the test subjects; errors count from the threshold that validation prefers."""
    threshold = predictions_lib.choose_threshold(validation, said["validation"])
    test, examples = said["test"], bench.splits["test"]
    found = []
    for row in range(len(examples)):
        clip = examples.clip(row)
        words = feedback(
            graph,
            clip.clip_id,
            clip.action,
            float(test.score[row]),
            test.probability[row],
            test.expected_severity[row],
            test.boundary[row],
            clip.end,
            threshold,
        )
        found.append(words.to_json())
    return found


def _train(
    head: nn.Module,
    config: Config,
    bench: FrozenFeatures,
    validation: AQALabels,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> tuple[Callable[[str], AQAPredictions], Any]:
    """Trains a head on the answers of the frozen model; returns its judgements and parameters."""
    shown = {
        s: bench.with_emg_source(s, config.emg_source, config.train.seed) for s in bench.splits
    }
    relative = (config.published.system or config.model.score) in ("core", "relative")
    rows = {
        split: FeatureDataset(f, shown["train"] if relative else None) for split, f in shown.items()
    }
    predict = jax.jit(predict_step(head))
    rate = bench.rate * config.model.phase_samples

    def said(params: Any, split: str) -> AQAPredictions:
        votes = [
            predictions_lib.predict(
                predict,
                params,
                rows[split].eval_batches(config.eval.batch_size, vote),
                bench.rubric,
                rate,
                mesh,
            )
            for vote in range(config.model.exemplars if relative else 1)
        ]
        return predictions_lib.average(votes)

    loop.train(
        head,
        config.train,
        functools.partial(rows["train"].train_batches, config.train.batch_size, config.train.seed),
        lambda params: _validate(validation, said(params, "validation")),
        mesh,
        workdir,
        name_of=bench.clip_id,
        loss_fn=aqa_losses,
    )
    like = {k: v for k, v in next(rows["test"].eval_batches(1)).items() if k != "_mask"}
    params = load_params(workdir, setup.abstract_params(head, like, mesh))
    return (lambda split: said(params, split)), params


def _train_jointly(
    head: head_lib.AQAHead,
    head_params: Any,
    config: Config,
    bench: FrozenFeatures,
    validation: AQALabels,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> Callable[[str], AQAPredictions]:
    """Trains Video→EMG and head together, starting from both; returns their judgements."""
    assert isinstance(bench.model, nn.Module)
    model = head_lib.JointAQAModel(bench.model, head)
    train = config.train.copy_and_resolve_references()
    train.update(config.joint)
    predict = jax.jit(predict_step(model))
    rate = bench.rate * config.model.phase_samples

    def said(params: Any, split: str) -> AQAPredictions:
        batches = whole_clip_batches(bench.splits[split], config.eval.batch_size)
        return predictions_lib.predict(predict, params, batches, bench.rubric, rate, mesh)

    loop.train(
        model,
        train,
        lambda step: train_batches(
            bench.splits["train"],
            Augmentation(**bench.main.augment.to_dict()),
            train.batch_size,
            train.seed,
            start=step,
            threads=bench.main.data.threads,
        ),
        lambda params: _validate(validation, said(params, "validation")),
        mesh,
        workdir,
        loss_fn=aqa_losses,
        start={"video2emg": bench.params, "head": head_params},
        name_of=bench.clip_id,
    )
    like = {
        k: v for k, v in next(whole_clip_batches(bench.splits["test"], 1)).items() if k != "_mask"
    }
    params = load_params(workdir, setup.abstract_params(model, like, mesh))
    return lambda split: said(params, split)


def _validate(truth: AQALabels, said: AQAPredictions) -> dict[str, float]:
    found = predictions_lib.score(truth, said, 0.5)
    return {name: found[name] for name in ("skill", "srcc", "mae", "map", "boundary_ms")}


def _video2emg(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model, which is trained first if none is given."""
    source = video2emg_workdir(config, workdir)
    if config.video2emg:
        return source
    log(f"training the Video→EMG model into {source}")
    video2emg.run(config.main, source)
    return source


def _check(config: Config, mesh: jax.sharding.Mesh) -> tuple[Graph, Rubric]:
    """Finds the mistakes of a config before any long work; returns its graph, also as tables."""
    if jax.process_count() > 1:
        raise UserError("the assessment job runs in one process (it trains in minutes); only the "
                        "main job can be spread over several")  # fmt: skip
    graph = load(config.graph)

    def choose(field: str, value: str, known: tuple[str, ...]) -> None:
        if value not in known:
            raise UserError(f"config.{field}: {value!r} is not one of {', '.join(known)}")

    choose("emg_source", config.emg_source, EMG_SOURCES)
    choose("model.score", config.model.score, head_lib.SCORES)
    choose("model.action", config.model.action, ACTIONS)
    choose("published.system", config.published.system, ("", *published.SYSTEMS))
    for modality in config.published.modalities:
        choose("published.modalities", modality, MODALITIES)
    if config.published.system and config.emg_source == "predicted":
        raise UserError(f"config.published.system={config.published.system} needs a frozen "
                        "Video→EMG model, so not config.emg_source=predicted")  # fmt: skip
    for name in config.extra_inputs:
        choose("extra_inputs", name, vocabulary.INPUTS)
    for view in config.views:
        choose("views", view, tuple(config.main.data.views))
    if config.emg_source == "none" and not config.video:
        raise UserError("config.video=False with config.emg_source=none leaves nothing to look at")
    if config.model.score == "errors" and not config.train.loss.error:
        raise UserError("config.model.score=errors makes the score of errors, of which nothing is "
                        "learned with config.train.loss.error=0")  # fmt: skip
    if config.model.score == "relative" and config.emg_source == "predicted":
        raise UserError(
            "config.model.score=relative needs a frozen Video→EMG model, so not "
            "config.emg_source=predicted"
        )
    for field, size in (("train", config.train.batch_size), ("joint", config.joint.batch_size),
                        ("eval", config.eval.batch_size)):  # fmt: skip
        mesh_lib.check_batch(mesh, size, f"config.{field}.batch_size")
    state_lib.optimiser(config.train)
    if config.video2emg:
        read_config(config.video2emg)
    return graph, Rubric.of(graph)


def _score_only(config: Config) -> bool:
    """Whether nothing is learned of single errors."""
    return bool(config.published.system) or not config.train.loss.error


def _provenance(config: Config, bench: FrozenFeatures) -> dict[str, Any]:
    return results.provenance(
        dataset=bench.main.data.name,
        dataset_version=bench.dataset.version,
        simulated=bench.dataset.simulated,
        normalisation=bench.main.data.normalisation,
        seed=config.train.seed,
        config_hash=hashlib.sha256(config.to_json(sort_keys=True).encode()).hexdigest()[:16],
        metrics=predictions_lib.METRICS,
        graph=bench.rubric.version,
        emg_source=config.emg_source,
        published=config.published.to_dict(),
    )
