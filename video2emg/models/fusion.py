"""What a model is given beside pictures, and how tokens of several modalities meet.

Whatever is missing is masked: its tokens are seen by nobody, and say nothing themselves.
"""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Block, Dtype, When, time_embedding
from video2emg.models.encoders import PoseMLP

OF_ALL_TIMES = ("load", "traits")  # known before the movement begins
MODES = ("joint", "bottleneck")
_TYPICAL = {  # centre and spread that bring numbers to order one
    "vitals": ((100.0, 18.0), (30.0, 6.0)),  # 1/min
    "traits": ((1.7, 70.0, 0.5), (0.1, 15.0, 0.5)),  # m, kg, share of women
}


class Beside(nn.Module):
    """Tokens of what is given beside pictures.

    Attributes:
      inputs: names of `vocabulary.INPUTS`.
      dim: D.
      frame_rate: Hz, of the pose.
      timed: whether tokens carry when they were (causal models reckon with differences of time).
    """

    inputs: Sequence[str]
    dim: int
    frame_rate: float
    timed: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, batch: Mapping[str, jax.Array], *, train: bool
    ) -> dict[str, tuple[Float[Array, "B K D"], Bool[Array, "B K"], Float[Array, " K"]]]:
        """Tokens, whether they are known, and when they were (s), of every input.

        Args:
          batch: pose [B, T, J, 3] m and pose_mask; load [B] kg and load_mask; vitals [B, 2] 1/min
            and vitals_mask; traits [B, 3] m, kg, 0 or 1, and traits_mask.
          train: as elsewhere.
        """
        found = {}
        for name in self.inputs:
            if name == "pose":
                pose, mask = batch["pose"], batch["pose_mask"]
                look = PoseMLP(self.dim, self.frame_rate, dtype=self.dtype, name="pose")
                tokens, known = look(pose, mask, train=train), mask.any(-1)
                told = jnp.arange(pose.shape[1]) / self.frame_rate
                if self.timed:
                    tokens += nn.Dense(self.dim, name="when")(time_embedding(told, self.dim))
            else:
                value, mask = batch[name], batch[f"{name}_mask"]
                if name == "load":
                    value, mask = jnp.log1p(value)[:, None] / 3.0, mask[:, None]
                else:
                    centre, spread = map(jnp.asarray, _TYPICAL[name])
                    value = (value - centre) / spread
                told_of = jnp.concatenate([jnp.where(mask, value, 0.0), mask], -1)
                hidden = nn.gelu(nn.Dense(self.dim, name=f"{name}_hidden")(told_of))
                tokens = nn.Dense(self.dim, name=name)(hidden)[:, None]
                known, told = mask.any(-1, keepdims=True), jnp.zeros(1)
            kind = self.param(f"{name}_kind", nn.initializers.normal(0.02), (self.dim,))
            found[name] = ((tokens + kind).astype(self.dtype), known, told)
        return found


class Mixer(nn.Module):
    """Transformer over the tokens of several groups.

    `joint`: every token sees every other. `bottleneck`: tokens see their own group, and a few
    tokens that all groups share; what passes between groups passes through these (Nagrani et al.,
    Attention bottlenecks for multimodal fusion, NeurIPS 2021). A group of which nothing is known
    has no say in them.

    Attributes:
      layers, heads, dropout: of the transformer.
      mode: see above.
      bottlenecks: how many shared tokens.
    """

    layers: int
    heads: int
    dropout: float
    mode: str = "joint"
    bottlenecks: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        groups: Mapping[str, Float[Array, "B K D"]],
        masks: Mapping[str, Bool[Array, "B K"]],
        when: When | None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B K D"]]:
        """Mixed tokens of each group; `when` is of all of them in order, for causal models.

        K differs between groups.
        """

        def block(name: str) -> Block:
            return Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=name)

        names = list(groups)
        if self.mode == "joint":
            x = jnp.concatenate([groups[name] for name in names], 1)
            mask = jnp.concatenate([masks[name] for name in names], 1)
            for i in range(self.layers):
                x = block(f"layer_{i}")(x, mask=mask, when=when, train=train)
            ends = [sum(groups[n].shape[1] for n in names[: i + 1]) for i in range(len(names))]
            return dict(zip(names, jnp.split(x, ends[:-1], axis=1), strict=True))
        found = dict(groups)
        first = groups[names[0]]
        b, _, d = first.shape
        shared = self.param("bottleneck", nn.initializers.normal(0.02), (self.bottlenecks, d))
        shared = jnp.broadcast_to(shared.astype(first.dtype), (b, self.bottlenecks, d))
        weight = jnp.stack([masks[name].any(1) for name in names]).astype(first.dtype)
        weight = (weight / jnp.maximum(weight.sum(0), 1.0))[..., None, None]
        always = jnp.ones((b, self.bottlenecks), bool)
        for i in range(self.layers):
            said = []
            for name in names:
                x = jnp.concatenate([found[name], shared], 1)
                mask = jnp.concatenate([masks[name], always], 1)
                x = block(f"layer_{i}_{name}")(x, mask=mask, train=train)
                found[name] = x[:, : -self.bottlenecks]
                said.append(x[:, -self.bottlenecks :])
            shared = (jnp.stack(said) * weight).sum(0)
        return found
