"""Who pulls how hard: static optimisation, muscle properties, and the excitation before force."""

import dataclasses
import functools

import mujoco
import numpy as np
from jaxtyping import Float

from video2emg.sim import body
from video2emg.sim.body import Lifter
from video2emg.sim.dynamics import Motion
from video2emg.sim.subject import Subject

# Cost of missing a torque by its tolerance, in units of (activation)².
_MISS = 0.5
_STEP = 8.0  # of the splitting algorithm
_ROUNDS = 100
_RELAX = 1.6
DELAY = 0.04  # s from EMG to force (electromechanical delay; Cavanagh & Komi, 1979)
RISE, FALL = 0.015, 0.05  # s, activation and deactivation (Thelen, 2003)


@dataclasses.dataclass(frozen=True)
class Shares:
    """Result of the sharing.

    Attributes:
      activation: [T, n] 0-1.
      residual: [T, R] N·m, torque that the muscles do not produce.
      miss: RMS of the residual over the RMS of the torque, axial rotations left out.
    """

    activation: np.ndarray
    residual: np.ndarray
    miss: float


def share(lifter: Lifter, motion: Motion, subject: Subject) -> Shares:
    """Muscle activations that produce a motion's torques with the least sum of squares.

    Minimises Σ a² + 0.5 Σ ((τ − M a) / tolerance)² with floor ≤ a ≤ 1, where M holds levers times
    the force at the present length and speed (Crowninshield & Brand, 1981, with squares).
    """
    capacity = lifter.force * force_length_speed(motion, subject, lifter)
    moment = motion.lever * capacity[:, None, :]
    floor = cocontraction(moment, motion.torque, subject)
    scaled = moment / motion.tolerance[:, None]
    activation = bounded_least_squares(scaled, motion.torque / motion.tolerance, floor)
    residual = motion.torque - np.einsum("trn,tn->tr", moment, activation)
    keep = ~motion.axial
    miss = np.sqrt(np.mean(residual[:, keep] ** 2) / np.mean(motion.torque[:, keep] ** 2))
    return Shares(activation, residual, float(miss))


def cocontraction(
    moment: Float[np.ndarray, "T R n"], torque: Float[np.ndarray, "T R"], subject: Subject
) -> Float[np.ndarray, "T n"]:
    """Lowest activation of every muscle: a resting tone, and stiffness that grows with the effort.

    People brace joints in proportion to what they demand, the unskilled more. The effort of a
    degree of freedom is its torque over what its muscles could produce.
    """
    strongest = np.maximum(np.abs(moment).sum(2) / 2, 1e-6)
    effort = np.clip(np.abs(torque) / strongest, 0, 1)
    part = np.abs(moment) / (np.abs(moment).sum(1, keepdims=True) + 1e-9)
    rest = 0.006 + 0.008 * (1 - subject.skill)
    gain = 0.06 + 0.16 * (1 - subject.skill)
    return rest + gain * np.einsum("tr,trn->tn", effort, part)


def bounded_least_squares(
    matrix: Float[np.ndarray, "T R n"],
    target: Float[np.ndarray, "T R"],
    floor: Float[np.ndarray, "T n"],
) -> Float[np.ndarray, "T n"]:
    """Minimises |a|² + 0.5 |target − matrix a|² with floor ≤ a ≤ 1 at every instant.

    Alternating direction method of multipliers (Boyd et al., 2011) on all instants at once; the
    matrix to invert has the size of the torques, not of the muscles (Woodbury).
    """
    n = matrix.shape[2]
    transposed = np.swapaxes(matrix, 1, 2)
    diagonal = 1.0 + _STEP
    gram = np.eye(matrix.shape[1]) / _MISS + matrix @ transposed / diagonal
    inverse = (np.eye(n) - transposed @ np.linalg.solve(gram, matrix) / diagonal) / diagonal
    pull = np.einsum("tnk,tk->tn", inverse, _MISS * np.einsum("trn,tr->tn", matrix, target))
    inverse = _STEP * inverse
    z, u = floor.copy(), np.zeros_like(floor)
    for _ in range(_ROUNDS):
        x = pull + np.matmul(inverse, (z - u)[..., None])[..., 0]
        x = _RELAX * x + (1 - _RELAX) * z
        z = np.clip(x + u, floor, 1.0)
        u += x - z
    return z


def force_length_speed(
    motion: Motion, subject: Subject, lifter: Lifter
) -> Float[np.ndarray, "T n"]:
    """Force at full activation over the maximal isometric force.

    Lengths are placed in 0.65-1.15 of the optimum over each muscle's range in daily postures;
    Gaussian force-length and hyperbolic force-speed relations (Hill; Zajac, 1989; Thelen, 2003).
    Tendons are stiff and passive forces are left out.
    """
    shortest, longest = _length_range(subject.female, lifter.muscles)
    scale = subject.height / 1.75
    shortest, longest = shortest * scale, longest * scale
    span = np.maximum(longest - shortest, 0.02 * scale)
    length = 0.65 + 0.5 * (motion.length - shortest) / span
    by_length = np.exp(-(((np.clip(length, 0.5, 1.3) - 1) / 0.45) ** 2))
    optimum = 2 * span
    return by_length * force_speed(motion.speed / (10 * optimum))


def force_speed(speed: np.ndarray) -> np.ndarray:
    """Force over the isometric one at a speed in units of the fastest; lengthening is positive."""
    speed = np.clip(speed, -1, 1)
    shortening = (1 + speed) / (1 - speed / 0.25)
    lengthening = 1 + 0.4 * np.abs(speed) / (np.abs(speed) + 0.05)
    return np.clip(np.where(speed < 0, shortening, lengthening), 0.05, 1.4)


_RANGE = {
    "lumbar_flexion": (-0.4, 0.9),
    "lumbar_bend": (-0.3, 0.3),
    "lumbar_turn": (-0.3, 0.3),
    "thoracic": (-0.2, 0.3),
    "elbow": (0, 2.5),
    "pronation": (-1, 1.4),
    "wrist": (-0.5, 0.5),
    "clavicle": (-0.1, 0.5),
    "knee": (0, 2.2),
    "ankle": (-0.6, 0.5),
    "subtalar": (-0.3, 0.3),
    "neck": (-0.3, 0.3),
}  # rad
_BALL_RANGE = {
    "shoulder": ((-0.2, 1.8), (-0.8, 1.8), (-0.6, 0.6)),
    "hip": ((-0.3, 0.5), (-0.3, 1.9), (-0.4, 0.4)),
}  # abduction, flexion, turn


@functools.cache
def _length_range(
    female: bool, muscles: tuple[str, ...]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """First and 99th percentile of the muscles' lengths in random postures, m, at 1.75 m height."""
    model = body.build(body.reference_subject(female), "none", 0.0).model
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    lengths = np.zeros((400, len(muscles)))
    for i in range(len(lengths)):
        data.qpos[:] = model.qpos0
        for j in range(1, model.njnt):
            name, side = model.joint(j).name, -1 if model.joint(j).name.endswith("right") else 1
            base = name.removesuffix("_left").removesuffix("_right")
            at = model.jnt_qposadr[j]
            if base in _RANGE:
                data.qpos[at] = rng.uniform(*_RANGE[base])
            elif base in _BALL_RANGE:
                abduction, flexion, turn = (rng.uniform(*limits) for limits in _BALL_RANGE[base])
                vector = np.array([side * abduction, -flexion, turn])
                angle = np.linalg.norm(vector)
                data.qpos[at] = np.cos(angle / 2)
                data.qpos[at + 1 : at + 4] = vector / (angle + 1e-9) * np.sin(angle / 2)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_tendon(model, data)
        lengths[i] = data.ten_length
    return np.percentile(lengths, 1, axis=0), np.percentile(lengths, 99, axis=0)


def excitation(activation: Float[np.ndarray, "T n"], rate: float) -> Float[np.ndarray, "T n"]:
    """Neural drive that leads to an activation: first-order dynamics undone, and the delay.

    Args:
      activation: 0-1.
      rate: of the samples, Hz.
    """
    change = np.gradient(activation, 1 / rate, axis=0)
    drive = activation + np.where(change > 0, RISE, FALL) * change
    lead = round(DELAY * rate)
    drive = np.concatenate([drive[lead:], np.repeat(drive[-1:], lead, axis=0)])
    return np.clip(drive, 0.0, 1.0)
