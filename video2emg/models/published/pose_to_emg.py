"""Published pose → EMG systems with the inputs and outputs of `Video2EMG`."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from video2emg.core import vocabulary
from video2emg.models.blocks import Dtype
from video2emg.models.outputs import Outputs
from video2emg.models.published.mia import MIATransformer
from video2emg.models.published.tds import TDS, TemporalCNN

CHANNELS = len(vocabulary.SIDES) * len(vocabulary.MUSCLES)
NAMES = ("mia", "tds", "temporal_cnn")

# Smaller than the originals, which were trained on tens of hours of recordings.
_STAGES = (
    dict(channels=16, width=8, blocks=1, window=5, embed=5),
    dict(channels=16, width=8, blocks=2, window=9, embed=5),
)


class PoseToEMG(nn.Module):
    """A network over time on joint positions, with one output channel per muscle and side.

    As in the originals, the number of outputs is fixed, so a saved model fits only the muscle
    vocabulary of its training.

    Attributes:
      system: one of `NAMES`.
      samples: EMG samples per pose sample.
      settings: of the network, except its outputs.
    """

    system: str
    samples: int
    settings: Mapping[str, Any]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, batch: Mapping[str, jax.typing.ArrayLike], *, train: bool
    ) -> tuple[Outputs, dict[str, Any]]:
        """Predicts EMG for a batch of windows.

        Args:
          batch: pose [B, T, J, 3] m relative to the hips, pose_mask [B, T, J]; muscle and side
            [B, M]; see `core.batch.FIELDS`.
          train: whether dropout is active.

        Returns:
          The outputs and a dictionary of intermediate tensors for inspection.
        """
        pose, known = jnp.asarray(batch["pose"]), jnp.asarray(batch["pose_mask"])
        b, t = pose.shape[:2]
        x = jnp.where(known[..., None], pose, 0.0).reshape(b, t, -1)
        if self.system == "tds":
            settings: dict[str, Any] = {"stages": _STAGES, **self.settings}
            net: nn.Module = TDS(CHANNELS, self.samples, **settings, name="network")
        else:
            kind = {"mia": MIATransformer, "temporal_cnn": TemporalCNN}[self.system]
            outputs = self.samples * CHANNELS
            net = kind(outputs=outputs, **self.settings, dtype=self.dtype, name="network")
        channels = net(x, train=train).reshape(b, t * self.samples, CHANNELS)
        index = jnp.asarray(batch["side"]) * len(vocabulary.MUSCLES) + jnp.asarray(batch["muscle"])
        emg = jnp.take_along_axis(channels, index[:, None], axis=2)
        return Outputs(emg=emg), {"all_channels": channels}
