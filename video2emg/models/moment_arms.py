"""Joint torques from EMG: a regulariser that makes the EMG explain the joint torques.

A joint torque is the sum of the torques of the muscles that cross the joint. For one posture, the
torque of a muscle is about proportional to its EMG (Lawrence & De Luca, J. Appl. Physiol. 54,
1983). Each muscle has one learned torque at full activation for every joint that it crosses; the
direction comes from anatomy. Changes of moment arms, of muscle lengths and velocities, and muscles
without electrodes are left out, so this is no model of the joint.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary

# Direction in which a muscle turns the joints that it crosses (Kendall, Muscles: Testing and
# Function).
_ACTIONS = {
    "biceps_brachii": "+elbow_flexion +shoulder_flexion",
    "triceps_brachii": "-elbow_flexion -shoulder_flexion",
    "brachioradialis": "+elbow_flexion",
    "anterior_deltoid": "+shoulder_flexion +shoulder_abduction",
    "medial_deltoid": "+shoulder_abduction",
    "posterior_deltoid": "-shoulder_flexion",
    "latissimus_dorsi": "-shoulder_flexion -shoulder_abduction",
    "pectoralis_major": "+shoulder_flexion -shoulder_abduction",
    "rectus_abdominis": "-lumbar_extension",
    "external_oblique": "-lumbar_extension",
    "erector_spinae": "+lumbar_extension",
    "gluteus_maximus": "+hip_extension",
    "gluteus_medius": "+hip_abduction",
    "rectus_femoris": "-hip_extension +knee_extension",
    "vastus_lateralis": "+knee_extension",
    "vastus_medialis": "+knee_extension",
    "biceps_femoris": "+hip_extension -knee_extension",
    "semitendinosus": "+hip_extension -knee_extension",
    "adductor_magnus": "+hip_extension -hip_abduction",
    "tibialis_anterior": "-ankle_plantarflexion",
    "gastrocnemius": "+ankle_plantarflexion -knee_extension",
    "soleus": "+ankle_plantarflexion",
    "quadriceps": "+knee_extension",
    "hamstrings": "+hip_extension -knee_extension",
}


def _directions() -> np.ndarray:
    """[sides, muscles, dofs]: +1, −1, or 0 where a muscle of that side does not turn the joint."""
    directions = np.zeros((len(vocabulary.SIDES), len(vocabulary.MUSCLES), len(vocabulary.DOFS)))
    for s, side in enumerate(vocabulary.SIDES):
        for muscle, actions in _ACTIONS.items():
            for action in actions.split():
                joint = action[1:]
                name = joint if joint in vocabulary.DOFS else f"{side}_{joint}"
                m, d = vocabulary.MUSCLES.index(muscle), vocabulary.DOFS.index(name)
                directions[s, m, d] = float(f"{action[0]}1")
    return directions.astype(np.float32)


DIRECTIONS = _directions()


def agonists(
    muscle: Int[Array, "B M"], side: Int[Array, "B M"], known: Bool[Array, "B M"]
) -> tuple[Bool[Array, "B D"], Bool[Array, "B D"]]:
    """Joints that some known channel turns in the positive, and in the negative direction."""
    directions = jnp.asarray(DIRECTIONS)[side, muscle] * known[..., None]
    return (directions > 0).any(1), (directions < 0).any(1)


def at_frames(samples: Float[Array, "B N M"], frames: int) -> Float[Array, "B T M"]:
    """Means of an envelope around the time of each frame, half a frame interval to both sides."""
    n = samples.shape[1]
    distance = np.abs(np.arange(n) * frames / n - np.arange(frames)[:, None])
    near = distance <= np.maximum(0.5, distance.min(1, keepdims=True))
    near = near.astype(np.float32)
    return jnp.einsum("tn,bnm->btm", near / near.sum(1, keepdims=True), samples)


class MomentArms(nn.Module):
    """The joint torques `vocabulary.DOFS` as a sum of what each EMG channel contributes."""

    @nn.compact
    def __call__(
        self,
        emg: Float[Array, "B N M"],
        muscle: Int[Array, "B M"],
        side: Int[Array, "B M"],
        known: Bool[Array, "B M"],
        frames: int,
        *,
        learn: bool,
    ) -> Float[Array, "B T D"]:
        """Joint torques at the time of each frame, N·m.

        Args:
          emg: envelope, as a fraction of the normalisation.
          muscle: index of each channel in `vocabulary.MUSCLES`.
          side: index of each channel in `vocabulary.SIDES`.
          known: which channels were measured; the others contribute nothing.
          frames: T.
          learn: whether the moment arms get a gradient, or the EMG alone.
        """
        shape = (vocabulary.ROOM_MUSCLES, len(vocabulary.DOFS))
        raw = self.param("moment_arms", nn.initializers.constant(-0.5), shape)
        full = 100.0 * nn.softplus(raw)  # torque at full activation, the same for both sides
        if not learn:
            full = jax.lax.stop_gradient(full)
        arms = jnp.asarray(DIRECTIONS)[side, muscle] * full[muscle] * known[..., None]
        return jnp.einsum("btm,bmd->btd", at_frames(emg, frames), arms)
