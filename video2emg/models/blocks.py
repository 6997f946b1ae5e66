"""Transformer parts shared by the encoders and the decoder."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Dtype = jnp.dtype | type


# Instants (s) of the queries and of the tokens of an attention.
When = tuple[Float[Array, " Q"], Float[Array, " K"]]


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


def rotate(x: Float[Array, "B K H D"], seconds: Float[Array, " K"]) -> Float[Array, "B K H D"]:
    """Turns pairs of features with time (RoPE, Su et al. 2021).

    Products of two rotated vectors then depend on how far apart they are, not on when.
    """
    turn = time_embedding(seconds, x.shape[-1])[:, None].astype(x.dtype)
    (sine, cosine), (a, b) = jnp.split(turn, 2, axis=-1), jnp.split(x, 2, axis=-1)
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
        when: When | None = None,
    ) -> Float[Array, "B Q D"]:
        """Attends.

        Args:
          queries: that attend.
          tokens: that are attended to.
          mask: false on tokens that are not to be seen.
          when: makes it causal: no query sees what comes after it, and only differences of time
            count.
        """
        dim = queries.shape[-1]
        shape = (self.heads, dim // self.heads)

        def project(x: jax.Array, name: str) -> jax.Array:
            return nn.DenseGeneral(shape, dtype=self.dtype, name=name)(x)

        query, key = project(queries, "query"), project(tokens, "key")
        seen = None if mask is None else mask[:, None, None, :]
        if when is not None:
            asked, told = when
            query, key = rotate(query, asked), rotate(key, told)
            past = told[None, :] <= asked[:, None] + 1e-6
            seen = past[None, None] if seen is None else seen & past
        mixed = jax.nn.dot_product_attention(query, key, project(tokens, "value"), mask=seen)
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
        when: When | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B Q D"]:
        """Attention (see there), then MLP, each added to its input."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        normed = nn.LayerNorm(dtype=self.dtype)(x)
        tokens = normed if context is None else nn.LayerNorm(dtype=self.dtype)(context)
        x = x + drop(Attention(self.heads, dtype=self.dtype)(normed, tokens, mask, when))
        mlp = MLP(self.ratio, self.dropout, dtype=self.dtype)
        return x + drop(mlp(nn.LayerNorm(dtype=self.dtype)(x), train=train))


# What a layer keeps for its gradient; the rest is computed a second time.
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


def recomputed(kind: type[nn.Module], remat: str) -> type[nn.Module]:
    """The module that keeps for its gradient what `remat` says."""
    if REMAT[remat] is None:
        return kind
    return nn.remat(kind, policy=REMAT[remat])  # pyright: ignore[reportReturnType]


SCANNED = "layers"  # the name under which scanned layers keep their parameters, stacked


def _run(
    block: nn.Module, x: Float[Array, "B K D"], *, remat: str, scan: bool, train: bool
) -> Float[Array, "B K D"]:
    """One block, which keeps for its gradient what `remat` says."""

    def call(block: nn.Module, x: jax.Array) -> jax.Array:
        return block(x, train=train)

    if REMAT[remat] is not None:
        call = nn.remat(call, policy=REMAT[remat], prevent_cse=not scan)
    return call(block, x)


class _Step(nn.Module):
    """One layer as a step of a scan."""

    block: nn.Module
    remat: str
    train: bool

    def __call__(self, x: Float[Array, "B K D"], _: None) -> tuple[Float[Array, "B K D"], None]:
        return _run(self.block, x, remat=self.remat, scan=True, train=self.train), None


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
    """`count` self-attending blocks, one after the other; to be called in a compact method.

    Args:
      x: tokens.
      count: layers.
      heads: of the blocks.
      dropout: of the blocks.
      dtype: of the blocks.
      remat: `none`, `dots` (keep products of activations and weights) or `full` (keep the inputs).
      scan: compile one layer and repeat it: parameters are then stacked, [count, ...] under
        `layers`, instead of lying under `layer_0`, `layer_1`, …
      train: whether to drop out.
    """
    block = functools.partial(Block, heads, dropout=dropout, dtype=dtype)
    if not scan:
        for i in range(count):
            x = _run(block(name=f"layer_{i}"), x, remat=remat, scan=False, train=train)
        return x
    repeat = nn.scan(
        _Step,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        length=count,
    )
    return repeat(block(parent=None), remat, train, name=SCANNED)(x, None)[0]
