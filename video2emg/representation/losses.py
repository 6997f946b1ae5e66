"""Objectives of representation learning, in any weighted mix."""

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
    to this EMG. The batch is the global one, over all devices.

    Args:
      video: unit vectors.
      emg: unit vectors; row i of both belongs to one window.
      scale: 1 / temperature.
      measured: false where a window has no EMG: it is neither a query nor a candidate.
      clip: the recording of a window; another window of it is no negative, since it may overlap.
    """
    logits = scale * video @ emg.T
    own = jnp.eye(len(clip), dtype=bool)
    candidate = measured[None, :] & measured[:, None] & ((clip[:, None] != clip[None, :]) | own)
    logits = jnp.where(candidate | own, logits, -jnp.inf)

    def cross_entropy(logits: jax.Array) -> jax.Array:
        return masked_mean(jax.nn.logsumexp(logits, axis=1) - jnp.diagonal(logits), measured)

    return 0.5 * (cross_entropy(logits) + cross_entropy(logits.T))


def reconstruction_losses(
    outputs: RepresentationOutputs, batch: Mapping[str, jax.Array]
) -> dict[str, Float[Array, ""]]:
    """Squared errors of the reconstruction, over samples that were masked and are known.

    In units of the normalised EMG squared (`masked_emg`) and (0.1 m)² (`masked_pose`).
    """
    instants = outputs.masked
    assert instants is not None and outputs.reconstructed_emg is not None

    def masked_part(mask: jax.Array) -> jax.Array:
        """The masked part of a mask [B, samples, ...]."""
        samples = jnp.repeat(instants, mask.shape[1] // instants.shape[1], axis=1)
        return mask & samples[..., None]

    error = (outputs.reconstructed_emg - batch["emg"]) ** 2
    parts = {"masked_emg": masked_mean(error, masked_part(batch["emg_mask"]))}
    if outputs.reconstructed_pose is not None:
        error = (((outputs.reconstructed_pose - batch["pose"]) / 0.1) ** 2).mean(3)
        parts["masked_pose"] = masked_mean(error, masked_part(batch["pose_mask"]))
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
    own_parts: dict[str, jax.Array] = {}
    if outputs.video is not None:
        assert outputs.emg is not None and outputs.scale is not None
        measured = batch["emg_mask"].any((1, 2))
        own_parts["contrastive"] = info_nce(
            outputs.video, outputs.emg, outputs.scale[0], measured, batch["index"]
        )
    if outputs.masked is not None:
        own_parts |= reconstruction_losses(outputs, batch)
    total += sum((weights[name] * value for name, value in own_parts.items()), jnp.zeros(()))
    return total, parts | own_parts
