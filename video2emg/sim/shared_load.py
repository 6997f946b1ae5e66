"""How the joint torques change if one of two hands or feet carries more of the load they share."""

import typing

import mujoco
import numpy as np
from jaxtyping import Float

Shared = typing.Literal["feet", "hands"]
_SIDES = ("left", "right")


class SharedLoad:
    """The body weight on both feet, or a barbell in both hands."""

    def __init__(self, model: mujoco.MjModel, shared: Shared):
        """Finds the contacts.

        Args:
          model: the body; with a barbell in the hands if they share a load.
          shared: which contacts share it.
        """
        self._jacobian = np.zeros((6, model.nv))
        self._of_feet = shared == "feet"
        segment = "foot" if self._of_feet else "hand"
        self._bodies = [model.body(f"{segment}_{side}").id for side in _SIDES]
        if self._of_feet:
            self._soles = [model.site(f"sole_{side}").id for side in _SIDES]
        else:
            self._bars = [model.body(f"barbell_{side}").id for side in _SIDES]

    def torque(self, model: mujoco.MjModel, data: mujoco.MjData) -> Float[np.ndarray, " nv"]:
        """Change of the joint torques per share of the load that moves from right to left.

        The left contact gets the vertical force F and the right one −F. The moment of this pair is
        balanced by equal and opposite moments at both contacts: the centre of pressure moves within
        each foot, or the wrists turn against the bar. So the wrench on the whole body is zero, and
        the movement is the same.

        Args:
          model: the body.
          data: after `mj_inverse`.
        """
        if self._of_feet:
            points = data.site_xpos[self._soles]
            push = data.qfrc_inverse[2]  # the floor carries body and load
        else:
            points = data.xpos[self._bars]
            mujoco.mj_rnePostConstraint(model, data)
            push = -data.cfrc_int[self._bars, 5].sum()  # the bar pushes the hands down
        force = np.array([0.0, 0.0, push])
        moment = -np.cross(points[0] - points[1], force) / 2
        change = np.zeros(model.nv)
        for sign, body, point in zip((1, -1), self._bodies, points, strict=True):
            mujoco.mj_jac(model, data, self._jacobian[:3], self._jacobian[3:], point, body)
            change -= self._jacobian.T @ np.concatenate([sign * force, moment])
        return change
