"""The representation job: learns features of video by any mix of objectives, then probes them.

The weights of the loss say which objectives; with none the encoder keeps its initial weights. The
trained encoder is frozen, and linear probes read it (`representation.probes`). `compare` puts
several runs side by side.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from video2emg.core.batch import Window
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.store import open_dataset
from video2emg.data.train_stream import train_batches
from video2emg.eval import results
from video2emg.fkg.load import load
from video2emg.jobs import Options
from video2emg.models.build import token_rate
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.representation import features as features_lib
from video2emg.representation import figure, probes, report, trivial
from video2emg.representation.losses import representation_losses
from video2emg.representation.model import RepresentationModel
from video2emg.representation.probes import ProbePredictions, ProbeTargets
from video2emg.run import setup
from video2emg.run.tables import RESULTS, write_table
from video2emg.run.workdir import init_workdir, provenance
from video2emg.train import loop
from video2emg.train.checkpoint import load_params


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs (or resumes) one objective.

    Args:
      config: as of `configs/v2emg.py`, with the weights `contrastive`, `masked_emg`, `masked_pose`
        beside the others; `representation`, settings of the objectives
        (`configs/tables/representations`); `train.same_action`, clips of one action side by side in
        a batch; `graph`, whose errors are probed, none if empty.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, features.npz, results.json.
      options: nothing of it is used.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    mesh = mesh_lib.make_mesh(**config.parallel)
    _check(config, mesh)
    init_workdir(workdir, config)
    finished = workdir / RESULTS
    if finished.exists():
        log(f"finished before; results are in {finished}")
        return results.read_results(finished)
    dataset = open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    splits, _ = setup.load_splits(config, dataset, cut=True)
    model = build(config, splits["train"].window)
    example = {k: v for k, v in next(eval_batches(splits["train"], 1)).items() if k[0] != "_"}
    if learns(config):
        _train(model, config, splits, mesh, workdir)
        params = load_params(workdir, setup.abstract_params(model, example, mesh))
    else:
        log("no objective: the encoder keeps its initial weights")
        params = model.init(jax.random.key(config.train.seed), example, train=False)["params"]
    log("encoding all clips")
    encode = features_lib.encoder(model, mesh)
    encoded = {
        split: features_lib.of_split(encode, params, splits[split], config.eval.batch_size, mesh)
        for split in features_lib.SPLITS
    }
    path = workdir / features_lib.FILE
    features_lib.save(
        path,
        {split: features for split, (features, _) in encoded.items()},
        encoded["test"][1],
        features_lib.clip_targets(splits, config.graph),
    )
    features, windows, clips = features_lib.read(path)
    answers = probes.fit_probes(features, clips, windows)
    outcome = {
        "provenance": provenance(config, dataset)
        | {"objective": config.train.loss.to_dict(), "metrics": probes.METRICS}
        | {"parameters": sum(x.size for x in jax.tree.leaves(params))},
        "test": probes.score(answers, clips["test"], clips["train"]),
    }
    results.write_results(finished, outcome)
    for name, value in outcome["test"].items():
        if math.isfinite(value):
            print(f"{name:<26} {value:+.3f}")
    log(f"results: {finished}")
    return outcome


def summarise(runs: Sequence[Any], config: Config, workdir: Path) -> dict[str, Any]:
    """The table of `compare`: what each representation knows, beside what is trivial to know."""
    answers: dict[str, list[ProbePredictions]] = {}
    clips: dict[str, ProbeTargets] = {}
    for run in runs:
        features, windows, own = features_lib.read(run.workdir / features_lib.FILE)
        if clips and own["test"].clip_id.tolist() != clips["test"].clip_id.tolist():
            raise UserError(f"{run.workdir}: tested on other clips than the rows before it")
        clips = own
        answers.setdefault(run.row, []).append(probes.fit_probes(features, clips, windows))
    log("probing what is trivial to know")
    path = workdir / "trivial.npz"
    if not path.exists():
        data = runs[0].config.data
        dataset = open_dataset(data.name, data.dir, data.manual_dir)
        trivial.save(path, setup.load_splits(runs[0].config, dataset, cut=True)[0])
    answers |= {name: [row] for name, row in trivial.rows(path, clips).items()}
    provenances = {run.row: run.results["provenance"] for run in runs}
    hashes = "".join(facts["config_hash"] for facts in provenances.values())
    outcome = {
        "provenance": results.common_provenance(provenances)
        | {
            "config_hash": hashlib.sha256(hashes.encode()).hexdigest()[:16],
            "seeds": sorted({run.seed for run in runs}),
            "metrics": probes.METRICS,
        },
        "test": report.compare(
            answers, clips["test"], clips["train"], config.baseline, config.bootstrap
        ),
    }
    for name, facts in provenances.items():
        outcome["test"]["rows"][name]["objective"] = facts["objective"]
    return write_table(outcome, workdir, report.format_table, figure.representations)


def learns(config: Config) -> bool:
    """Whether there is anything to minimise."""
    return any(weight > 0 for weight in config.train.loss.values())


def build(config: Config, window: Window) -> RepresentationModel:
    """The Video→EMG model of `config.model`, with what the objectives of `config.train.loss` need.

    Raises:
      UserError: weights that are not the model's own to train, or a mistake of `config.model`.
    """
    model = setup.build_model(config, window)
    if not isinstance(model, nn.Module) or "system" in config.model:
        raise UserError(
            "representations are learned by our model from its own weights: no "
            "config.model.pretrained, no config.model.system, no LoRA"
        )
    weights, spec = config.train.loss, config.representation
    stride = round(window.frame_rate / token_rate(config.model, window.frame_rate))
    masked = weights.masked_emg > 0 or weights.masked_pose > 0
    return RepresentationModel(
        model=model,
        dim=config.model.dim,
        heads=config.model.heads,
        layers=spec.layers,
        samples=round(stride * window.emg_rate / window.frame_rate),
        frames=stride,
        token_s=stride / window.frame_rate,
        joints=len(window.joints) if config.model.encoder.name != "pose" else 0,
        embedding_dim=spec.embedding_dim if weights.contrastive > 0 else 0,
        mask_span_s=spec.mask_span_s if masked else 0.0,
        mask_share=spec.mask_share,
        dropout=config.model.dropout,
        dtype=jnp.dtype(config.model.dtype),
    )


def _check(config: Config, mesh: jax.sharding.Mesh) -> None:
    """Finds the mistakes of a config before a dataset is built or a folder made."""
    setup.check(config, mesh)
    build(config, setup.window_from_config(config))
    if jax.process_count() > 1:
        raise UserError("representations are learned in one process, on any number of devices")
    alike, batch = config.train.same_action, config.train.batch_size
    if alike < 1 or batch % alike:
        raise UserError(
            f"config.train.same_action={alike} does not divide config.train.batch_size={batch}"
        )
    share = config.representation.mask_share
    if not 0 < share < 1:
        raise UserError(f"config.representation.mask_share={share} is not between 0 and 1")
    if config.graph:
        load(config.graph)


def _train(
    model: RepresentationModel,
    config: Config,
    splits: Mapping[str, Examples],
    mesh: jax.sharding.Mesh,
    workdir: Path,
) -> None:
    """Minimises the objective; leaves the parameters that are best by it on validation people."""

    @jax.jit
    def loss_of(params: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        outputs, _ = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        total, parts = representation_losses(outputs, batch, config.train.loss)
        return {"loss": total} | parts

    def validate(params: Any) -> dict[str, float]:
        batches = []
        clips, stride = splits["validation"], config.data.seconds
        for host in eval_batches(clips, config.eval.batch_size, stride=stride):
            batch = mesh_lib.put_batch(mesh, without_padding(host))
            with jax.transfer_guard("allow"):
                batches.append(jax.device_get(loss_of(params, batch)))
        means = {name: float(np.mean([b[name] for b in batches])) for name in batches[0]}
        # The loop keeps what has most skill.
        return {"skill": -means["loss"]} | means

    loop.train(
        model,  # pyright: ignore[reportArgumentType]
        config.train,
        lambda step: train_batches(
            splits["train"],
            Augmentation(**config.augment.to_dict()),
            config.train.batch_size,
            config.train.seed,
            start=step,
            threads=config.data.threads,
            same_action=config.train.same_action,
        ),
        validate,
        mesh,
        workdir,
        loss_fn=representation_losses,
        name_of=lambda index: splits["train"].clip(index).clip_id,
    )


def without_padding(host: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A batch of `eval_batches` in which padding has no targets."""
    real = host["_mask"]
    batch = {name: x for name, x in host.items() if name[0] != "_"}
    for field in ("emg", "pose", "true_pose", "torque", "load", "held"):
        name = f"{field}_mask"
        batch[name] = batch[name] & real.reshape(-1, *[1] * (batch[name].ndim - 1))
    return batch
