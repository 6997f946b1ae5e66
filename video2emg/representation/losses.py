"""What is minimised to learn representations: any weighted mix of objectives."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.core.config import Config
from video2emg.representation.model import RepresentationOutputs
from video2emg.train.losses import losses, masked_mean


def info_nce(
    video: Float[Array, "B E"],
    emg: Float[Array, "B E"],
    scale: Float[Array, ""] | float,
    measured: Bool[Array, " B"],
    clip: Int[Array, " B"],
) -> Float[Array, ""]:
    """Symmetric InfoNCE of CLIP (Radford et al. 2021; van den Oord et al. 2018), nats.

    The mean of two classifications: which EMG of the batch belongs to this video, and which video
    to this EMG. The batch is the global one, however it lies on the devices.

    Args:
      video: unit vectors.
      emg: unit vectors; row i of both belongs to one window.
      scale: 1 / temperature.
      measured: false where a window has no EMG: it is neither asked about nor a candidate.
      clip: which recording; another window of the same one is no negative, since it may overlap.
    """
    logits = scale * video @ emg.T
    own = jnp.eye(len(clip), dtype=bool)
    candidate = measured[None, :] & measured[:, None] & ((clip[:, None] != clip[None, :]) | own)
    logits = jnp.where(candidate | own, logits, -jnp.inf)

    def asked(logits: jax.Array) -> jax.Array:
        return masked_mean(jax.nn.logsumexp(logits, axis=1) - jnp.diagonal(logits), measured)

    return 0.5 * (asked(logits) + asked(logits.T))


def hidden_parts(
    outputs: RepresentationOutputs, batch: Mapping[str, jax.Array]
) -> dict[str, Float[Array, ""]]:
    """Errors of the guesses where something was hidden and is known.

    In units of 1 reference² (`masked_emg`) and (0.1 m)² (`masked_pose`).
    """
    instants = outputs.hidden
    assert instants is not None and outputs.hidden_emg is not None

    def hidden(mask: jax.Array) -> jax.Array:
        """Of a mask [B, samples, ...] what was hidden."""
        each = jnp.repeat(instants, mask.shape[1] // instants.shape[1], axis=1)
        return mask & each[..., None]

    error = (outputs.hidden_emg - batch["emg"]) ** 2
    parts = {"masked_emg": masked_mean(error, hidden(batch["emg_mask"]))}
    if outputs.hidden_pose is not None:
        error = (((outputs.hidden_pose - batch["pose"]) / 0.1) ** 2).mean(3)
        parts["masked_pose"] = masked_mean(error, hidden(batch["pose_mask"]))
    return parts


def representation_losses(
    outputs: RepresentationOutputs, batch: Mapping[str, jax.Array], weights: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Total and parts.

    Args:
      outputs: of `representation.model.RepresentationModel`.
      batch: targets and masks, see `core.batch.FIELDS`.
      weights: of `train.losses.losses`, and `contrastive`, `masked_emg`, `masked_pose`.

    Returns:
      The weighted sum and the unweighted parts by name.
    """
    total, parts = losses(outputs.main, batch, weights)
    own: dict[str, jax.Array] = {}
    if outputs.video is not None:
        assert outputs.emg is not None and outputs.scale is not None
        measured = batch["emg_mask"].any((1, 2))
        own["contrastive"] = info_nce(
            outputs.video, outputs.emg, outputs.scale[0], measured, batch["index"]
        )
    if outputs.hidden is not None:
        own |= hidden_parts(outputs, batch)
    total += sum((weights[name] * value for name, value in own.items()), jnp.zeros(()))
    return total, parts | own
