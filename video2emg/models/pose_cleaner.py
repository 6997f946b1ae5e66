"""The pose without the errors of an estimator, as far as the movement of the body tells.

Axes as in `pose_network`: S sides, T frames, I instants, J joints.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.mechanics_prior import spline
from video2emg.models.outputs import complete
from video2emg.models.pose_network import PoseNetwork, interpolation, mirrored_pose, resample


class PoseCleaner(nn.Module):
    """Corrects a pose; before training it only smooths it.

    Attributes:
      network: makes features of the pose; its joints and rates are those of the pose.
    """

    network: PoseNetwork

    @nn.compact
    def __call__(
        self, pose: Float[Array, "B T J 3"], known: Bool[Array, "B T J"], *, train: bool
    ) -> tuple[Float[Array, "B T J 3"], Bool[Array, "B T J"]]:
        """Corrects the known joints and finds the others.

        Args:
          pose: in the canonical frame (`core.body_frame`), m.
          known: which joints are known.
          train: whether dropout is active.

        Returns:
          The pose in the same frame, and what is known (`outputs.complete`).
        """
        network, (b, t, j, _) = self.network, pose.shape
        features = network(pose, known, train=train)
        instants = features.shape[2]
        change = nn.Dense(j * 3, kernel_init=nn.initializers.zeros, name="change")(
            features.astype(jnp.float32)
        ).reshape(b, 2, instants, j, 3)
        change = (change[:, 0] + mirrored_pose(change[:, 1], network.joints)) / 2
        given = pose.reshape(b, 1, t, -1), jnp.repeat(known, 3, 2)[:, None]
        weight = interpolation(t, network.frame_rate, instants, network.rate)
        smooth = resample(given, weight)[0].reshape(b, instants, j, 3)
        to_frames = spline(instants, network.rate, t, network.frame_rate)
        cleaned = jnp.einsum("ti,bijx->btjx", to_frames, smooth + change)
        return cleaned, complete(known)
