"""Pretrained vision transformers: ViT on frames, VideoMAE on tubelets.

`import_weights` reads Hugging Face's files.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Dtype, with_remat
from video2emg.models.published import positions
from video2emg.models.published.mia import sinusoids
from video2emg.models.published.pixels import normalise


class Layer(nn.Module):
    """Pre-norm transformer layer with exact GELU; `[B, K, D]`.

    Attributes:
      heads, hidden: of the attention and the MLP.
      key_bias: VideoMAE has none.
      cap: attention logits are capped at ± this by tanh, as VideoPrism does; 0 for no cap.
      epsilon: of the layer norms.
    """

    heads: int
    hidden: int
    key_bias: bool = True
    cap: float = 0.0
    epsilon: float = 1e-12
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B K D"]) -> Float[Array, "B K D"]:
        """Attention, then MLP, each with a residual connection."""
        dim = x.shape[-1]

        def project(x: jax.Array, name: str, bias: bool = True) -> jax.Array:
            shape = (self.heads, dim // self.heads)
            return nn.DenseGeneral(shape, use_bias=bias, dtype=self.dtype, name=name)(x)

        def norm(x: jax.Array, name: str) -> jax.Array:
            return nn.LayerNorm(self.epsilon, dtype=self.dtype, name=name)(x)

        y = norm(x, "attention_norm")
        attention = self._capped_attention if self.cap > 0 else jax.nn.dot_product_attention
        mixed = attention(
            project(y, "query"), project(y, "key", self.key_bias), project(y, "value")
        )
        x = x + nn.DenseGeneral(dim, axis=(-2, -1), dtype=self.dtype, name="out")(mixed)
        y = nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(norm(x, "mlp_norm"))
        y = nn.gelu(y, approximate=False)
        return x + nn.Dense(dim, dtype=self.dtype, name="mlp_out")(y)

    def _capped_attention(
        self,
        query: Float[Array, "B K H D"],
        key: Float[Array, "B K H D"],
        value: Float[Array, "B K H D"],
    ) -> Float[Array, "B K H D"]:
        logits = jnp.einsum("bqhd,bkhd->bhqk", query * query.shape[-1] ** -0.5, key)
        logits = self.cap * jnp.tanh(logits / self.cap)
        weights = nn.softmax(logits.astype(jnp.float32), -1).astype(self.dtype)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def patches(
    video: Float[Array, "B T H W C"], tubelet: int, patch: int
) -> Float[Array, "B T2 H2 W2 P"]:
    """Splits a video into tubelets with pixels in the order time, row, column, colour."""
    b, t, h, w, c = video.shape
    x = video.reshape(b, t // tubelet, tubelet, h // patch, patch, w // patch, patch, c)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(
        b, t // tubelet, h // patch, w // patch, tubelet * patch * patch * c
    )


class PatchEncoder(nn.Module):
    """What the transformers over square patches share; the defaults are the base models'.

    As a Video→EMG encoder: `[B, T, S, S, 3]` in [-1, 1] → `[B, T / stride, D]`. Positions of the
    pretraining grid are interpolated to the grid of the input.

    Attributes:
      dim, heads, hidden: of the transformer.
      patch: px.
      pixels: see `pixels.NORMALISATIONS`.
      remat: rematerialisation policy, a key of `blocks.REMAT`.
    """

    dim: int = 768
    heads: int = 12
    hidden: int = 3072
    patch: int = 16
    pixels: str = "imagenet"
    remat: str = "none"
    dtype: Dtype = jnp.float32
    causal: ClassVar[bool] = False

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch

    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T2 {self.dim}"]:
        """The tokens averaged over the image."""
        return self.tokens(normalise(video, self.pixels)).mean((2, 3))

    def tokens(self, video: Float[Array, "B T H W 3"]) -> Float[Array, "B T2 H2 W2 D"]:
        """Tokens from normalised pixels."""
        raise NotImplementedError

    def transform(
        self, x: Float[Array, "B K D"], layers: int, name: str = "layer", **settings: Any
    ) -> Float[Array, "B K D"]:
        """Applies a stack of layers; `settings` are of `Layer`."""
        layer = with_remat(Layer, self.remat)
        for i in range(layers):
            name_i = f"{name}_{i}"
            x = layer(self.heads, self.hidden, dtype=self.dtype, name=name_i, **settings)(x)
        return x


class VideoMAE(PatchEncoder):
    """VideoMAE's encoder (Tong et al. 2022): joint space-time attention over tubelets.

    Attributes:
      layers: number of them.
      stride: frames per tubelet.
      grid: time steps, rows and columns of tokens in pretraining.
      final_norm: whether the tokens are normalised at the end (`use_mean_pooling=False`).
    """

    layers: int = 12
    stride: int = 2
    grid: tuple[int, int, int] = (8, 14, 14)
    final_norm: bool = False

    @nn.compact
    def tokens(self, video: Float[Array, "B T H W 3"]) -> Float[Array, "B T2 H2 W2 D"]:
        """Tokens from normalised pixels."""
        tubelets = patches(video.astype(self.dtype), self.stride, self.patch)
        x = nn.Dense(self.dim, dtype=self.dtype, name="embed")(tubelets)
        cells = self.grid[0] * self.grid[1] * self.grid[2]
        table = jnp.asarray(sinusoids(cells, self.dim)).reshape(*self.grid, self.dim)
        x = x + positions.resize(table, x.shape[1:4]).astype(self.dtype)
        shape = x.shape
        x = self.transform(x.reshape(shape[0], -1, self.dim), self.layers, key_bias=False)
        if self.final_norm:
            x = nn.LayerNorm(1e-12, dtype=self.dtype, name="norm")(x)
        return x.reshape(shape)


class ViT(PatchEncoder):
    """ViT (Dosovitskiy et al. 2021) on each frame.

    Attributes:
      layers: number of them.
      grid: rows and columns of tokens in pretraining.
      pool: `class`, the class token, or `mean`, the mean of the patch tokens.
    """

    pixels: str = "symmetric"
    layers: int = 12
    grid: tuple[int, int] = (14, 14)
    pool: str = "class"
    stride: ClassVar[int] = 1
    causal: ClassVar[bool] = True

    @nn.compact
    def tokens(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B K D"]:
        """The class token, then one token per patch, from normalised pixels."""
        pixels = patches(images[:, None].astype(self.dtype), 1, self.patch)[:, 0]
        x = nn.Dense(self.dim, dtype=self.dtype, name="embed")(pixels)
        normal = nn.initializers.normal(0.02)
        position = self.param("position", normal, (*self.grid, self.dim))
        x = x + positions.resize(position, x.shape[1:3], "cubic").astype(self.dtype)
        first = self.param("class_token", normal, (self.dim,))
        first = first + self.param("class_position", normal, (self.dim,))
        x = x.reshape(x.shape[0], -1, self.dim)
        first = jnp.broadcast_to(first.astype(self.dtype), (x.shape[0], 1, self.dim))
        x = self.transform(jnp.concatenate([first, x], axis=1), self.layers)
        return nn.LayerNorm(1e-12, dtype=self.dtype, name="norm")(x)

    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """The class token, or the mean patch token, of each frame."""
        b, t = video.shape[:2]
        x = normalise(video, self.pixels).reshape(b * t, *video.shape[2:])
        x = self.tokens(x)
        x = x[:, 0] if self.pool == "class" else x[:, 1:].mean(1)
        return x.reshape(b, t, -1)
