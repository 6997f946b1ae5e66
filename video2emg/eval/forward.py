"""One look of a Video→EMG model at a batch of windows, and the survey of its own data."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.eval.evaluate import evenly
from video2emg.eval.intervals import Samples, tabulate
from video2emg.eval.out_of_domain import LEVEL, EncoderFeatures, OODDetector
from video2emg.models.finetune import Model
from video2emg.models.outputs import aqa_inputs
from video2emg.parallel import mesh as mesh_lib

MOST = 400  # clips of a split that are surveyed, evenly spread

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ModelOutputs:
    """What the model says of K windows.

    Attributes:
      emg: [K, N, M].
      spread: [K, N, M] mean absolute error to be expected, or None.
      look: for the domain.
      evidence: what an assessment head reads.
      pose: [K, T, J, 3] m, or None.
      load: [K] kg, or None.
    """

    emg: np.ndarray
    predicted_mae: np.ndarray | None
    look: EncoderFeatures
    evidence: Mapping[str, np.ndarray]
    pose: np.ndarray | None
    load: np.ndarray | None


class ForwardFunction:
    """A trained model, compiled once for each shape of batch."""

    def __init__(self, model: Model, params: Any, mesh: jax.sharding.Mesh) -> None:
        """Keeps the model and its parameters."""
        self._model, self._params, self._mesh = model, params, mesh
        self._look = jax.jit(self._look_at)

    def __call__(self, batch: Batch) -> ModelOutputs:
        """Looks at a batch of `core.batch.FIELDS`'s fields; a multiple of the devices."""
        inputs = {name: np.asarray(value) for name, value in batch.items() if name != "_mask"}
        found = self._look(self._params, mesh_lib.put_batch(self._mesh, inputs))
        with jax.transfer_guard("allow"):
            found = jax.tree.map(np.asarray, jax.device_get(found))
        look = EncoderFeatures(
            found["feature"], found["motion"], np.asarray(inputs["video_mask"].any(-1))
        )
        load = None if found["load"] is None else np.expm1(found["load"])
        return ModelOutputs(
            found["emg"], found["predicted_mae"], look, found["evidence"], found["pose"], load
        )

    def _look_at(self, params: Any, batch: dict[str, jax.Array]) -> dict[str, Any]:
        outputs, tensors = self._model.apply({"params": params}, batch, train=False)  # pyright: ignore
        video, mask = batch["video"], batch["video_mask"]
        b, v = mask.shape[:2]
        frames = (
            tensors["frames"].astype(jnp.float32).reshape(b, v, -1, tensors["frames"].shape[-1])
        )
        seen = tensors["token_mask"].reshape(b, v, -1, 1).astype(jnp.float32)
        count = jnp.maximum(seen.sum(2), 1.0)
        mean = (frames * seen).sum(2) / count
        spread = jnp.sqrt((((frames - mean[:, :, None]) ** 2) * seen).sum(2) / count + 1e-12)
        both = (mask[:, :, 1:] & mask[:, :, :-1]).astype(jnp.float32)
        change = jnp.abs(jnp.diff(video.astype(jnp.float32), axis=2)).mean((3, 4, 5)) / 255
        motion = (change * both).sum(2) / jnp.maximum(both.sum(2), 1.0)
        return {
            "emg": outputs.emg,
            "predicted_mae": outputs.predicted_mae,
            "feature": jnp.concatenate([mean, spread], -1),
            "motion": motion,
            "evidence": aqa_inputs(outputs, tensors, batch),
            "pose": outputs.pose,
            "load": outputs.load,
        }


def fit_ood_detector(
    watcher: ForwardFunction, splits: Mapping[str, Examples], batch: int, about: Mapping[str, Any]
) -> OODDetector:
    """Looks at a run's own clips, see `domain`.

    Args:
      watcher: the trained model.
      splits: `train` and `validation`.
      batch: windows at a time.
      about: what to remember of the run beside.
    """
    muscles: dict[str, dict[str, None]] = collections.defaultdict(dict)
    looks, actions = {}, {}
    people: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = []
    spread = False
    for split in ("train", "validation"):
        examples = splits[split]
        chosen = evenly(len(examples), MOST)
        parts, labels = [], []
        for host in eval_batches(examples, batch, clips=chosen):
            seen, real = watcher(host), host["_mask"]
            parts.append(EncoderFeatures(*(x[real] for x in dataclasses.astuple(seen.look))))
            person = np.zeros(len(real), np.int32)
            for row in np.flatnonzero(real):
                clip = examples.clip(int(host["index"][row]))
                person[row] = people.setdefault(clip.subject, len(people))
                muscles[clip.action].update(dict.fromkeys(clip.muscles))
                labels.append(clip.action)
            if split == "validation":
                known = host["emg_mask"] & real[:, None, None]
                width = 1.0 if seen.predicted_mae is None else seen.predicted_mae[known]
                error = (host["emg"][known] - seen.emg[known]) / width
                spread = seen.predicted_mae is not None
                columns.append(
                    (
                        seen.emg[known],
                        error,
                        np.broadcast_to(host["muscle"][:, None], known.shape)[known],
                        np.broadcast_to(person[:, None, None], known.shape)[known],
                    )
                )
        looks[split], actions[split] = EncoderFeatures.join(parts), labels
    names = sorted(muscles)
    window = splits["train"].window
    return OODDetector.fit(
        looks["train"],
        np.array([names.index(a) for a in actions["train"]], np.int32),
        looks["validation"],
        np.array([names.index(a) for a in actions["validation"]], np.int32),
        tabulate(Samples(*(np.concatenate(parts) for parts in zip(*columns, strict=True))), LEVEL),
        dict(about)
        | {
            "predicted_mae": spread,
            "joints": window.joints,
            "dofs": window.dofs,
            "muscles": {name: list(muscles[name]) for name in names},
        },
    )
