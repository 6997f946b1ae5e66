"""The training state: everything a run needs to continue, and nothing else."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax


@flax.struct.dataclass
class TrainState:
    """A pytree that is sharded, donated, saved and restored as a whole.

    The fields are arrays, or, in trees of the same form, their shapes or shardings.

    Attributes:
      step: [] int32, optimiser steps done.
      params: the model's parameters, float32.
      average: exponential moving average of `params`; what is evaluated.
      opt_state: of optax.
      rng: key; the randomness of step n is `fold_in(rng, n)`, so resuming needs no stream.
    """

    step: Any
    params: Any
    average: Any
    opt_state: Any
    rng: Any


def optimiser(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """AdamW with warm-up, cosine decay and clipping; no decay on vectors and scalars."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.warmup_steps, config.steps
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(
            schedule,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
        ),
    )


def create(
    model: nn.Module, tx: optax.GradientTransformation, batch: dict[str, Any], seed: int
) -> TrainState:
    """A fresh state; traceable, so that its shapes can be known before any memory is used.

    Args:
      model: from `models.build`.
      tx: from `optimiser`.
      batch: arrays or shapes of one batch.
      seed: of initialisation and dropout.
    """
    init_key, step_key = jax.random.split(jax.random.key(seed))
    zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in batch.items()}
    params = model.init(init_key, zeros, train=False)["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=params,
        opt_state=tx.init(params),
        rng=step_key,
    )
