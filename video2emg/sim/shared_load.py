"""How the joint torques change if one of two feet carries more of the weight."""

import mujoco
import numpy as np
from jaxtyping import Float

_SIDES = ("left", "right")


class SharedLoad:
    """The weight of body and load on both feet."""

    def __init__(self, model: mujoco.MjModel):
        """Finds the feet."""
        self._jacobian = np.zeros((6, model.nv))
        self._bodies = [model.body(f"foot_{side}").id for side in _SIDES]
        self._soles = [model.site(f"sole_{side}").id for side in _SIDES]

    def torque(self, model: mujoco.MjModel, data: mujoco.MjData) -> Float[np.ndarray, " nv"]:
        """Change of the joint torques per share of the weight that moves from right to left.

        The left foot gets the vertical force F and the right one −F. The moment of this pair is
        balanced by equal and opposite moments at both feet: the centre of pressure moves within
        each foot. So the wrench on the whole body is zero, and the movement is the same.

        Args:
          model: the body.
          data: after `mj_inverse`.
        """
        points = data.site_xpos[self._soles]
        force = np.array([0.0, 0.0, data.qfrc_inverse[2]])  # the floor carries body and load
        moment = -np.cross(points[0] - points[1], force) / 2
        change = np.zeros(model.nv)
        for sign, body, point in zip((1, -1), self._bodies, points, strict=True):
            mujoco.mj_jac(model, data, self._jacobian[:3], self._jacobian[3:], point, body)
            change -= self._jacobian.T @ np.concatenate([sign * force, moment])
        return change
