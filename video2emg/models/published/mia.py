"""Muscles in Action (Chiquier & Vondrick 2023): a transformer for pose → EMG or EMG → pose."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.models.blocks import Attention, Dtype

# MIA's subject code is one number for each of its ten subjects: 1.0, 0.9, …, 0.1. This is the code
# of all subjects when the model is not conditioned on the subject.
NO_SUBJECT = 0.1


def sinusoids(length: int, dim: int) -> Float[np.ndarray, "{length} {dim}"]:
    """Position encoding by index (Vaswani et al. 2017) with alternating sines and cosines."""
    rate = np.exp(np.arange(0, dim, 2) * (-np.log(10000.0) / dim))
    angle = np.arange(length)[:, None] * rate
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(length, dim).astype(np.float32)


class PostNormLayer(nn.Module):
    """A post-norm transformer layer with ReLU (Vaswani et al. 2017); `[B, T, D]`."""

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
    """Maps features over time to features over time, e.g. joints [B, T, 75] to EMG [B, T, 8].

    With `outputs=75` the same network maps EMG to the pose. The output is linear, so EMG may be
    negative, as in the original. MIA uses T = 30 at 10 Hz; any T works.

    Attributes:
      outputs: output channels: 8 muscles, or 75 (3-D) or 50 (2-D) joint coordinates.
      dim: width D, of which two features are the subject code.
      layers, heads, hidden, dropout: of the transformer.
      window: kernel size of the convolution that embeds the input, frames.
      scale: of the input; the original multiplies by √128 for any D.
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
          x: pose, m (3-D) or as a fraction of the image size (2-D), or EMG in its unit.
          subject: code of each subject, see `NO_SUBJECT`; the default is no conditioning.
          train: whether dropout is active.
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
