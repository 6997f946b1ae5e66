"""Muscles in Action (Chiquier & Vondrick 2023): the transformer pose → EMG, and EMG → pose."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.models.blocks import Attention, Dtype

# What MIA's authors tell the model of its ten subjects: one number each, 1.0, 0.9, …, 0.1.
SUBJECT_CODES = tuple(round(1 - k / 10, 1) for k in range(10))
NO_SUBJECT = 0.1  # what everybody is called when the model is not conditioned


def sinusoids(length: int, dim: int) -> Float[np.ndarray, "{length} {dim}"]:
    """Position encoding by index (Vaswani et al. 2017), sines and cosines alternating."""
    rate = np.exp(np.arange(0, dim, 2) * (-np.log(10000.0) / dim))
    angle = np.arange(length)[:, None] * rate
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(length, dim).astype(np.float32)


class PostNormLayer(nn.Module):
    """A transformer layer as in the first paper: sum, then normalise; ReLU; `[B, T, D]`."""

    heads: int
    hidden: int
    dropout: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"], *, train: bool) -> Float[Array, "B T D"]:
        """Attention, then two dense layers."""
        drop = nn.Dropout(self.dropout, deterministic=not train)

        def norm(x: Array, name: str) -> Array:
            return nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name=name)(x)

        attended = Attention(self.heads, dtype=self.dtype, name="attention")(x, x)
        x = norm(x + drop(attended), "attention_norm")
        y = drop(nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(x)))
        y = nn.Dense(x.shape[-1], dtype=self.dtype, name="mlp_out")(y)
        return norm(x + drop(y), "mlp_norm")


class MIATransformer(nn.Module):
    """Features over time → features over time, e.g. joints [B, T, 75] → EMG [B, T, 8].

    The twin is the same network with `outputs=75` on EMG. The output has no non-linearity, so that
    EMG may come out negative, as in the original. MIA's T is 30 at 10 Hz; any T works.

    Attributes:
      outputs: channels out; 8 muscles, or 75 (3-D) or 50 (2-D) joint coordinates for the twin.
      dim: width D, of which two are the subject's code.
      layers, heads, hidden, dropout: of the transformer.
      window: frames of the convolution that embeds the input.
      scale: of the input; the original multiplies by √128 whatever D is.
    """

    outputs: int = 8
    dim: int = 128
    layers: int = 8
    heads: int = 16
    hidden: int = 2048
    dropout: float = 0.1
    window: int = 9
    scale: float = 128.0**0.5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T C"],
        subject: Float[Array, " B"] | float = NO_SUBJECT,
        *,
        train: bool = False,
    ) -> Float[Array, "B T {self.outputs}"]:
        """Applies the network.

        Args:
          x: pose, m (3-D) or pixels as a fraction of the picture (2-D), or EMG in its unit.
          subject: code of each subject, see `SUBJECT_CODES`; the default is no conditioning.
          train: whether to drop out.
        """
        b, t, _ = x.shape
        pad = self.window // 2
        x = nn.Conv(
            self.dim - 2, (self.window,), padding=((pad, pad),), dtype=self.dtype, name="embed"
        )(x * self.scale)
        x = x + sinusoids(t, self.dim - 2)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        code = jnp.broadcast_to(jnp.asarray(subject, x.dtype).reshape(-1, 1, 1), (b, t, 2))
        x = jnp.concatenate([x, code], axis=-1)
        for i in range(self.layers):
            layer = PostNormLayer(
                self.heads, self.hidden, self.dropout, self.dtype, name=f"layer_{i}"
            )
            x = layer(x, train=train)
        return nn.Dense(self.outputs, name="out")(x.astype(jnp.float32))
