"""The training state: everything a run needs to continue, and nothing else."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models import finetune
from video2emg.models.blocks import SCANNED


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


def optimiser(config: Config) -> optax.GradientTransformation:
    """`config.optimiser` with warm-up, cosine decay and clipping.

    - `adamw` (Loshchilov & Hutter 2019): no decay on vectors and scalars.
    - `muon` (Jordan et al. 2024): orthogonalised momentum for every matrix, AdamW for the rest. It
      reaches in 500 steps what AdamW does not in several times as many (docs/choices.md).

    With `config.finetune`, only what it says is trained.

    Raises:
      UserError: another name, or a warm-up longer than the training.
    """
    if not 0 <= config.warmup_steps < config.steps:
        raise UserError(f"config.train.warmup_steps={config.warmup_steps} must be fewer than "
                        f"config.train.steps={config.steps}")  # fmt: skip
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.warmup_steps, config.steps
    )
    if config.optimiser == "adamw":
        rule = optax.adamw(
            schedule,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree_util.tree_map_with_path(
                lambda path, p: p.ndim - _stacked(path) > 1, params
            ),
        )
    elif config.optimiser == "muon":
        rule = optax.contrib.muon(
            schedule,
            weight_decay=config.weight_decay,
            # Vectors and embeddings want smaller steps than orthogonal matrices.
            adam_learning_rate=lambda step: 0.15 * schedule(step),
            muon_weight_dimension_numbers=_matrices,
        )
    else:
        raise UserError(f"config.train.optimiser: {config.optimiser!r} is not adamw or muon")
    tx = optax.chain(optax.clip_by_global_norm(config.clip), rule)
    return finetune.optimiser(tx, finetune.settings(config)) if "finetune" in config else tx


def _stacked(path: tuple[Any, ...]) -> int:
    """How many leading axes only count layers."""
    return sum(key.key == SCANNED for key in path)


def _matrices(params: Any) -> Any:
    """Which axes of each kernel are inputs and which outputs; None for what is not a matrix."""

    def axes(path: tuple[Any, ...], leaf: Any) -> optax.contrib.MuonDimensionNumbers | None:
        name, parent = path[-1].key, path[-2].key if len(path) > 1 else ""
        first = _stacked(path)
        ndim = leaf.ndim - first
        if name != "kernel" or ndim < 2:
            return None
        if ndim == 3 and parent in ("query", "key", "value"):  # [D, heads, D / heads]
            return optax.contrib.MuonDimensionNumbers(first, (first + 1, first + 2))
        return optax.contrib.MuonDimensionNumbers(tuple(range(first, leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(axes, params)


def create(
    model: finetune.Model,
    tx: optax.GradientTransformation,
    batch: dict[str, Any],
    seed: int,
    start: Mapping[str, Any] | None = None,
) -> TrainState:
    """A fresh state; traceable, so that its shapes can be known before any memory is used.

    Args:
      model: from `models.build`.
      tx: from `optimiser`.
      batch: arrays or shapes of one batch.
      seed: of initialisation and dropout.
      start: parameters of some of the model's children that are known already.
    """
    init_key, step_key = jax.random.split(jax.random.key(seed))
    zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in batch.items()}
    params = {**model.init(init_key, zeros, train=False)["params"], **(start or {})}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=params,
        opt_state=tx.init(params),
        rng=step_key,
    )
