"""A Video→EMG model as a compiled function of windows, and its out-of-domain detector."""

import collections
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.eval.evaluate import evenly
from video2emg.eval.intervals import Samples, tabulate
from video2emg.eval.out_of_domain import LEVEL, POSE_MARGIN, EncoderFeatures, OODDetector
from video2emg.models.finetune import Model
from video2emg.models.outputs import aqa_inputs
from video2emg.parallel import mesh as mesh_lib

_GRID = 8  # cells on each side of a picture, in which motion is measured
MAX_CLIPS = 400  # of a split that the detector is fitted to, evenly spread

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ModelOutputs:
    """Outputs of a Video→EMG model for K windows.

    Attributes:
      emg: [K, N, M].
      predicted_mae: [K, N, M] predicted mean absolute error, or None.
      encoder_features: for the out-of-domain detector.
      aqa_inputs: inputs of an assessment head.
      pose: [K, T, J, 3] m, or None.
      torque: [K, N, D] N·m, by the mechanics in the model, of `vocabulary.DOFS`; None without.
      load: [K] kg, or None.
    """

    emg: np.ndarray
    predicted_mae: np.ndarray | None
    encoder_features: EncoderFeatures
    aqa_inputs: Mapping[str, np.ndarray]
    pose: np.ndarray | None
    torque: np.ndarray | None
    load: np.ndarray | None


class ForwardFunction:
    """A trained model, compiled once for each shape of batch."""

    def __init__(self, model: Model, params: Any, mesh: jax.sharding.Mesh) -> None:
        """Keeps the model and its parameters."""
        self._model, self._params, self._mesh = model, params, mesh
        self._compiled = jax.jit(self._forward)

    def __call__(self, batch: Batch) -> ModelOutputs:
        """Applies the model to a batch.

        Args:
          batch: fields of `core.batch.FIELDS`; as many windows as a multiple of
            the devices.
        """
        inputs = {name: np.asarray(value) for name, value in batch.items() if name != "_mask"}
        outputs = self._compiled(self._params, mesh_lib.put_batch(self._mesh, inputs))
        with jax.transfer_guard("allow"):
            outputs = jax.tree.map(np.asarray, jax.device_get(outputs))
        return ModelOutputs(
            emg=outputs["emg"],
            predicted_mae=outputs["predicted_mae"],
            encoder_features=EncoderFeatures(
                outputs["feature"], outputs["motion"], outputs["recorded"]
            ),
            aqa_inputs=outputs["aqa_inputs"],
            pose=outputs["pose"],
            torque=outputs["torque"],
            load=None if outputs["load"] is None else np.expm1(outputs["load"]),
        )

    def _forward(self, params: Any, batch: dict[str, jax.Array]) -> dict[str, Any]:
        outputs, tensors = self._model.apply({"params": params}, batch, train=False)  # pyright: ignore
        frames, known = tensors["frames"].astype(jnp.float32), tensors["token_mask"]
        b, v = batch["video_mask"].shape[:2]
        if v:
            motion, recorded = _motion(batch["video"], batch["video_mask"]), batch["video_mask"]
        else:  # the pose takes the place of a single view; both sides of the body are averaged
            frames = frames.reshape(*frames.shape[:2], 2, -1).mean(2)
            motion = _speed(batch["pose"], batch["pose_mask"])[:, None]
            recorded, v = known[:, None], 1
        frames = frames.reshape(b, v, -1, frames.shape[-1])
        weight = known.reshape(b, v, -1, 1).astype(jnp.float32)
        count = jnp.maximum(weight.sum(2), 1.0)
        mean = (frames * weight).sum(2) / count
        variance = (((frames - mean[:, :, None]) ** 2) * weight).sum(2) / count
        return {
            "emg": outputs.emg,
            "predicted_mae": outputs.predicted_mae,
            "feature": jnp.concatenate([mean, jnp.sqrt(variance + 1e-12)], -1),
            "motion": motion,
            "recorded": recorded.any(-1),
            "aqa_inputs": aqa_inputs(outputs, tensors, batch),
            "pose": outputs.pose,
            "torque": tensors.get("torque"),
            "load": outputs.load,
        }


def _motion(video: jax.Array, mask: jax.Array) -> jax.Array:
    """[B, V] mean absolute difference from the mean picture of the window, 1 is full brightness.

    Of a grid of cells, in which the noise of a camera averages out: noise is no motion.
    """
    b, v, t, size, _, colours = video.shape
    grid = math.gcd(size, _GRID)
    side = size // grid  # px of a cell
    cells = video.astype(jnp.float32).reshape(b, v, t, grid, side, grid, side, colours)
    cells = cells.mean((4, 6)).reshape(b, v, t, -1)
    weight = mask[..., None].astype(jnp.float32)
    weight = weight / jnp.maximum(weight.sum(2, keepdims=True), 1.0)
    mean = (cells * weight).sum(2, keepdims=True)
    return (jnp.abs(cells - mean) * weight).sum(2).mean(-1) / 255


def _speed(pose: jax.Array, mask: jax.Array) -> jax.Array:
    """[B] mean change of the known joints from frame to frame, m."""
    both = (mask[:, 1:] & mask[:, :-1]).astype(jnp.float32)
    change = jnp.linalg.norm(jnp.diff(pose, axis=1), axis=-1)
    return (change * both).sum((1, 2)) / jnp.maximum(both.sum((1, 2)), 1.0)


def fit_ood_detector(
    forward: ForwardFunction, splits: Mapping[str, Examples], batch: int, about: Mapping[str, Any]
) -> OODDetector:
    """Fits the detector to the run's own training and validation clips.

    Args:
      forward: the trained model.
      splits: `train` and `validation`.
      batch: windows at a time.
      about: facts of the run: `dataset`, `normalisation`, `simulated`.
    """
    people: dict[str, int] = {}
    muscles: dict[str, dict[str, None]] = collections.defaultdict(dict)
    features: dict[str, EncoderFeatures] = {}
    actions: dict[str, list[str]] = {}
    samples: list[Samples] = []
    has_mae = False
    for split in ("train", "validation"):
        examples = splits[split]
        parts, actions[split] = [], []
        chosen = evenly(len(examples), MAX_CLIPS)
        for host in eval_batches(examples, batch, clips=chosen, stride=examples.window.seconds):
            outputs, real = forward(host), host["_mask"]
            parts.append(outputs.encoder_features.select(real))
            person = np.zeros(len(real), np.int32)
            for row in np.flatnonzero(real):
                clip = examples.clip(int(host["index"][row]))
                person[row] = people.setdefault(clip.subject, len(people))
                muscles[clip.action].update(dict.fromkeys(clip.muscles))
                actions[split].append(clip.action)
            if split == "validation":
                samples.append(_errors(host, outputs, person))
                has_mae = outputs.predicted_mae is not None
        features[split] = EncoderFeatures.join(parts)
    names = sorted(muscles)
    train_action, validation_action = (
        np.array([names.index(action) for action in actions[split]], np.int32)
        for split in ("train", "validation")
    )
    window = splits["train"].window
    return OODDetector.fit(
        features["train"],
        train_action,
        features["validation"],
        validation_action,
        tabulate(Samples.join(samples), LEVEL),
        dict(about)
        | {
            "predicted_mae": has_mae,
            "joints": window.joints,
            "dofs": window.dofs,
            "muscles": {name: list(muscles[name]) for name in names},
        },
        margin=1.0 if window.views else POSE_MARGIN,
    )


def _errors(host: Batch, outputs: ModelOutputs, person: np.ndarray) -> Samples:
    """Errors of one batch, as multiples of the predicted mean absolute error if there is one."""
    known = host["emg_mask"] & host["_mask"][:, None, None]
    mae = 1.0 if outputs.predicted_mae is None else outputs.predicted_mae[known]
    return Samples(
        predicted=outputs.emg[known],
        error=(host["emg"][known] - outputs.emg[known]) / mae,
        muscle=np.broadcast_to(host["muscle"][:, None], known.shape)[known],
        person=np.broadcast_to(person[:, None, None], known.shape)[known],
    )
