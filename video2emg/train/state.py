"""The training state, its initialisation, and the optimiser."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from video2emg.core.batch import split_pose_only
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models import finetune
from video2emg.models.blocks import SCANNED


@flax.struct.dataclass
class TrainState:
    """Everything that a run needs to continue; sharded, donated, saved and restored as a whole.

    The fields are pytrees of arrays, or of their shapes or shardings.

    Attributes:
      step: [] int32, number of steps done.
      params: the model's parameters, float32.
      average: exponential moving average of `params`, which is evaluated.
      opt_state: of optax.
      rng: key; step n uses `fold_in(rng, n)`.
    """

    step: Any
    params: Any
    average: Any
    opt_state: Any
    rng: Any


def optimiser(config: Config) -> optax.GradientTransformation:
    """The optimiser `config.optimiser` with warm-up, cosine decay and gradient clipping.

    - `adamw` (Loshchilov & Hutter 2019), without weight decay on vectors and scalars.
    - `muon` (Jordan et al. 2024): orthogonalised momentum for every matrix, AdamW for the rest.
      After 500 steps it is better than AdamW after several times as many (docs/choices.md).

    With `config.finetune`, only the parameters that it selects are trained.

    Raises:
      UserError: an unknown optimiser, or a warm-up longer than the training.
    """
    if not 0 <= config.warmup_steps < config.steps:
        raise UserError(
            f"config.train.warmup_steps={config.warmup_steps} must be fewer than "
            f"config.train.steps={config.steps}"
        )
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
            # Vectors and embeddings need smaller steps than orthogonal matrices.
            adam_learning_rate=lambda step: 0.15 * schedule(step),
            muon_weight_dimension_numbers=_matrices,
        )
    else:
        raise UserError(f"config.train.optimiser: {config.optimiser!r} is not adamw or muon")
    tx = optax.chain(optax.clip_by_global_norm(config.clip), rule)
    return finetune.optimiser(tx, finetune.settings(config)) if "finetune" in config else tx


def _stacked(path: tuple[Any, ...]) -> int:
    """Number of leading axes that index stacked layers."""
    return sum(key.key == SCANNED for key in path)


def _matrices(params: Any) -> Any:
    """The input and the output axes of each kernel; None for parameters that are no matrices."""

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
    """Creates the initial state; `jax.eval_shape` of it gives the shapes.

    Args:
      model: from `models.build`.
      tx: from `optimiser`.
      batch: arrays or shapes of one batch.
      seed: of initialisation and dropout.
      start: given parameters of some of the model's submodules, by their names.
    """
    init_key, step_key = jax.random.split(jax.random.key(seed))
    shown, _ = split_pose_only(batch)
    zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in shown.items()}
    params = {**model.init(init_key, zeros, train=False)["params"], **(start or {})}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=params,
        opt_state=tx.init(params),
        rng=step_key,
    )
