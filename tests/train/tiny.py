"""A run that trains in a second: a small model of a few clips, with the real loop and pipeline.

One of its metrics depends on the order of the clips in the batch, so equal `metrics.jsonl` means
equal order of the data.
"""

import json
import pathlib
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from configs import v2emg
from tests.conftest import make_clip
from video2emg.core import emg, vocabulary
from video2emg.core.batch import Window
from video2emg.data.augment import Augmentation
from video2emg.data.examples import Examples
from video2emg.data.train_stream import train_batches
from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import loop

CLIPS = 12
WINDOW = Window(
    seconds=1.0,
    frame_rate=5.0,
    emg_rate=10.0,
    size=8,
    views=("front",),
    channels=2,
    joints=vocabulary.FLEX_21,
    dofs=("left_knee_flexion", "right_knee_flexion"),
)


class Linear(nn.Module):
    """Mean brightness of each frame → EMG, with dropout."""

    @nn.compact
    def __call__(self, batch, *, train):
        x = batch["video"].astype(jnp.float32).mean((1, 3, 4, 5)) / 255
        x = nn.Dropout(0.1, deterministic=not train)(nn.tanh(nn.Dense(16)(x)))
        emg = nn.Dense(20)(x).reshape(len(x), 10, 2)
        return Outputs(emg=emg), {}


def loss(outputs, batch, weights):
    error = jnp.where(batch["emg_mask"], outputs.emg - batch["emg"], 0.0)
    value = (error**2).sum() / jnp.maximum(batch["emg_mask"].sum(), 1)
    clips = batch["index"]
    return weights.emg * value, {"order": (clips * (1 + jnp.arange(len(clips)))).sum() * 1.0}


def config(**changes) -> Any:
    config = v2emg.get_config("debug").train
    config.update(steps=12, warmup_steps=1, optimiser="adamw", weight_decay=0.01)
    config.update(average_decay=0.9, eval_every=4, save_every=5, log_every=3, patience_s=60.0)
    config.loss.emg = 1.0
    config.update(changes)
    return config


def clips() -> list:
    return [make_clip(i, size=8, fps=5.0, views=("front",), emg_rate=200.0) for i in range(CLIPS)]


def batches(step: int, rows=None, batch: int = 4):
    examples = Examples(clips(), WINDOW, emg.Chain(), emg.Normalisation("mvc"), 2**26)
    augmentation = Augmentation(time=0.2)
    return train_batches(examples, augmentation, batch, 0, rows, step, threads=2)


def one_device() -> Mesh:
    return Mesh(np.array(jax.devices()[:1]).reshape(1, 1), mesh_lib.AXES)


def validate(params) -> dict[str, float]:
    """A score that goes up and down, so that some validations are the best so far."""
    total = sum(float(np.abs(x).sum()) for x in jax.tree.leaves(jax.device_get(params)))
    return {"skill": float(np.sin(40 * total))}


def run(
    workdir: pathlib.Path,
    data=batches,
    check=validate,
    mesh: Mesh | None = None,
    profile: bool = False,
    **changes,
) -> None:
    workdir.mkdir(exist_ok=True)
    loop.train(
        Linear(),
        config(**changes),
        data,
        check,
        mesh or one_device(),
        workdir,
        loss_fn=loss,
        name_of=lambda i: f"clip{i}",
        profile=profile,
    )


def child(workdir: str, changes: dict[str, Any], stderr: str) -> None:
    """`run` in a separate process, with the exit status of `launch.py`."""
    from video2emg.core.errors import Interrupted

    with open(stderr, "a", buffering=1) as sys.stderr:
        try:
            run(pathlib.Path(workdir), **changes)
        except Interrupted as error:
            print(error, file=sys.stderr)
            sys.exit(75)


def arrays(workdir: pathlib.Path, step: int) -> list[np.ndarray]:
    """The leaves of a saved state, in order."""
    from orbax.checkpoint import v1 as ocp

    state = ocp.load_checkpointables(workdir / "checkpoints" / str(step))["state"]
    return [plain(x) for x in jax.tree.leaves(state)]


def plain(x: jax.Array) -> np.ndarray:
    """An array, or the data of a key."""
    key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if key else x)


def lines(workdir: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
