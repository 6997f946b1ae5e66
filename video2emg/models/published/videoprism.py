"""VideoPrism's factorised encoder (Zhao et al. 2024): space first, then time."""

from typing import ClassVar

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from video2emg.models.published import positions
from video2emg.models.published.vit import PatchEncoder, patches


class VideoPrism(PatchEncoder):
    """The encoder.

    Attributes:
      spatial, temporal: number of layers.
      grid: time steps, rows and columns of tokens in pretraining (f16r288).
      cap: of all layers.
    """

    patch: int = 18
    pixels: str = "unit"
    spatial: int = 12
    temporal: int = 4
    grid: tuple[int, int, int] = (16, 16, 16)
    cap: float = 50.0
    stride: ClassVar[int] = 1

    @nn.compact
    def tokens(self, video: Float[Array, "B T H W 3"]) -> Float[Array, "B T H2 W2 D"]:
        """Tokens from pixels in [0, 1]."""
        x = patches(video.astype(self.dtype), 1, self.patch)
        b, t, h, w, _ = x.shape
        x = nn.Dense(self.dim, dtype=self.dtype, name="embed")(x)
        normal = nn.initializers.normal(0.02)
        spatial_position = self.param("spatial_position", normal, (*self.grid[1:], self.dim))
        x = x + positions.resize(spatial_position, (h, w)).astype(self.dtype)

        def stack(x: jax.Array, count: int, name: str) -> jax.Array:
            x = self.transform(x, count, name, cap=self.cap, epsilon=1e-6)
            return nn.LayerNorm(1e-6, dtype=self.dtype, name=f"{name}_norm")(x)

        x = stack(x.reshape(b * t, h * w, self.dim), self.spatial, "spatial")
        x = x.reshape(b, t, h * w, self.dim).swapaxes(1, 2)
        temporal_position = self.param("temporal_position", normal, (self.grid[0], self.dim))
        x = x + positions.resize(temporal_position, (t,)).astype(self.dtype)
        x = stack(x.reshape(b * h * w, t, self.dim), self.temporal, "temporal")
        return x.reshape(b, h, w, t, self.dim).transpose(0, 3, 1, 2, 4)
