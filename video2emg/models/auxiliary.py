"""Auxiliary inputs beside the video, as tokens.

Missing inputs are masked: their tokens hold no information.
"""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Dtype
from video2emg.models.encoders import PoseMLP

CONSTANT_INPUTS = ("load", "traits")  # known before the movement begins
_MEAN_AND_SD = {  # to standardise the values
    "vitals": ((100.0, 18.0), (30.0, 6.0)),  # 1/min
    "traits": ((1.7, 70.0, 0.5), (0.1, 15.0, 0.5)),  # m, kg, share of women
}

# Tokens [B, K, D], and which of them are known [B, K].
Group = tuple[Float[Array, "B K D"], Bool[Array, "B K"]]


class AuxiliaryInputs(nn.Module):
    """Turns auxiliary inputs into tokens.

    Attributes:
      inputs: names of `vocabulary.INPUTS`.
      dim: D.
      frame_rate: of the pose, Hz.
    """

    inputs: Sequence[str]
    dim: int
    frame_rate: float
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
            values, mask = batch[name], batch[f"{name}_mask"]
            if name == "pose":
                encoder = PoseMLP(self.dim, self.frame_rate, self.dtype, name="pose")
                tokens, known = encoder(values, mask, train=train), mask.any(-1)
            else:
                tokens, known = self._values(name, values, mask)
            kind = self.param(f"{name}_kind", nn.initializers.normal(0.02), (self.dim,))
            groups[name] = ((tokens + kind).astype(self.dtype), known)
        return groups

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
