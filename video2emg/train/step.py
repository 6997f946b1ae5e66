"""One optimisation step and one prediction, as pure functions of state and batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from video2emg.core.config import Config
from video2emg.models.finetune import Model
from video2emg.train.losses import losses
from video2emg.train.state import TrainState

Batch = dict[str, jax.Array]
# Outputs, batch and `config.train.loss` → total and parts.
LossFn = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]


def train_step(
    model: Model,
    tx: optax.GradientTransformation,
    config: Config,
    loss_fn: LossFn = losses,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns `step(state, batch) -> (state, metrics)`; `config` is `config.train`."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        rng = jax.random.fold_in(state.rng, state.step)

        def outputs_of(params: dict, part: Batch, rng: jax.Array) -> Any:
            outputs, _ = model.apply({"params": params}, part, train=True, rngs={"dropout": rng})  # pyright: ignore
            return outputs

        def loss_of(params: dict) -> tuple[jax.Array, dict[str, jax.Array]]:
            if config.accumulate == 1:
                outputs = outputs_of(params, batch, rng)
            else:
                outputs = _in_parts(outputs_of, params, batch, rng, config.accumulate)
            return loss_fn(outputs, batch, config.loss)

        (loss, parts), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # A short memory at first, or the average would remember the initialisation.
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
    outputs_of: Callable[[dict, Batch, jax.Array], Any],
    params: dict,
    batch: Batch,
    rng: jax.Array,
    parts: int,
) -> Any:
    """Outputs of a batch whose `parts` pass one after the other; only one is in memory at a time.

    What a part computes is forgotten and computed again for its gradient, which sums over the
    parts. The loss sees the whole batch, so that any loss, masked means included, is that of the
    large batch; averaging the losses of parts would not be.
    """

    def split(x: jax.Array) -> jax.Array:
        # Every device keeps its own examples: part k is each device's k-th share of them.
        return x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1)

    def join(x: jax.Array) -> jax.Array:
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])

    def one(part: tuple[Batch, jax.Array]) -> Any:
        return outputs_of(params, *part)

    keys = jax.random.split(rng, parts)
    return jax.tree.map(join, jax.lax.map(jax.checkpoint(one), (jax.tree.map(split, batch), keys)))


def predict_step(model: Model) -> Callable[[dict, Batch], Any]:
    """Returns `predict(params, batch) -> outputs of the model`, without dropout."""

    def predict(params: dict, batch: Batch) -> Any:
        outputs, _ = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        return outputs

    return predict
