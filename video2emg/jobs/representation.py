"""The job that learns a representation of video, by any mix of objectives, and asks what it knows.

Which objectives is said by the weights of the loss; with none the encoder stays as it was drawn.
What is learned is frozen, and linear probes read it (`representation.probes`); `table` puts several
side by side.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import arrays_of, folder, write_arrays
from video2emg.data.augment import Augmentation
from video2emg.data.labels import Labels
from video2emg.data.pipeline import Examples, Window, eval_batches, train_batches
from video2emg.data.store import open_dataset
from video2emg.eval import results
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.representation import probes
from video2emg.representation.losses import representation_losses
from video2emg.representation.model import RepresentationModel, pool
from video2emg.representation.probes import ProbeTargets, WindowEmbeddings
from video2emg.run import setup
from video2emg.run.workdir import init_workdir, provenance
from video2emg.train import loop
from video2emg.train.checkpoint import load_params

FEATURES = "features.npz"
_SPLITS = ("train", "validation", "test")


def run(config: Config, workdir: str | Path) -> dict[str, Any]:
    """Runs (or resumes) one objective.

    Args:
      config: as of `configs/v2emg.py`, with the weights `contrastive`, `masked_emg`, `masked_pose`
        beside the others; `represent`, what the objectives need (`configs/tables/representations`);
        `train.same_action`, clips of one action side by side in a batch; `graph`, whose errors are
        asked about, none if empty.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, features.npz, results.json.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    jax.config.update("jax_threefry_partitionable", True)
    mesh = mesh_lib.make_mesh(**config.parallel)
    _check(config, mesh)
    init_workdir(workdir, config)
    finished = workdir / "results.json"
    if finished.exists():
        log(f"finished before; results are in {finished}")
        return results.read_results(finished)
    dataset = open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    splits, _ = setup.load_splits(config, dataset)
    model = build(config, splits["train"].window)
    like = {k: v for k, v in next(eval_batches(splits["train"], 1)).items() if k[0] != "_"}
    if learns(config):
        _train(model, config, splits, mesh, workdir)
        params = load_params(workdir, setup.abstract_params(model, like, mesh))
    else:
        log("no objective: the encoder as it was drawn")
        params = model.init(jax.random.key(config.train.seed), like, train=False)["params"]
    log("looking at all clips")
    look = jax.jit(functools.partial(_look, model), out_shardings=mesh_lib.replicated(mesh))
    seen = {
        name: _read(look, params, splits[name], config.eval.batch_size, mesh) for name in _SPLITS
    }
    clips = clips_of(splits, config.graph)
    save(workdir / FEATURES, {name: of[0] for name, of in seen.items()}, seen["test"][1], clips)
    features, windows, clips = read(workdir / FEATURES)
    answers = probes.fit_probes(features, clips, windows)
    found = {
        "provenance": provenance(config, dataset)
        | {"objective": config.train.loss.to_dict(), "metrics": probes.METRICS}
        | {"parameters": sum(x.size for x in jax.tree.leaves(params))},
        "test": probes.score(answers, clips["test"], clips["train"]),
    }
    results.write_results(finished, found)
    for name, value in found["test"].items():
        if math.isfinite(value):
            print(f"{name:<26} {value:+.3f}")
    log(f"results: {finished}")
    return found


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
        raise UserError("representations are learned by our model from its own weights: no "
                        "config.model.pretrained, no config.model.system, no LoRA")  # fmt: skip
    weights, spec = config.train.loss, config.representation
    stride = model.encoder.stride
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
        raise UserError(f"config.train.same_action={alike} does not divide "
                        f"config.train.batch_size={batch}")  # fmt: skip
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
        for host in eval_batches(splits["validation"], config.eval.batch_size):
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
            alike=config.train.same_action,
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
    for name in ("emg_mask", "pose_mask", "torque_mask", "load_mask"):
        batch[name] = batch[name] & real.reshape(-1, *[1] * (batch[name].ndim - 1))
    return batch


def _look(
    model: RepresentationModel, params: Any, batch: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """The mean token of each window, how many there were, and embeddings if there are any."""
    outputs, intermediates = model.apply({"params": params}, batch, train=False)  # pyright: ignore
    tokens, mask = jnp.asarray(intermediates["tokens"]), jnp.asarray(intermediates["token_mask"])
    seen = {"mean": pool(tokens, mask), "count": mask.sum(1)}
    if outputs.video is None:
        return seen
    measured = batch["emg_mask"].any((1, 2))
    return seen | {"video": outputs.video, "emg": outputs.emg, "measured": measured}


def _read(
    look: Any, params: Any, examples: Examples, size: int, mesh: jax.sharding.Mesh
) -> tuple[np.ndarray, WindowEmbeddings | None]:
    """The mean token of each clip over its windows, and the embeddings of its windows."""
    parts: list[dict[str, np.ndarray]] = []
    for host in eval_batches(examples, size):
        with jax.transfer_guard("allow"):
            seen = jax.device_get(look(params, mesh_lib.put_batch(mesh, host)))
        parts.append(
            {name: np.asarray(x)[host["_mask"]] for name, x in seen.items()}
            | {"clip": host["_index"][host["_mask"]]}
        )
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    total = np.zeros((len(examples), whole["mean"].shape[1]))
    count = np.zeros(len(examples))
    np.add.at(total, whole["clip"], whole["mean"] * whole["count"][:, None])
    np.add.at(count, whole["clip"], whole["count"])
    features = total / np.maximum(count, 1)[:, None]
    if "video" not in whole:
        return features, None
    known = whole["measured"]
    return features, WindowEmbeddings(
        whole["clip"][known], whole["video"][known], whole["emg"][known]
    )


def clips_of(splits: Mapping[str, Examples], graph: str) -> dict[str, ProbeTargets]:
    """What probes are asked of every clip; errors are those of the knowledge graph, if named."""
    labels = Labels(Rubric.of(load(graph)), 1.0, 1.0) if graph else None
    found = {}
    for name, examples in splits.items():
        clips = [examples.clip(i) for i in range(len(examples))]
        said = [{} if labels is None else labels(clip, 0.0) for clip in clips]
        found[name] = ProbeTargets(
            clip_id=np.array([clip.clip_id for clip in clips]),
            subject=np.array([clip.subject for clip in clips]),
            action=np.array([clip.action for clip in clips]),
            load=np.array([clip.load for clip in clips], np.float64),
            score=np.array([clip.score for clip in clips], np.float64),
            made=np.array([one.get("severity", np.zeros(0)) > 0 for one in said]),
        )
    return found


def save(
    path: Path,
    features: Mapping[str, np.ndarray],
    windows: WindowEmbeddings | None,
    clips: Mapping[str, ProbeTargets],
) -> None:
    """Writes what `read` returns."""
    arrays = {f"features/{name}": of for name, of in features.items()}
    for name, of in [*clips.items(), *([("windows", windows)] if windows else [])]:
        for field in dataclasses.fields(of):
            arrays[f"{name}/{field.name}"] = getattr(of, field.name)
    write_arrays(path, arrays)


def read(
    path: Path,
) -> tuple[dict[str, np.ndarray], WindowEmbeddings | None, dict[str, ProbeTargets]]:
    """Features [K, D] of every split, embeddings of the test windows or None, and the clips.

    Raises:
      UserError: there is no such file, or it is another one.
    """
    with arrays_of(path, "the features of a run") as parts:
        windows = WindowEmbeddings(**parts["windows"]) if "windows" in parts else None
        return parts["features"], windows, {name: ProbeTargets(**parts[name]) for name in _SPLITS}
