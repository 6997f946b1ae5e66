"""The assessment job, top to bottom: Video→EMG → evidence → head → test subjects → results."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from video2emg import experiment, vocabulary
from video2emg.annotations import baselines, log_odds_of, truth_of
from video2emg.checkpoint import load_params
from video2emg.config import Config
from video2emg.data.augment import Augmentation
from video2emg.data.pipeline import train_batches
from video2emg.errors import UserError
from video2emg.eval import judgement as judgement_lib
from video2emg.eval import quality_report, results
from video2emg.eval.judgement import Judgement, Truth
from video2emg.evidence import SOURCES, Bench, Rows, key_of, whole_clips
from video2emg.experiment import say
from video2emg.files import write_json
from video2emg.fkg.feedback import feedback
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.heads import head_of, judge_of
from video2emg.models import aqa
from video2emg.models.reference import judges
from video2emg.models.reference.flex import MODALITIES
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import loop
from video2emg.train import state as state_lib
from video2emg.train.quality_losses import quality_losses
from video2emg.train.step import predict_step

ACTIONS = ("given", "recognised")
JUDGE = "judge.json"  # what `predict` needs of a run beside its parameters
Said = dict[str, Judgement]


def run(config: Config, workdir: str | Path, bench: Bench | None = None) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/aqa.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, judgements.npz,
        feedback.json (docs/fkg.md) and results.json; in `video2emg` the Video→EMG run, if none is
        given; in `frozen` the head from which joint training starts.
      bench: of an earlier run, if it serves this one too (same `key_of(config)`).

    Returns:
      The results, as written.
    """
    workdir = Path(workdir).expanduser()
    jax.config.update("jax_threefry_partitionable", True)
    mesh = mesh_lib.make_mesh(**config.main.parallel)
    graph, rubric = _check(config, mesh)
    experiment.claim(workdir, config)
    finished = workdir / "results.json"
    if finished.exists():
        found = results.read_results(finished)
        print(quality_report.format_table(found))
        say(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return found
    if bench is None:
        bench = Bench(config, rubric, _video2emg(config, workdir), mesh)
    joint = config.emg_source == "predicted"
    if joint and not isinstance(bench.model, nn.Module):
        raise UserError(
            "config.emg_source=predicted trains Video→EMG too, which must then be without "
            "pretrained weights and LoRA; use predicted_frozen"
        )
    validation, test = truth_of(bench, "validation"), truth_of(bench, "test")
    log_odds = log_odds_of(bench)
    score_only = _score_only(config)
    head = judge_of(config, bench) if config.reference.system else head_of(
        config, bench.rubric, log_odds, bench.main
    )  # fmt: skip
    judge, params = _train(
        head, config, bench, validation, mesh, workdir / "frozen" if joint else workdir
    )
    if joint:
        assert isinstance(head, aqa.Assessor)
        judge = _train_jointly(head, params, config, bench, validation, mesh, workdir)

    say("judging the test subjects with the head that was best on validation")
    said = {"validation": judge("validation"), "test": judge("test")}
    quality_report.save(workdir / "judgements.npz", said)
    if not score_only:
        write_json(workdir / JUDGE, spoken(log_odds, validation, said["validation"]))
        write_json(workdir / "feedback.json", in_words(graph, bench, validation, said))
    examiner = quality_report.Examiner(validation, test, config.eval.bootstrap)
    found = {
        "provenance": _provenance(config, bench),
        "test": quality_report.evaluate(
            examiner, said, baselines(bench), len(test.subject), score_only
        ),
    }
    results.write_results(finished, found)
    print(quality_report.format_table(found))
    say(f"results: {finished}")
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
    benches: dict[str, Bench] = {}
    bench, groups, score_only, done = None, {}, set(), set()
    for n, override in enumerate(overrides):
        if collect and not (workdir / str(n) / "results.json").exists():
            say(f"variant {n + 1} of {len(overrides)} is not finished: {override}")
            continue
        override = dict(override)
        row = override.pop("row", "")
        variant = config.copy_and_resolve_references()
        variant.video2emg = str(source)
        variant.update_from_flattened_dict(override)
        key = key_of(variant)
        if key not in benches:
            benches[key] = Bench(variant, rubric, Path(variant.video2emg), mesh)
        bench = benches[key]
        say(f"variant {n + 1} of {len(overrides)}: {override}")
        run(variant, workdir / str(n), bench)
        name = row or ", ".join(
            f"{value}" if key == "emg_source" else f"{key}={value}"
            for key, value in override.items()
            if key != "train.seed"
        )
        said = quality_report.load(workdir / str(n) / "judgements.npz")
        groups.setdefault(name or "model", []).append(said)
        done.add(variant.train.seed)
        if _score_only(variant):
            score_only.add(name)
    if bench is None:
        raise UserError(f"{workdir}: no variant is finished")
    examiner = quality_report.Examiner(
        truth_of(bench, "validation"), truth_of(bench, "test"), config.eval.bootstrap
    )
    found = {
        "provenance": _provenance(config, bench) | {"seeds": sorted(done)},
        "test": quality_report.compare(examiner, groups, baselines(bench), score_only),
    }
    results.write_results(workdir / "results.json", found)
    print(quality_report.format_table(found))
    return found


def in_words(graph: Graph, bench: Bench, validation: Truth, said: Said) -> list[dict[str, Any]]:
    """What to tell the test subjects; errors count from the threshold that validation prefers."""
    threshold = judgement_lib.threshold_of(validation, said["validation"])
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
            test.extent[row],
            test.boundary[row],
            clip.end,
            threshold,
        )
        found.append(words.to_json())
    return found


def spoken(
    log_odds: Sequence[Sequence[float]], validation: Truth, said: Judgement
) -> dict[str, Any]:
    """`judge.json`: what it takes to use the head without its data; `said` is of validation."""
    return {
        "graph": validation.rubric.version,
        "actions": validation.rubric.actions,
        "log_odds": log_odds,
        "threshold": judgement_lib.threshold_of(validation, said),
    }


def _train(
    head: nn.Module,
    config: Config,
    bench: Bench,
    validation: Truth,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> tuple[Callable[[str], Judgement], Any]:
    """Trains a head on the answers of the frozen model; returns its judgements and parameters."""
    shown = {s: bench.shown(s, config.emg_source, config.train.seed) for s in bench.splits}
    relative = (config.reference.system or config.model.score) in ("core", "relative")
    rows = {split: Rows(f, shown["train"] if relative else None) for split, f in shown.items()}
    predict = jax.jit(predict_step(head))
    rate = bench.rate * config.model.phase_samples

    def said(params: Any, split: str) -> Judgement:
        votes = [
            judgement_lib.judge(
                predict,
                params,
                rows[split].eval_batches(config.eval.batch_size, vote),
                bench.rubric,
                rate,
                mesh,
            )
            for vote in range(config.model.exemplars if relative else 1)
        ]
        return judgement_lib.average(votes)

    loop.train(
        head,
        config.train,
        functools.partial(rows["train"].train_batches, config.train.batch_size, config.train.seed),
        lambda params: _validate(validation, said(params, "validation")),
        mesh,
        workdir,
        name_of=bench.name_of,
        loss_fn=quality_losses,
    )
    like = {k: v for k, v in next(rows["test"].eval_batches(1)).items() if k != "_mask"}
    params = load_params(workdir, experiment.abstract_params(head, like, mesh))
    return (lambda split: said(params, split)), params


def _train_jointly(
    head: aqa.Assessor,
    head_params: Any,
    config: Config,
    bench: Bench,
    validation: Truth,
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> Callable[[str], Judgement]:
    """Trains Video→EMG and head together, starting from both; returns their judgements."""
    assert isinstance(bench.model, nn.Module)
    model = aqa.JointAssessor(bench.model, head)
    train = config.train.copy_and_resolve_references()
    train.update(config.joint)
    predict = jax.jit(predict_step(model))
    rate = bench.rate * config.model.phase_samples

    def said(params: Any, split: str) -> Judgement:
        batches = whole_clips(bench.splits[split], config.eval.batch_size)
        return judgement_lib.judge(predict, params, batches, bench.rubric, rate, mesh)

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
        loss_fn=quality_losses,
        start={"video2emg": bench.params, "head": head_params},
        name_of=bench.name_of,
    )
    like = {k: v for k, v in next(whole_clips(bench.splits["test"], 1)).items() if k != "_mask"}
    params = load_params(workdir, experiment.abstract_params(model, like, mesh))
    return lambda split: said(params, split)


def _validate(truth: Truth, said: Judgement) -> dict[str, float]:
    found = judgement_lib.score(truth, said, 0.5)
    return {name: found[name] for name in ("skill", "srcc", "mae", "map", "boundary_ms")}


def source_of(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model."""
    return Path(config.video2emg).expanduser() if config.video2emg else workdir / "video2emg"


def _video2emg(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model, which is trained first if none is given."""
    source = source_of(config, workdir)
    if config.video2emg:
        return source
    say(f"training the Video→EMG model into {source}")
    experiment.run(config.main, source)
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

    choose("emg_source", config.emg_source, SOURCES)
    choose("model.score", config.model.score, aqa.SCORES)
    choose("model.action", config.model.action, ACTIONS)
    choose("reference.system", config.reference.system, ("", *judges.SYSTEMS))
    for modality in config.reference.modalities:
        choose("reference.modalities", modality, MODALITIES)
    if config.reference.system and config.emg_source == "predicted":
        raise UserError(f"config.reference.system={config.reference.system} needs a frozen "
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
        experiment.read_config(config.video2emg)
    return graph, Rubric.from_graph(graph)


def _score_only(config: Config) -> bool:
    """Whether nothing is learned of single errors."""
    return bool(config.reference.system) or not config.train.loss.error


def _provenance(config: Config, bench: Bench) -> dict[str, Any]:
    return results.provenance(
        dataset=bench.main.data.name,
        dataset_version=bench.dataset.version,
        simulated=bench.dataset.simulated,
        normalisation=bench.main.data.reference,
        seed=config.train.seed,
        config_hash=hashlib.sha256(config.to_json(sort_keys=True).encode()).hexdigest()[:16],
        metrics=judgement_lib.METRICS,
        graph=bench.rubric.version,
        emg_source=config.emg_source,
        reference=config.reference.to_dict(),
    )
