"""USDL (Tang et al. 2020), which predicts the distribution of a score; and an MLP regressor."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from video2emg.models.blocks import Dtype


class ScoreMLP(nn.Module):
    """Three dense layers; `[B, D]` → `[B, outputs]`: USDL's logits or, with one output, a score.

    Attributes:
      outputs: number of bins, or 1.
      widths: of the hidden layers.
    """

    outputs: int
    widths: Sequence[int] = (256, 128)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B D"]) -> Float[Array, "B {self.outputs}"]:
        """Applies the layers."""
        for i, width in enumerate(self.widths):
            x = nn.relu(nn.Dense(width, dtype=self.dtype, name=f"layer_{i}")(x))
        return nn.Dense(self.outputs, name="out")(x.astype(jnp.float32))


def soft_labels(
    score: Float[Array, "*B"], bins: int = 101, largest: float = 100.0, deviation: float = 5.0
) -> Float[Array, "*B K"]:
    """A Gaussian around the score over K = `bins` bins from 0 to `largest`, with sum one.

    Args:
      score: in the scores' unit.
      bins: K.
      largest: score of the last bin.
      deviation: standard deviation, bins.
    """
    centre = score[..., None] * ((bins - 1) / largest)
    density = -0.5 * ((jnp.arange(bins) - centre) / deviation) ** 2
    return jax.nn.softmax(density, axis=-1)


def divergence(
    logits: Float[Array, "*B K"], labels: Float[Array, "*B K"], as_published: bool = False
) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the labels from the prediction, mean over the batch.

    Args:
      logits: predicted.
      labels: from `soft_labels`.
      as_published: also divide by the number of bins, as PyTorch's default reduction does in the
        authors' code. The gradient is then K times smaller.
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    divergences = jax.scipy.special.xlogy(labels, labels) - labels * log_p
    return divergences.mean() if as_published else divergences.sum(-1).mean()


def expected_score(
    logits: Float[Array, "*B K"], largest: float = 100.0, most_probable: bool = True
) -> Float[Array, "*B"]:
    """The score of a distribution: the most probable bin (as published) or the mean."""
    bins = logits.shape[-1]
    if most_probable:
        return logits.argmax(-1) * (largest / (bins - 1))
    return (jax.nn.softmax(logits, -1) * jnp.arange(bins)).sum(-1) * (largest / (bins - 1))
