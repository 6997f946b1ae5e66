"""The AQA job, top to bottom: Video→EMG → frozen features → head → test subjects → results."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from video2emg import jobs
from video2emg.aqa import head as head_lib
from video2emg.aqa import predictions as predictions_lib
from video2emg.aqa import published, report
from video2emg.aqa.baselines import predict_baselines
from video2emg.aqa.build import AQA_HEAD_FILE, build_head, head_metadata, video2emg_workdir
from video2emg.aqa.build_published import build_published_head
from video2emg.aqa.frozen_features import (
    CLEAN,
    EMG_SOURCES,
    FOUND,
    FeatureDataset,
    FrozenFeatures,
    cache_key,
    whole_clip_batches,
)
from video2emg.aqa.labels import error_log_odds, load_aqa_labels
from video2emg.aqa.losses import aqa_losses
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.aqa.set_pooling import SetPooling
from video2emg.core import vocabulary
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.augment import Augmentation
from video2emg.data.found_repetitions import FoundRepetitions
from video2emg.data.train_stream import train_batches
from video2emg.eval import results
from video2emg.eval.forward import ForwardFunction, fit_ood_detector
from video2emg.fkg.feedback import feedback
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.jobs import Options, Row
from video2emg.models.published.flex import MODALITIES
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.tables import write_table
from video2emg.run.workdir import init_workdir, read_config
from video2emg.train import loop
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step

ACTIONS = ("given", "recognised")
Predictions = dict[str, AQAPredictions]


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/aqa.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, aqa_predictions.npz,
        feedback.json (docs/fkg.md) and results.json; in `video2emg` the Video→EMG run, if none is
        given; in `frozen` the head from which joint training starts.
      options: `shared`: frozen features that the runs of one comparison share.

    Returns:
      The results, as written.
    """
    workdir = Path(workdir).expanduser()
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    graph, rubric = _check(config, mesh)
    init_workdir(workdir, config)
    finished = workdir / "results.json"
    if finished.exists():
        outcome = results.read_results(finished)
        print(report.format_table(outcome))
        log(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return outcome
    features = _features(config, rubric, workdir, mesh, options or Options())
    joint = config.emg_source == "predicted"
    labels = {s: load_aqa_labels(features, s) for s in features.splits if s != "train"}
    validation, test = labels["validation"], labels["test"]
    log_odds = error_log_odds(features)
    score_only = _score_only(config)
    head = (
        build_published_head(config, features)
        if config.published.system
        else build_head(config, features.rubric, log_odds, features.main)
    )
    predict, params = _train(
        head, config, features, validation, mesh, workdir / "frozen" if joint else workdir
    )
    if joint:
        assert isinstance(head, head_lib.AQAHead)
        predict = _train_jointly(head, params, config, features, validation, mesh, workdir)

    log("predicting the test subjects with the head that was best on validation")
    alone = {split: predict(split) for split in labels}
    pooling = SetPooling()
    if config.pool_sets and not score_only and config.model.score == "errors":
        pooling = SetPooling.fit(validation, alone["validation"])
    predictions = {split: _as_sets(pooling, labels[split], alone[split]) for split in labels}
    report.save(workdir / "aqa_predictions.npz", predictions)
    if not score_only:
        write_json(
            workdir / AQA_HEAD_FILE,
            head_metadata(log_odds, validation, predictions["validation"], pooling),
        )
        write_json(
            workdir / "feedback.json", feedback_texts(graph, features, validation, predictions)
        )
    evaluator = report.BootstrapEvaluator(validation, test, config.eval.bootstrap)
    tested = report.evaluate(
        evaluator, predictions, predict_baselines(features), len(test.subject), score_only
    )
    outcome = {"provenance": _provenance(config, features), "test": tested}
    if pooling != SetPooling():
        outcome["each_alone"] = evaluator.scores(alone).with_intervals()
    for split in (FOUND, CLEAN):
        if split in labels:
            scored = _score(labels, predictions, split, config.eval.bootstrap, score_only)
            outcome[split] = {"model": scored, "baselines": {}}
    if features.found is not None:
        outcome[FOUND] |= _how_found(features.found)
    results.write_results(finished, outcome)
    print(report.format_table(outcome))
    log(f"results: {finished}")
    return outcome


def _features(
    config: Config, rubric: Rubric, workdir: Path, mesh: jax.sharding.Mesh, options: Options
) -> FrozenFeatures:
    """The frozen features, of an earlier run of the same comparison if there is one."""
    key = cache_key(config)
    if key not in options.shared:
        source = _video2emg(config, workdir)
        options.shared[key] = FrozenFeatures(config, rubric, source, mesh)
    features = options.shared[key]
    if config.emg_source == "predicted" and not isinstance(features.model, nn.Module):
        raise UserError(
            "config.emg_source=predicted trains Video→EMG too, which must then be without "
            "pretrained weights and LoRA; use predicted_frozen"
        )
    return features


def _as_sets(pooling: SetPooling, labels: AQALabels, predictions: AQAPredictions) -> AQAPredictions:
    """Predictions of repetitions that know of the others of their set."""
    penalty = labels.rubric.weight[labels.annotations.action]
    return pooling(predictions, labels.recording, penalty)


def _how_found(how: FoundRepetitions) -> dict[str, Any]:
    """How well the repetitions of the test subjects were found."""
    error = np.abs(how.bound_errors)
    return {
        "sets": how.sets,
        "counted_exactly": how.counted / how.sets,
        "repetitions": how.true,
        "found": len(how) / max(how.true, 1),
        "extra": how.extra,
        "bound_error_median_s": float(np.median(error)),
        "bounds_within_0.15_s": float((error <= 0.15).mean()),
    }


def _score(
    labels: Mapping[str, AQALabels],
    predictions: Predictions,
    split: str,
    draws: int,
    score_only: bool,
) -> dict[str, Any]:
    """Scores of a split of the test subjects, with the threshold of validation."""
    evaluator = report.BootstrapEvaluator(labels["validation"], labels[split], draws)
    shown = {"validation": predictions["validation"], "test": predictions[split]}
    scored = evaluator.scores(shown, score_only).with_intervals()
    return {"clips": len(labels[split].subject)} | scored


def prepare(rows: Sequence[Row], workdir: Path) -> list[Row]:
    """Rows of a comparison in `workdir`: one Video→EMG model serves all that name none."""
    for row in rows:
        _check(row.config, mesh_lib.make_mesh(**row.config.main.parallel))
    source = _video2emg(rows[0].config, workdir)
    prepared = []
    for row in rows:
        variant = row.config.copy_and_resolve_references()
        variant.video2emg = variant.video2emg or str(source)
        prepared.append(dataclasses.replace(row, config=variant))
    return prepared


def summarise(runs: Sequence[Any], config: Config, workdir: Path) -> dict[str, Any]:
    """The table of `compare`: heads that differ in their inputs or settings, and the baselines."""
    groups: dict[str, list[Mapping[str, AQAPredictions]]] = {}
    for run in runs:
        groups.setdefault(run.row, []).append(report.load(run.workdir / "aqa_predictions.npz"))
    last = runs[-1].config.copy_and_resolve_references()
    last.eval.update(found=False, clean=False)  # tables have given repetitions only
    mesh = mesh_lib.make_mesh(**last.main.parallel)
    features = FrozenFeatures(last, Rubric.from_graph(load(last.graph)), Path(last.video2emg), mesh)
    evaluator = report.BootstrapEvaluator(
        load_aqa_labels(features, "validation"), load_aqa_labels(features, "test"), config.bootstrap
    )
    score_only = {run.row for run in runs if _score_only(run.config)}
    outcome = {
        "provenance": _provenance(last, features) | {"seeds": sorted({run.seed for run in runs})},
        "test": report.compare(evaluator, groups, predict_baselines(features), score_only),
    }
    return write_table(outcome, workdir, report.format_table, draw=None)


def feedback_texts(
    graph: Graph, features: FrozenFeatures, validation: AQALabels, predictions: Predictions
) -> list[dict[str, Any]]:
    """Feedback to the test subjects; errors are reported above the threshold of validation."""
    threshold = predictions_lib.choose_threshold(validation, predictions["validation"])
    test, examples = predictions["test"], features.splits["test"]
    texts = []
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
        texts.append(words.to_json())
    return texts


def _train(
    head: nn.Module,
    config: Config,
    features: FrozenFeatures,
    validation: AQALabels,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> tuple[Callable[[str], AQAPredictions], Any]:
    """Trains a head on the frozen features; returns its predictions by split, and parameters."""
    shown = {
        s: features.with_emg_source(s, config.emg_source, config.train.seed)
        for s in features.splits
    }
    relative = (config.published.system or config.model.score) in ("core", "relative")
    rows = {
        split: FeatureDataset(f, shown["train"] if relative else None) for split, f in shown.items()
    }
    predict = jax.jit(predict_step(head))
    rate = features.rate * config.model.phase_samples

    def predictions(params: Any, split: str) -> AQAPredictions:
        predicted = [
            predictions_lib.predict(
                predict,
                params,
                rows[split].eval_batches(config.eval.batch_size, vote),
                features.rubric,
                rate,
                mesh,
            )
            for vote in range(config.model.exemplars if relative else 1)
        ]
        return predictions_lib.average(predicted)

    loop.train(
        head,
        config.train,
        functools.partial(rows["train"].train_batches, config.train.batch_size, config.train.seed),
        lambda params: _validate(validation, predictions(params, "validation")),
        mesh,
        workdir,
        name_of=features.clip_id,
        loss_fn=aqa_losses,
    )
    like = {k: v for k, v in next(rows["test"].eval_batches(1)).items() if k != "_mask"}
    params = load_params(workdir, setup.abstract_params(head, like, mesh))
    return (lambda split: predictions(params, split)), params


def _train_jointly(
    head: head_lib.AQAHead,
    head_params: Any,
    config: Config,
    features: FrozenFeatures,
    validation: AQALabels,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> Callable[[str], AQAPredictions]:
    """Trains Video→EMG and head together, starting from both; returns predictions by split."""
    assert isinstance(features.model, nn.Module)
    model = head_lib.JointAQAModel(features.model, head)
    train = config.train.copy_and_resolve_references()
    train.update(config.joint)
    predict = jax.jit(predict_step(model))
    rate = features.rate * config.model.phase_samples

    def predictions(params: Any, split: str) -> AQAPredictions:
        batches = whole_clip_batches(features.splits[split], config.eval.batch_size)
        return predictions_lib.predict(predict, params, batches, features.rubric, rate, mesh)

    loop.train(
        model,
        train,
        lambda step: train_batches(
            features.splits["train"],
            Augmentation(**features.main.augment.to_dict()),
            train.batch_size,
            train.seed,
            start=step,
            threads=features.main.data.threads,
            field="config.joint.batch_size",
        ),
        lambda params: _validate(validation, predictions(params, "validation")),
        mesh,
        workdir,
        loss_fn=aqa_losses,
        start={"video2emg": features.params, "head": head_params},
        name_of=features.clip_id,
    )
    like = {
        k: v
        for k, v in next(whole_clip_batches(features.splits["test"], 1)).items()
        if k != "_mask"
    }
    params = load_params(workdir, setup.abstract_params(model, like, mesh))
    if features.main.data.views:
        forward = ForwardFunction(features.model, params["video2emg"], mesh)
        facts = {
            "dataset": features.main.data.name,
            "normalisation": features.main.data.normalisation,
            "simulated": features.dataset.simulated,
        }
        splits = {name: examples.drop_inputs(()) for name, examples in features.splits.items()}
        fit_ood_detector(forward, splits, features.main.eval.batch_size, facts).save(workdir)
    return lambda split: predictions(params, split)


def _validate(labels: AQALabels, predictions: AQAPredictions) -> dict[str, float]:
    scores = predictions_lib.score(labels, predictions, 0.5)
    return {name: scores[name] for name in ("skill", "srcc", "mae", "map", "boundary_ms")}


def _video2emg(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model, which is trained first if none is given."""
    source = video2emg_workdir(config, workdir)
    if config.video2emg:
        return source
    log(f"training the Video→EMG model into {source}")
    jobs.run(config.main, source)
    return source


def _check(config: Config, mesh: jax.sharding.Mesh) -> tuple[Graph, Rubric]:
    """Finds the mistakes of a config before any long work; returns its graph, also as tables."""
    if jax.process_count() > 1:
        raise UserError(
            "the assessment job runs in one process (it trains in minutes); only the "
            "main job can be spread over several"
        )
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
        raise UserError(
            f"config.published.system={config.published.system} needs a frozen "
            "Video→EMG model, so not config.emg_source=predicted"
        )
    if config.eval.clean and not config.eval.pose_noise:
        raise UserError("config.eval.clean repeats the test unless config.eval.pose_noise is True")
    for name in config.extra_inputs:
        choose("extra_inputs", name, vocabulary.INPUTS)
    for view in config.views:
        choose("views", view, tuple(config.main.data.views))
    if config.emg_source == "none" and not config.video and "pose" not in config.extra_inputs:
        raise UserError("config.video=False with config.emg_source=none leaves nothing to look at")
    for name in config.eval.hide:
        choose("eval.hide", name, vocabulary.INPUTS)
    if config.model.score == "errors" and not config.train.loss.error:
        raise UserError(
            "config.model.score=errors makes the score of errors, of which nothing is "
            "learned with config.train.loss.error=0"
        )
    if config.model.score == "relative" and config.emg_source == "predicted":
        raise UserError(
            "config.model.score=relative needs a frozen Video→EMG model, so not "
            "config.emg_source=predicted"
        )
    for field, size in (
        ("train", config.train.batch_size),
        ("joint", config.joint.batch_size),
        ("eval", config.eval.batch_size),
    ):
        mesh_lib.check_batch(mesh, size, f"config.{field}.batch_size")
    state_lib.optimiser(config.train)
    if config.video2emg:
        read_config(config.video2emg)
    return graph, Rubric.from_graph(graph)


def _score_only(config: Config) -> bool:
    """Whether nothing is learned of single errors."""
    return bool(config.published.system) or not config.train.loss.error


def _provenance(config: Config, features: FrozenFeatures) -> dict[str, Any]:
    return results.provenance(
        dataset=features.main.data.name,
        dataset_version=features.dataset.version,
        simulated=features.dataset.simulated,
        normalisation=features.main.data.normalisation,
        seed=config.train.seed,
        config_hash=hashlib.sha256(config.to_json(sort_keys=True).encode()).hexdigest()[:16],
        metrics=predictions_lib.METRICS,
        graph=features.rubric.version,
        emg_source=config.emg_source,
        published=config.published.to_dict(),
    )
