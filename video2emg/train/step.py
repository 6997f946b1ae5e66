"""A training step and a prediction step, as pure functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from video2emg.core.batch import split_pose_only
from video2emg.core.config import Config
from video2emg.models.finetune import Model
from video2emg.train.losses import losses
from video2emg.train.state import TrainState

Batch = dict[str, jax.Array]
# Outputs, batch and `config.train.loss` → total loss and its parts by name.
LossFn = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]


def train_step(
    model: Model,
    tx: optax.GradientTransformation,
    config: Config,
    loss_fn: LossFn = losses,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns `step(state, batch) -> (state, metrics)`; `config` is `config.train`.

    Examples without video beside the batch (`core.batch.POSE_ONLY`) add their own loss.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        rng = jax.random.fold_in(state.rng, state.step)

        def forward(params: dict, part: Batch, rng: jax.Array) -> Any:
            outputs, _ = model.apply({"params": params}, part, train=True, rngs={"dropout": rng})  # pyright: ignore
            return outputs

        def predicted(params: dict, part: Batch, rng: jax.Array) -> Any:
            if config.accumulate == 1:
                return forward(params, part, rng)
            return _in_parts(forward, params, part, rng, config.accumulate)

        batch, pose_only = split_pose_only(batch)

        def compute_loss(params: dict) -> tuple[jax.Array, dict[str, jax.Array]]:
            loss, parts = loss_fn(predicted(params, batch, rng), batch, config.loss)
            if not pose_only:
                return loss, parts
            outputs = predicted(params, pose_only, jax.random.fold_in(rng, 1))
            added, more = loss_fn(outputs, pose_only, config.loss)
            return loss + added, parts | {f"pose_only_{name}": x for name, x in more.items()}

        (loss, parts), grads = jax.value_and_grad(compute_loss, has_aux=True)(state.params)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # A smaller decay at first, so that the average forgets the initialisation.
        decay = jnp.minimum(config.average_decay, (1 + state.step) / (10 + state.step))
        average = optax.incremental_update(params, state.average, 1 - decay)
        metrics = {f"loss_{name}": value for name, value in parts.items()}
        metrics |= {"loss": loss, "grad_norm": optax.global_norm(grads)}
        state = state.replace(
            step=state.step + 1, params=params, average=average, opt_state=opt_state
        )
        return state, metrics

    return step


def _in_parts(
    forward: Callable[[dict, Batch, jax.Array], Any],
    params: dict,
    batch: Batch,
    rng: jax.Array,
    parts: int,
) -> Any:
    """Outputs of a batch that is processed in `parts`, one after the other, to save memory.

    The activations of a part are computed again in the backward pass, and the gradients of the
    parts are summed. The loss is computed from the outputs of the whole batch, so it is exactly
    that of the batch; a mean of the losses of the parts would differ where losses are masked means.
    """

    def split(x: jax.Array) -> jax.Array:
        # Part k has the k-th share of each device's examples, so no example moves between devices.
        # No -1: windows of poses have videos of no camera.
        return x.reshape(x.shape[0] // parts, parts, *x.shape[1:]).swapaxes(0, 1)

    def join(x: jax.Array) -> jax.Array:
        return x.swapaxes(0, 1).reshape(x.shape[0] * x.shape[1], *x.shape[2:])

    def forward_part(part: tuple[Batch, jax.Array]) -> Any:
        return forward(params, *part)

    inputs = (jax.tree.map(split, batch), jax.random.split(rng, parts))
    return jax.tree.map(join, jax.lax.map(jax.checkpoint(forward_part), inputs))


def predict_step(model: Model) -> Callable[[dict, Batch], Any]:
    """Returns `predict(params, batch) -> outputs of the model`, without dropout."""

    def predict(params: dict, batch: Batch) -> Any:
        outputs, _ = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        return outputs

    return predict
