"""What is minimised: squared error of the EMG, and of the biomechanics the data happens to know."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.core.config import Config
from video2emg.models.moment_arms import agonists, at_frames
from video2emg.models.outputs import Outputs


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of `values` where `mask`; zero if it is false everywhere."""
    weight = mask.astype(values.dtype)
    return (values * weight).sum() / jnp.maximum(weight.sum(), 1.0)


def _consistency(
    explained: Float[Array, "B 2 T D"], batch: Mapping[str, jax.Array]
) -> Float[Array, ""]:
    """How far EMG is from explaining the joint torques; levers are learned of the measured EMG.

    Asked only where a channel can turn the joint in the direction of its torque: other torques are
    made by muscles without electrodes.
    """
    torque, known = batch["torque"], batch["emg_mask"].any(1)
    up, down = agonists(batch["muscle"], batch["side"], known)
    asked = batch["torque_mask"] & jnp.where(torque > 0, up[:, None], down[:, None])
    error = ((explained - torque[:, None]) / 30.0) ** 2
    share = at_frames(batch["emg_mask"].astype(torque.dtype), torque.shape[1])
    measured = ((share > 0.999) | ~known[:, None]).all(-1, keepdims=True)
    return masked_mean(error[:, 0], asked) + masked_mean(error[:, 1], asked & measured)


def losses(
    outputs: Outputs, batch: Mapping[str, jax.Array], weights: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Total and parts.

    Args:
      outputs: of the model.
      batch: targets and masks, see `core.batch.FIELDS`.
      weights: `emg`, `pose`, `torque`, `load`; each part is scaled to be of order one, in units of
        1 reference² (EMG), 0.1 m (pose), 30 N·m (torque), 1 in log(1 + kg) (load).
        `predicted_mae` weighs
        the negative log-likelihood of the EMG's errors under a Laplace distribution of the
        predicted mean absolute error; the EMG is not moved by it. `consistency` weighs how far the
        predicted EMG is from explaining the joint torques, in units of 30 N·m.

    Returns:
      The weighted sum and the unweighted parts by name.
    """
    parts = {"emg": masked_mean((outputs.emg - batch["emg"]) ** 2, batch["emg_mask"])}
    if outputs.predicted_mae is not None:
        off = jnp.abs(jax.lax.stop_gradient(outputs.emg) - batch["emg"])
        surprise = off / outputs.predicted_mae + jnp.log(outputs.predicted_mae)
        parts["predicted_mae"] = masked_mean(surprise, batch["emg_mask"])
    if outputs.pose is not None:
        error = ((outputs.pose - batch["pose"]) / 0.1) ** 2
        parts["pose"] = masked_mean(error.mean(3), batch["pose_mask"])
    if outputs.torque is not None:
        error = ((outputs.torque - batch["torque"]) / 30.0) ** 2
        parts["torque"] = masked_mean(error, batch["torque_mask"])
    if outputs.explained is not None:
        parts["consistency"] = _consistency(outputs.explained, batch)
    if outputs.load is not None:
        error = (outputs.load - jnp.log1p(batch["load"])) ** 2
        parts["load"] = masked_mean(error, batch["load_mask"])
    total = sum((weights[name] * value for name, value in parts.items()), jnp.zeros(()))
    return total, parts
