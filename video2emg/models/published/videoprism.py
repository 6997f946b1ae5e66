"""VideoPrism's factorised encoder (Zhao et al. 2024): space first, then time."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Dtype, with_remat
from video2emg.models.published import positions
from video2emg.models.published.pixels import normalise
from video2emg.models.published.vit import patches


class Layer(nn.Module):
    """Pre-norm transformer layer with attention logits capped by tanh; `[B, K, D]`."""

    heads: int
    hidden: int
    cap: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B K D"]) -> Float[Array, "B K D"]:
        """Attention, then MLP, each with a residual connection."""
        dim = x.shape[-1]
        per_head = dim // self.heads

        def project(x: jax.Array, name: str) -> jax.Array:
            return nn.DenseGeneral((self.heads, per_head), dtype=self.dtype, name=name)(x)

        def norm(x: jax.Array, name: str) -> jax.Array:
            return nn.LayerNorm(1e-6, dtype=self.dtype, name=name)(x)

        y = norm(x, "attention_norm")
        query, key, value = (project(y, name) for name in ("query", "key", "value"))
        logits = jnp.einsum("bqhd,bkhd->bhqk", query * per_head**-0.5, key)
        if self.cap > 0:
            logits = self.cap * jnp.tanh(logits / self.cap)
        weights = nn.softmax(logits.astype(jnp.float32), -1).astype(self.dtype)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
        x = x + nn.DenseGeneral(dim, axis=(-2, -1), dtype=self.dtype, name="out")(mixed)
        y = nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(norm(x, "mlp_norm"))
        y = nn.gelu(y, approximate=False)
        return x + nn.Dense(dim, dtype=self.dtype, name="mlp_out")(y)


class VideoPrism(nn.Module):
    """The encoder; as a Video→EMG encoder `[B, T, S, S, 3]` in [-1, 1] → `[B, T, D]`.

    Attributes:
      dim, heads, hidden, cap: of all layers; the defaults are the base model's.
      spatial, temporal: number of layers.
      patch: px.
      grid: time steps, rows and columns of tokens in pretraining (f16r288).
      pixels: see `pixels.NORMALISATIONS`.
      remat: rematerialisation policy, a key of `blocks.REMAT`.
    """

    dim: int = 768
    heads: int = 12
    hidden: int = 3072
    spatial: int = 12
    temporal: int = 4
    patch: int = 18
    grid: tuple[int, int, int] = (16, 16, 16)
    cap: float = 50.0
    pixels: str = "unit"
    remat: str = "none"
    dtype: Dtype = jnp.float32
    stride: ClassVar[int] = 1
    causal: ClassVar[bool] = False

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch

    @nn.compact
    def tokens(self, video: Float[Array, "B T H W 3"]) -> Float[Array, "B T H2 W2 D"]:
        """Tokens from pixels in [0, 1]."""
        x = patches(video.astype(self.dtype), 1, self.patch)
        b, t, h, w, _ = x.shape
        x = nn.Dense(self.dim, dtype=self.dtype, name="embed")(x)
        normal = nn.initializers.normal(0.02)
        spatial_position = self.param("spatial_position", normal, (*self.grid[1:], self.dim))
        x = x + positions.resize(spatial_position, (h, w)).astype(self.dtype)
        layer = with_remat(Layer, self.remat)

        def stack(x: jax.Array, count: int, name: str) -> jax.Array:
            for i in range(count):
                x = layer(self.heads, self.hidden, self.cap, self.dtype, name=f"{name}_{i}")(x)
            return nn.LayerNorm(1e-6, dtype=self.dtype, name=f"{name}_norm")(x)

        x = stack(x.reshape(b * t, h * w, self.dim), self.spatial, "spatial")
        x = x.reshape(b, t, h * w, self.dim).swapaxes(1, 2)
        temporal_position = self.param("temporal_position", normal, (self.grid[0], self.dim))
        x = x + positions.resize(temporal_position, (t,)).astype(self.dtype)
        x = stack(x.reshape(b * h * w, t, self.dim), self.temporal, "temporal")
        return x.reshape(b, h, w, t, self.dim).transpose(0, 3, 1, 2, 4)

    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """The tokens averaged over the image."""
        return self.tokens(normalise(video, self.pixels)).mean((2, 3))
