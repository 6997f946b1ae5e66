"""Moments of whole joints from the torques of their degrees of freedom."""

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary

# The degrees of freedom of each joint; those of pairs of joints without the side.
JOINTS = {
    "knee": ("knee_extension",),
    "hip": ("hip_extension", "hip_abduction"),
    "ankle": ("ankle_plantarflexion",),
    "shoulder": ("shoulder_flexion", "shoulder_abduction"),
    "elbow": ("elbow_flexion",),
    "lumbar": ("lumbar_extension",),
}


def peaks(torque: Float[np.ndarray, "T D"]) -> dict[str, float]:
    """Peak moment of each of `JOINTS`, N·m: the larger side; directions of a joint as one vector.

    Args:
      torque: of one or more instants, in the order of `vocabulary.DOFS`.
    """
    moments = {}
    for joint, names in JOINTS.items():
        sides = [""] if joint == "lumbar" else [f"{side}_" for side in vocabulary.SIDES]
        columns = [[vocabulary.DOFS.index(f"{side}{name}") for name in names] for side in sides]
        moments[joint] = float(max(np.linalg.norm(torque[:, c], axis=1).max() for c in columns))
    return moments
