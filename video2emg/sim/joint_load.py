"""What joints transmit besides the moments of the muscles: compression, moments across a hinge.

Newton-Euler equations give the net force and moment at a joint: what the part of the body beyond it
needs, given its motion, its weight, and the forces of floor and bench. The net force is that of the
joint surfaces and of the muscles that cross the joint together.
"""

import dataclasses

import mujoco
import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.sim import dynamics, kinematics, static_optimisation
from video2emg.sim.record import Performance
from video2emg.sim.subject import Subject
from video2emg.sim.tempo import POSE_RATE

_SHIFT = 1e-5  # m, for the derivative of a muscle's length


@dataclasses.dataclass(frozen=True)
class JointLoad:
    """Loads at K instants.

    Attributes:
      time: [K] s.
      lumbar_compression: [K] N, force that presses the joint between pelvis and abdomen together,
        along the abdomen. It is that of gravity, motion, load and bench, and of the muscles that
        cross the joint. The model has neither pressure in the abdomen, which would lower it, nor a
        psoas from the lumbar spine, which would raise it.
      knee_frontal: [K, S] N·m, magnitude of the net moment at the left and right knee in the
        frontal plane of the shank, which ligaments and bones resist.
    """

    time: Float[np.ndarray, " K"]
    lumbar_compression: Float[np.ndarray, " K"]
    knee_frontal: Float[np.ndarray, "K S"]


def joint_load(performance: Performance, subject: Subject, every: int = 3) -> JointLoad:
    """Computes the loads of a performance whose load is carried in full.

    Args:
      performance: the set.
      subject: who.
      every: which samples to compute; 3 is every third one, 17 Hz: the motion has up to 6 Hz.
    """
    lifter, motion = performance.lifter, performance.motion
    model, data = lifter.model, mujoco.MjData(lifter.model)
    qpos = performance.qpos.copy()
    for row in qpos:
        mujoco.mj_normalizeQuat(model, row)
    qvel, qacc = dynamics.derivatives(model, qpos, POSE_RATE)
    capacity = static_optimisation.muscle_capacity(
        lifter, motion, subject, performance.remaining_capacity
    )
    tension = performance.solution.activation * capacity
    dynamics.place_bench(data, performance.support, performance.heading)
    contacts = performance.support.contacts if performance.support else ()
    ground = dynamics.Ground(model, contacts, performance.heading)
    knees = [model.body(f"shank_{side}").id for side in vocabulary.SIDES]
    index = np.arange(0, len(qpos), every)
    compression, frontal = np.zeros(len(index)), np.zeros((len(index), 2))
    for k, i in enumerate(index):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[i], qvel[i], qacc[i]
        mujoco.mj_inverse(model, data)
        data.xfrc_applied[:] = ground.by_body(model, data)
        mujoco.mj_rnePostConstraint(model, data)
        for s, knee in enumerate(knees):
            frontal[k, s] = abs(data.xmat[knee].reshape(3, 3)[:, 0] @ net_load(data, knee)[1])
        compression[k] = lumbar_compression(model, data, tension[i])
    return JointLoad(performance.time[index], compression, frontal)


def net_load(
    data: mujoco.MjData, body: int
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Net force and moment (about its origin) on a body from its parent, in the room, N and N·m."""
    moment, force = np.split(data.cfrc_int[body], 2)
    # MuJoCo gives the moment about the centre of mass of the whole body.
    centre = data.subtree_com[1]  # of the pelvis, the root
    return force, moment + kinematics.cross(centre - data.xpos[body], force)


def lumbar_compression(
    model: mujoco.MjModel, data: mujoco.MjData, tension: Float[np.ndarray, " n"]
) -> float:
    """Compression at one instant, N; changes the positions in `data`.

    A muscle that crosses the joint gets longer when abdomen and all beyond it are shifted upwards.
    By virtual work, its share of the compression is tension times that lengthening over the shift.
    """
    body = model.body("abdomen").id
    upwards = data.xmat[body].reshape(3, 3)[:, 2].copy()
    force, _ = net_load(data, body)
    length, place = data.ten_length.copy(), model.body_pos[body].copy()
    pelvis = data.xmat[model.body("pelvis").id].reshape(3, 3)
    model.body_pos[body] = place + _SHIFT * upwards @ pelvis
    mujoco.mj_kinematics(model, data)
    mujoco.mj_tendon(model, data)
    model.body_pos[body] = place
    return float(force @ upwards + tension @ (data.ten_length - length) / _SHIFT)
