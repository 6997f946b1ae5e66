"""Transformer parts shared by the encoders and the decoder."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Dtype = jnp.dtype | type


def time_embedding(
    seconds: Float[Array, "... T"], dim: int, longest_s: float = 20.0
) -> Float[Array, "... T {dim}"]:
    """Sinusoids of physical time, so that one model serves any frame rate.

    Args:
      seconds: instants.
      dim: even number of features.
      longest_s: longest period; the shortest is 0.1 s, below which a 10 Hz video says nothing.
    """
    periods = jnp.geomspace(0.1, longest_s, dim // 2)
    angle = 2 * jnp.pi * seconds[..., None] / periods
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


class MLP(nn.Module):
    """Two dense layers with GELU; `[..., D] -> [..., D]`."""

    ratio: int = 4
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "... D"], *, train: bool) -> Float[Array, "... D"]:
        """Applies the two layers."""
        dim = x.shape[-1]
        x = nn.gelu(nn.Dense(self.ratio * dim, dtype=self.dtype)(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(dim, dtype=self.dtype)(x)


class Attention(nn.Module):
    """Multi-head attention of queries [B, Q, D] over tokens [B, K, D].

    Written on `jax.nn.dot_product_attention`, which picks a fused kernel where there is one.
    """

    heads: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, "B Q D"],
        tokens: Float[Array, "B K D"],
        mask: Bool[Array, "B K"] | None = None,
    ) -> Float[Array, "B Q D"]:
        """Attends; `mask` is false on tokens that are not to be seen."""
        dim = queries.shape[-1]
        shape = (self.heads, dim // self.heads)

        def project(x: jax.Array, name: str) -> jax.Array:
            return nn.DenseGeneral(shape, dtype=self.dtype, name=name)(x)

        mixed = jax.nn.dot_product_attention(
            project(queries, "query"),
            project(tokens, "key"),
            project(tokens, "value"),
            mask=None if mask is None else mask[:, None, None, :],
        )
        return nn.DenseGeneral(dim, axis=(-2, -1), dtype=self.dtype, name="out")(mixed)


class Block(nn.Module):
    """Pre-norm transformer layer; attends to `context` when given, else to itself."""

    heads: int
    ratio: int = 4
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B Q D"],
        context: Float[Array, "B K D"] | None = None,
        mask: Bool[Array, "B K"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B Q D"]:
        """Attention, then MLP, each added to its input."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        normed = nn.LayerNorm(dtype=self.dtype)(x)
        tokens = normed if context is None else nn.LayerNorm(dtype=self.dtype)(context)
        x = x + drop(Attention(self.heads, dtype=self.dtype)(normed, tokens, mask))
        mlp = MLP(self.ratio, self.dropout, dtype=self.dtype)
        return x + drop(mlp(nn.LayerNorm(dtype=self.dtype)(x), train=train))
