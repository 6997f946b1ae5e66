"""Auxiliary inputs beside the video, and the fusion of the tokens of several modalities.

Missing inputs are masked: no token attends to their tokens, and these hold no information.
"""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Block, Dtype, Times, time_embedding
from video2emg.models.encoders import PoseMLP

CONSTANT_INPUTS = ("load", "traits")  # known before the movement begins
MODES = ("joint", "bottleneck")
_MEAN_AND_SD = {  # to standardise the values
    "vitals": ((100.0, 18.0), (30.0, 6.0)),  # 1/min
    "traits": ((1.7, 70.0, 0.5), (0.1, 15.0, 0.5)),  # m, kg, share of women
}

# Tokens [B, K, D], which of them are known [B, K], and their times [K] in s.
Group = tuple[Float[Array, "B K D"], Bool[Array, "B K"], Float[Array, " K"]]


class AuxiliaryInputs(nn.Module):
    """Turns auxiliary inputs into tokens.

    Attributes:
      inputs: names of `vocabulary.INPUTS`.
      dim: D.
      frame_rate: of the pose, Hz.
      timed: whether the tokens of the pose contain their time. Causal models use time differences
        in the attention instead.
    """

    inputs: Sequence[str]
    dim: int
    frame_rate: float
    timed: bool
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, batch: Mapping[str, jax.Array], *, train: bool) -> dict[str, Group]:
        """Encodes every input.

        Args:
          batch: pose [B, T, J, 3] m and pose_mask; load [B] kg and load_mask; vitals [B, 2] 1/min
            and vitals_mask; traits [B, 3] m, kg, 0 or 1, and traits_mask.
          train: whether dropout is active.

        Returns:
          The token group of every input, by name.
        """
        groups = {}
        for name in self.inputs:
            if name == "pose":
                tokens, known, times = self._pose(batch["pose"], batch["pose_mask"], train=train)
            else:
                tokens, known = self._values(name, batch[name], batch[f"{name}_mask"])
                times = jnp.zeros(1)
            kind = self.param(f"{name}_kind", nn.initializers.normal(0.02), (self.dim,))
            groups[name] = ((tokens + kind).astype(self.dtype), known, times)
        return groups

    def _pose(
        self, pose: Float[Array, "B T J 3"], mask: Bool[Array, "B T J"], *, train: bool
    ) -> Group:
        encoder = PoseMLP(self.dim, self.frame_rate, self.dtype, name="pose")
        tokens = encoder(pose, mask, train=train)
        times = jnp.arange(pose.shape[1]) / self.frame_rate
        if self.timed:
            tokens += nn.Dense(self.dim, name="when")(time_embedding(times, self.dim))
        return tokens, mask.any(-1), times

    def _values(
        self, name: str, values: jax.Array, mask: jax.Array
    ) -> tuple[Float[Array, "B 1 D"], Bool[Array, "B 1"]]:
        """One token for the values of an input that is constant over the window."""
        if name == "load":
            values, mask = jnp.log1p(values)[:, None] / 3.0, mask[:, None]
        else:
            mean, sd = map(jnp.asarray, _MEAN_AND_SD[name])
            values = (values - mean) / sd
        features = jnp.concatenate([jnp.where(mask, values, 0.0), mask], -1)
        hidden = nn.gelu(nn.Dense(self.dim, name=f"{name}_hidden")(features))
        return nn.Dense(self.dim, name=name)(hidden)[:, None], mask.any(-1, keepdims=True)


class Mixer(nn.Module):
    """Transformer over several groups of tokens.

    `joint`: every token attends to all tokens. `bottleneck`: a token attends to its own group and
    to a few tokens that all groups share, which carry all information between groups (Nagrani et
    al., Attention bottlenecks for multimodal fusion, NeurIPS 2021). A group without known tokens
    does not change the shared tokens.

    Attributes:
      layers, heads, dropout: of the transformer.
      mode: one of `MODES`.
      bottlenecks: number of shared tokens.
    """

    layers: int
    heads: int
    dropout: float
    mode: str
    bottlenecks: int
    dtype: Dtype

    @nn.compact
    def __call__(
        self,
        groups: Mapping[str, Float[Array, "B K D"]],
        masks: Mapping[str, Bool[Array, "B K"]],
        times: Times | None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B K D"]]:
        """Mixes the tokens; K differs between groups.

        Args:
          groups: tokens of each group.
          masks: which of them are known.
          times: for causal models (mode `joint`): times of all tokens, group after group.
          train: whether dropout is active.

        Returns:
          The mixed tokens of each group.
        """
        if self.mode == "bottleneck":
            return self._bottleneck(groups, masks, train=train)
        names = list(groups)
        x = jnp.concatenate([groups[name] for name in names], 1)
        mask = jnp.concatenate([masks[name] for name in names], 1)
        for i in range(self.layers):
            x = self._block(f"layer_{i}")(x, mask=mask, times=times, train=train)
        ends = [sum(groups[n].shape[1] for n in names[: i + 1]) for i in range(len(names))]
        return dict(zip(names, jnp.split(x, ends[:-1], axis=1), strict=True))

    def _bottleneck(
        self,
        groups: Mapping[str, Float[Array, "B K D"]],
        masks: Mapping[str, Bool[Array, "B K"]],
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B K D"]]:
        names, mixed = list(groups), dict(groups)
        first = groups[names[0]]
        b, _, d = first.shape
        shared = self.param("bottleneck", nn.initializers.normal(0.02), (self.bottlenecks, d))
        shared = jnp.broadcast_to(shared.astype(first.dtype), (b, self.bottlenecks, d))
        weight = jnp.stack([masks[name].any(1) for name in names]).astype(first.dtype)
        weight = (weight / jnp.maximum(weight.sum(0), 1.0))[..., None, None]
        always = jnp.ones((b, self.bottlenecks), bool)
        for i in range(self.layers):
            shared_of_groups = []
            for name in names:
                x = jnp.concatenate([mixed[name], shared], 1)
                mask = jnp.concatenate([masks[name], always], 1)
                x = self._block(f"layer_{i}_{name}")(x, mask=mask, train=train)
                mixed[name] = x[:, : -self.bottlenecks]
                shared_of_groups.append(x[:, -self.bottlenecks :])
            shared = (jnp.stack(shared_of_groups) * weight).sum(0)
        return mixed

    def _block(self, name: str) -> Block:
        return Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=name)
