"""Features of a frozen encoder, as one representation run keeps them for the probes."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from video2emg.aqa.head import mean_where
from video2emg.core.files import arrays_of, write_arrays
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.labels import Labels
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.parallel import mesh as mesh_lib
from video2emg.representation.model import RepresentationModel
from video2emg.representation.probes import ProbeTargets, WindowEmbeddings

FILE = "features.npz"
SPLITS = ("train", "validation", "test")


def encoder(model: RepresentationModel, mesh: jax.sharding.Mesh) -> Callable[[Any, Any], Any]:
    """Compiled (params, batch) → mean token of each window, token count, embeddings if any."""

    def encode(params: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        outputs, intermediates = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        tokens = jnp.asarray(intermediates["tokens"])
        mask = jnp.asarray(intermediates["token_mask"])
        features = {"mean": mean_where(tokens, mask), "count": mask.sum(1)}
        if outputs.video is None:
            return features
        measured = batch["emg_mask"].any((1, 2))
        return features | {"video": outputs.video, "emg": outputs.emg, "measured": measured}

    return jax.jit(encode, out_shardings=mesh_lib.replicated(mesh))


def of_split(
    encode: Callable[[Any, Any], Any],
    params: Any,
    examples: Examples,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> tuple[np.ndarray, WindowEmbeddings | None]:
    """The mean token of each clip over its windows [K, D], and the embeddings of its windows."""
    parts: list[dict[str, np.ndarray]] = []
    for batch in eval_batches(examples, batch_size, stride=examples.window.seconds):
        with jax.transfer_guard("allow"):
            encoded = jax.device_get(encode(params, mesh_lib.put_batch(mesh, batch)))
        parts.append(
            {name: np.asarray(x)[batch["_mask"]] for name, x in encoded.items()}
            | {"clip": batch["_index"][batch["_mask"]]}
        )
    windows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    total = np.zeros((len(examples), windows["mean"].shape[1]))
    count = np.zeros(len(examples))
    np.add.at(total, windows["clip"], windows["mean"] * windows["count"][:, None])
    np.add.at(count, windows["clip"], windows["count"])
    features = total / np.maximum(count, 1)[:, None]
    if "video" not in windows:
        return features, None
    known = windows["measured"]
    return features, WindowEmbeddings(
        windows["clip"][known], windows["video"][known], windows["emg"][known]
    )


def clip_targets(splits: Mapping[str, Examples], graph: str) -> dict[str, ProbeTargets]:
    """What the probes predict of every clip; its errors if `graph` names a knowledge graph."""
    labels = Labels(Rubric.from_graph(load(graph)), 1.0, 1.0) if graph else None
    targets = {}
    for name, examples in splits.items():
        clips = [examples.clip(i) for i in range(len(examples))]
        annotated = [{} if labels is None else labels(clip, 0.0) for clip in clips]
        targets[name] = ProbeTargets(
            clip_id=np.array([clip.clip_id for clip in clips]),
            subject=np.array([clip.subject for clip in clips]),
            action=np.array([clip.action for clip in clips]),
            load=np.array([clip.load for clip in clips], np.float64),
            score=np.array([clip.score for clip in clips], np.float64),
            made=np.array([label.get("severity", np.zeros(0)) > 0 for label in annotated]),
        )
    return targets


def save(
    path: Path,
    features: Mapping[str, np.ndarray],
    windows: WindowEmbeddings | None,
    clips: Mapping[str, ProbeTargets],
) -> None:
    """Writes what `read` returns."""
    arrays = {f"features/{name}": value for name, value in features.items()}
    for name, record in [*clips.items(), *([("windows", windows)] if windows else [])]:
        for field in dataclasses.fields(record):
            arrays[f"{name}/{field.name}"] = getattr(record, field.name)
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
        return parts["features"], windows, {name: ProbeTargets(**parts[name]) for name in SPLITS}
