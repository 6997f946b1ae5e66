"""Losses of the assessment head."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from video2emg.aqa.head import AQAOutputs
from video2emg.core.config import Config
from video2emg.models.published.usdl import soft_labels
from video2emg.train.losses import losses, masked_mean

_USDL_SD = 3.0  # points; width of the target distribution
_SCORE_UNIT = 10.0  # points; brings the score's part to order one


def asymmetric_bce(
    logits: Float[Array, "*shape"],
    target: Float[Array, "*shape"],
    focus_positive: float = 0.0,
    focus_negative: float = 0.0,
    margin: float = 0.0,
) -> Float[Array, "*shape"]:
    """Asymmetric loss (Ridnik et al., ICCV 2021) for rare labels.

    Easy negatives get the weight pₘ^focus_negative, where pₘ = max(p − margin, 0), easy positives
    (1 − p)^focus_positive. All zero gives binary cross-entropy, the only setting under which
    probabilities stay calibrated and the composed score unbiased.
    """
    p = jax.nn.sigmoid(logits)
    shifted = jnp.maximum(p - margin, 0.0)
    positive = -jax.nn.log_sigmoid(logits)
    negative = jax.nn.softplus(logits) if margin == 0 else -jnp.log1p(-shifted)
    if focus_positive:
        positive = positive * (1 - p) ** focus_positive
    if focus_negative:
        negative = negative * shifted**focus_negative
    return target * positive + (1 - target) * negative


def aqa_losses(
    outputs: AQAOutputs, batch: Mapping[str, jax.Array], config: Config
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Total and parts. A system with a loss of its own (`score_loss`) is trained by that alone.

    Args:
      outputs: of the head.
      batch: targets and masks, see `data.labels.Labels`.
      config: weights `error`, `severity`, `score`, `phase`, `action`; `asymmetric`, arguments of
        `asymmetric_bce`; where Video→EMG is trained too, `video` and the weights of its own loss
        in `video_parts`.

    Returns:
      The weighted sum and the unweighted parts by name.
    """
    if outputs.score_loss is not None:
        loss = masked_mean(outputs.score_loss, batch["score_mask"])
        return loss, {"score": loss}
    mask, made = batch["error_mask"], batch["severity"] > 0
    error = asymmetric_bce(outputs.error_logits, made.astype(jnp.float32), **config.asymmetric)
    parts = {
        "error": masked_mean(error, mask),
        "severity": masked_mean((outputs.severity - batch["severity"]) ** 2, mask & made),
        "phase": masked_mean(
            optax.softmax_cross_entropy_with_integer_labels(outputs.phase_logits, batch["phase"]),
            batch["phase_mask"],
        ),
        "action": optax.softmax_cross_entropy_with_integer_labels(
            outputs.action_logits, batch["action"]
        ).mean(),
    }
    if outputs.score_logits is None:
        score = ((outputs.score - batch["score"]) / _SCORE_UNIT) ** 2
    else:
        # KL divergence to a Gaussian about the label (USDL).
        target = soft_labels(batch["score"], deviation=_USDL_SD)
        score = optax.kl_divergence(jax.nn.log_softmax(outputs.score_logits), target)
    parts["score"] = masked_mean(score, batch["score_mask"])
    total = sum((config[name] * value for name, value in parts.items()), jnp.zeros(()))
    if outputs.video is not None:
        video, video_parts = losses(outputs.video, batch, config.video_parts)
        total += config.video * video
        parts |= {f"video_{name}": value for name, value in video_parts.items()}
    return total, parts
