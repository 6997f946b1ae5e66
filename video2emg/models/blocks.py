"""Transformer parts shared by the encoders and the decoder."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Dtype = jnp.dtype | type

# Times (s) of the queries and of the tokens of an attention layer.
Times = tuple[Float[Array, " Q"], Float[Array, " K"]]


def time_embedding(
    seconds: Float[Array, "... T"], dim: int, longest_s: float = 20.0
) -> Float[Array, "... T {dim}"]:
    """Sinusoids of physical time, so that one model can be used at any frame rate.

    Args:
      seconds: times of the tokens.
      dim: number of features, even.
      longest_s: longest period. The shortest is 0.1 s: a 10 Hz video holds nothing faster.
    """
    periods = jnp.geomspace(0.1, longest_s, dim // 2)
    angle = 2 * jnp.pi * seconds[..., None] / periods
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def rotate(x: Float[Array, "B K H D"], seconds: Float[Array, " K"]) -> Float[Array, "B K H D"]:
    """Rotates pairs of features by an angle that grows with time (RoPE, Su et al. 2021).

    The product of two rotated vectors depends on their time difference only.
    """
    rotation = time_embedding(seconds, x.shape[-1])[:, None].astype(x.dtype)
    (sine, cosine), (a, b) = jnp.split(rotation, 2, axis=-1), jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)


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

    Uses `jax.nn.dot_product_attention`, which selects a fused kernel where one is available.

    Attributes:
      heads: number of heads.
      causal: a query attends only to tokens that are not later than itself; needs `times`.
    """

    heads: int
    causal: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, "B Q D"],
        tokens: Float[Array, "B K D"],
        mask: Bool[Array, "B K"] | None = None,
        times: Times | None = None,
    ) -> Float[Array, "B Q D"]:
        """Applies attention.

        Args:
          queries: the tokens that attend.
          tokens: the tokens that are attended to.
          mask: false for tokens that no query may attend to.
          times: makes the attention depend on time differences.
        """
        dim = queries.shape[-1]
        shape = (self.heads, dim // self.heads)

        def project(x: jax.Array, name: str) -> jax.Array:
            return nn.DenseGeneral(shape, dtype=self.dtype, name=name)(x)

        query, key = project(queries, "query"), project(tokens, "key")
        visible = None if mask is None else mask[:, None, None, :]
        if times is not None:
            query_times, token_times = times
            query, key = rotate(query, query_times), rotate(key, token_times)
            if self.causal:
                past = token_times[None, :] <= query_times[:, None] + 1e-6
                visible = past[None, None] if visible is None else visible & past
        mixed = jax.nn.dot_product_attention(query, key, project(tokens, "value"), mask=visible)
        return nn.DenseGeneral(dim, axis=(-2, -1), dtype=self.dtype, name="out")(mixed)


class Block(nn.Module):
    """Pre-norm transformer layer: cross-attention to `context` if given, else self-attention."""

    heads: int
    ratio: int = 4
    dropout: float = 0.0
    causal: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B Q D"],
        context: Float[Array, "B K D"] | None = None,
        mask: Bool[Array, "B K"] | None = None,
        times: Times | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B Q D"]:
        """Attention (see `Attention`), then MLP, each with a residual connection."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        normed = nn.LayerNorm(dtype=self.dtype)(x)
        tokens = normed if context is None else nn.LayerNorm(dtype=self.dtype)(context)
        attention = Attention(self.heads, self.causal, dtype=self.dtype)
        x = x + drop(attention(normed, tokens, mask, times))
        mlp = MLP(self.ratio, self.dropout, dtype=self.dtype)
        return x + drop(mlp(nn.LayerNorm(dtype=self.dtype)(x), train=train))


# Rematerialisation: which intermediate results a layer keeps for its gradient. The others are
# computed again in the backward pass.
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


def with_remat(module: type[nn.Module], remat: str) -> type[nn.Module]:
    """The module class with the rematerialisation policy `remat`, a key of `REMAT`."""
    if REMAT[remat] is None:
        return module
    return nn.remat(module, policy=REMAT[remat])  # pyright: ignore[reportReturnType]


SCANNED = "layers"  # name of the scanned layers, whose parameters are stacked along axis 0


def _apply_block(
    block: nn.Module, x: Float[Array, "B K D"], *, remat: str, scan: bool, train: bool
) -> Float[Array, "B K D"]:
    """Applies one block with the rematerialisation policy `remat`."""

    def call(block: nn.Module, x: jax.Array) -> jax.Array:
        return block(x, train=train)

    if REMAT[remat] is not None:
        call = nn.remat(call, policy=REMAT[remat], prevent_cse=not scan)
    return call(block, x)


class _ScanStep(nn.Module):
    """One layer as a step of `nn.scan`."""

    block: nn.Module
    remat: str
    train: bool

    def __call__(self, x: Float[Array, "B K D"], _: None) -> tuple[Float[Array, "B K D"], None]:
        return _apply_block(self.block, x, remat=self.remat, scan=True, train=self.train), None


def stack(
    x: Float[Array, "B K D"],
    count: int,
    *,
    heads: int,
    dropout: float,
    dtype: Dtype,
    remat: str,
    scan: bool,
    train: bool,
) -> Float[Array, "B K D"]:
    """Applies `count` self-attention blocks in sequence. Call it in a compact method.

    Args:
      x: tokens.
      count: number of layers.
      heads: attention heads of each block.
      dropout: dropout rate of each block.
      dtype: of the computation.
      remat: `none`, `dots` (keep products of activations and weights) or `full` (keep the inputs).
      scan: compile one layer and repeat it. The parameters are then stacked, [count, ...], under
        `layers` instead of `layer_0`, `layer_1`, …
      train: whether dropout is active.
    """
    block = functools.partial(Block, heads, dropout=dropout, dtype=dtype)
    if not scan:
        for i in range(count):
            x = _apply_block(block(name=f"layer_{i}"), x, remat=remat, scan=False, train=train)
        return x
    repeat = nn.scan(
        _ScanStep,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        length=count,
    )
    return repeat(block(parent=None), remat, train, name=SCANNED)(x, None)[0]
