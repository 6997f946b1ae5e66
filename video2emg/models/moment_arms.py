"""Joint torques out of EMG: muscles pull on the joints that they cross.

A joint torque is the sum of what each muscle exerts, and a muscle's EMG is a measure of that: near
enough proportional for one posture (Lawrence & De Luca, J. Appl. Physiol. 54, 1983). Here every
muscle has one learned torque at full activation for each joint that it crosses, in the direction
that anatomy gives it. Changing levers, lengths and speeds, and muscles without electrodes, are left
out; so this is a regulariser for EMG and no model of the joint.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary

# Which way a muscle turns the joints that it crosses (Kendall, Muscles: Testing and Function).
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
    """[sides, muscles, dofs] +1, −1, or 0 where a muscle of that side does not turn the joint."""
    found = np.zeros((len(vocabulary.SIDES), len(vocabulary.MUSCLES), len(vocabulary.DOFS)))
    for s, side in enumerate(vocabulary.SIDES):
        for muscle, actions in _ACTIONS.items():
            for action in actions.split():
                joint = action[1:]
                name = joint if joint in vocabulary.DOFS else f"{side}_{joint}"
                at = vocabulary.MUSCLES.index(muscle), vocabulary.DOFS.index(name)
                found[s][at] = float(f"{action[0]}1")
    return found.astype(np.float32)


DIRECTIONS = _directions()


def agonists(
    muscle: Int[Array, "B M"], side: Int[Array, "B M"], known: Bool[Array, "B M"]
) -> tuple[Bool[Array, "B D"], Bool[Array, "B D"]]:
    """Joints that a known channel turns in the positive, and in the negative direction."""
    turns = jnp.asarray(DIRECTIONS)[side, muscle] * known[..., None]
    return (turns > 0).any(1), (turns < 0).any(1)


def at_frames(samples: Float[Array, "B N M"], frames: int) -> Float[Array, "B T M"]:
    """Means of an envelope around each of `frames` instants, half an interval to both sides."""
    n = samples.shape[1]
    off = np.abs(np.arange(n) * frames / n - np.arange(frames)[:, None])
    near = (off <= np.maximum(0.5, off.min(1, keepdims=True))).astype(np.float32)
    return jnp.einsum("tn,bnm->btm", near / near.sum(1, keepdims=True), samples)


class Levers(nn.Module):
    """What EMG explains of the joint torques `vocabulary.DOFS`."""

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
        """Torque in N·m at `frames` instants.

        Args:
          emg: fractions of the reference.
          muscle: of each channel, place in `vocabulary.MUSCLES`.
          side: place in `vocabulary.SIDES`.
          known: channels that there are; others pull at nothing.
          frames: T.
          learn: whether the levers may change for it, rather than the EMG alone.
        """
        shape = DIRECTIONS.shape[1:]
        full = 100.0 * nn.softplus(self.param("levers", nn.initializers.constant(-0.5), shape))
        if not learn:
            full = jax.lax.stop_gradient(full)
        # Left and right of a person are alike.
        pull = jnp.asarray(DIRECTIONS)[side, muscle] * full[muscle] * known[..., None]
        return jnp.einsum("btm,bmd->btd", at_frames(emg, frames), pull)
