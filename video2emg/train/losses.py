"""What is minimised: squared error of the EMG, and of the biomechanics the data happens to know."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.config import Config
from video2emg.models.outputs import Outputs


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of `values` where `mask`; zero if it is false everywhere."""
    weight = mask.astype(values.dtype)
    return (values * weight).sum() / jnp.maximum(weight.sum(), 1.0)


def losses(
    outputs: Outputs, batch: Mapping[str, jax.Array], weights: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Total and parts.

    Args:
      outputs: of the model.
      batch: targets and masks, see `data.pipeline.Examples.cut`.
      weights: `emg`, `pose`, `torque`, `load`; each part is scaled to be of order one, in units of
        1 reference² (EMG), 0.1 m (pose), 30 N·m (torque), 1 in log(1 + kg) (load). `spread` weighs
        the negative log-likelihood of the EMG's errors under a Laplace distribution of the
        predicted mean absolute error; the EMG is not moved by it.

    Returns:
      The weighted sum and the unweighted parts by name.
    """
    parts = {"emg": masked_mean((outputs.emg - batch["emg"]) ** 2, batch["emg_mask"])}
    if outputs.spread is not None:
        off = jnp.abs(jax.lax.stop_gradient(outputs.emg) - batch["emg"])
        surprise = off / outputs.spread + jnp.log(outputs.spread)
        parts["spread"] = masked_mean(surprise, batch["emg_mask"])
    if outputs.pose is not None:
        error = ((outputs.pose - batch["pose"]) / 0.1) ** 2
        parts["pose"] = masked_mean(error.mean(3), batch["pose_mask"])
    if outputs.torque is not None:
        error = ((outputs.torque - batch["torque"]) / 30.0) ** 2
        parts["torque"] = masked_mean(error.mean(2), batch["torque_mask"])
    if outputs.load is not None:
        error = (outputs.load - jnp.log1p(batch["load"])) ** 2
        parts["load"] = masked_mean(error, batch["load_mask"])
    total = sum((weights[name] * value for name, value in parts.items()), jnp.zeros(()))
    return total, parts
