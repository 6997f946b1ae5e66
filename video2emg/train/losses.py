"""The training loss: errors of the EMG and, where the data has them, of pose, torque and load."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.core.config import Config
from video2emg.models.moment_arms import agonists, at_frames
from video2emg.models.outputs import Outputs


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of `values` where `mask` is true; zero if it is false everywhere."""
    weight = mask.astype(values.dtype)
    return (values * weight).sum() / jnp.maximum(weight.sum(), 1.0)


def _consistency(
    explained: Float[Array, "B 2 T D"], batch: Mapping[str, jax.Array]
) -> Float[Array, ""]:
    """Squared error of the joint torques that the EMG explains, see `moment_arms`.

    Only where some channel can turn the joint in the direction of its torque. Other torques come
    from muscles without electrodes.
    """
    torque, known = batch["torque"], batch["emg_mask"].any(1)
    up, down = agonists(batch["muscle"], batch["side"], known)
    explainable = batch["torque_mask"] & jnp.where(torque > 0, up[:, None], down[:, None])
    error = ((explained - torque[:, None]) / 30.0) ** 2
    share = at_frames(batch["emg_mask"].astype(torque.dtype), torque.shape[1])
    measured = ((share > 0.999) | ~known[:, None]).all(-1, keepdims=True)
    predicted_error = masked_mean(error[:, 0], explainable)
    return predicted_error + masked_mean(error[:, 1], explainable & measured)


def losses(
    outputs: Outputs, batch: Mapping[str, jax.Array], weights: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss and its parts.

    The parts are scaled to be of order one:

    - `emg`: squared error of the EMG, in the unit of the normalisation.
    - `pose`, `torque`, `load`: squared errors in units of 0.1 m, 30 N·m, and 1 in log(1 + kg).
    - `held`: squared error of the shares of the load, summed over the places.
    - `predicted_mae`: negative log-likelihood of the EMG's absolute errors under a Laplace
      distribution with the predicted mean absolute error. The EMG gets no gradient from it.
    - `consistency`: squared error of the joint torques that the EMG explains, in units of 30 N·m.

    Args:
      outputs: of the model.
      batch: targets and masks, see `core.batch.FIELDS`.
      weights: of the parts, by name.

    Returns:
      The weighted sum and the unweighted parts by name.
    """
    parts = {"emg": masked_mean((outputs.emg - batch["emg"]) ** 2, batch["emg_mask"])}
    if outputs.predicted_mae is not None:
        error = jnp.abs(jax.lax.stop_gradient(outputs.emg) - batch["emg"])
        likelihood = error / outputs.predicted_mae + jnp.log(outputs.predicted_mae)
        parts["predicted_mae"] = masked_mean(likelihood, batch["emg_mask"])
    if outputs.pose is not None:
        error = ((outputs.pose - batch["true_pose"]) / 0.1) ** 2
        parts["pose"] = masked_mean(error.mean(3), batch["true_pose_mask"])
    if outputs.torque is not None:
        error = ((outputs.torque - batch["torque"]) / 30.0) ** 2
        parts["torque"] = masked_mean(error, batch["torque_mask"])
    if outputs.explained is not None:
        parts["consistency"] = _consistency(outputs.explained, batch)
    if outputs.load is not None:
        error = (outputs.load - jnp.log1p(batch["load"])) ** 2
        parts["load"] = masked_mean(error, batch["load_mask"])
    if outputs.held is not None:
        error = ((outputs.held - batch["held"]) ** 2).sum(-1)
        parts["held"] = masked_mean(error, batch["held_mask"])
    total = sum((weights[name] * value for name, value in parts.items()), jnp.zeros(()))
    return total, parts
