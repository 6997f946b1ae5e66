"""Static optimisation of muscle activations, muscle properties, and the neural drive."""

import dataclasses
import functools

import mujoco
import numpy as np
from jaxtyping import Float
from scipy.sparse import csgraph

from video2emg.physics import anatomy
from video2emg.physics.constants import (
    BALL_RANGE,
    DELAY,
    FALL,
    HINGE_RANGE,
    RESIDUAL_COST,
    RISE,
)
from video2emg.sim import body
from video2emg.sim.body import Lifter
from video2emg.sim.dynamics import Motion
from video2emg.sim.subject import Subject

# Penalty, iterations and over-relaxation of the alternating direction method of multipliers (ADMM).
_PENALTY = 8.0
_ITERATIONS = 100
_OVER_RELAXATION = 1.6


@dataclasses.dataclass(frozen=True)
class Solution:
    """Result of the static optimisation.

    Attributes:
      activation: [T, n] 0-1.
      own: [T, n] 0-1, activation without the part that follows other heads.
      residual: [T, R] N·m, torque that the muscles do not produce.
      relative_residual: RMS of the residual over the RMS of the torque, without axial rotations.
    """

    activation: np.ndarray
    own: np.ndarray
    residual: np.ndarray
    relative_residual: float


def solve(
    lifter: Lifter,
    motion: Motion,
    subject: Subject,
    remaining: Float[np.ndarray, "T n"] | None = None,
    least: Float[np.ndarray, "T n"] | None = None,
) -> Solution:
    """Muscle activations that produce the torques of a motion with the least sum of squares.

    Minimises Σ a² + 0.5 Σ ((τ − M a) / tolerance)² with lower ≤ a ≤ 1. M is the moment arm times
    the force at the current length and velocity (Crowninshield & Brand, 1981, with squares). The
    lower bound is the co-contraction. A person whose heads have a common drive minimises the own
    drives instead, see `anatomy.common_drive`.

    Args:
      lifter: the model.
      motion: its torques, moment arms and muscle lengths.
      subject: who.
      remaining: share of each muscle's force that is not lost to fatigue; all by default.
      least: own activation that each muscle has at least, besides the co-contraction; 0-1.
    """
    capacity = muscle_capacity(lifter, motion, subject, remaining)
    moment = motion.moment_arm * capacity[:, None, :]
    lower = cocontraction(moment, motion.torque, subject)
    common = anatomy.common_drive(subject.anatomy, lifter.muscles, subject.common_drive)
    lower = np.maximum(lower - lower @ (common.T - np.eye(len(common))), 0.0)
    if least is not None:
        lower = np.clip(least, lower, 1.0)
    scaled = moment @ common / motion.tolerance[:, None]
    own = bounded_least_squares(scaled, motion.torque / motion.tolerance, lower)
    activation = np.minimum(own @ common.T, 1.0)
    residual = motion.torque - np.einsum("trn,tn->tr", moment, activation)
    keep = ~motion.axial
    ratio = np.sqrt(np.mean(residual[:, keep] ** 2) / np.mean(motion.torque[:, keep] ** 2))
    return Solution(activation, own, residual, float(ratio))


def muscle_capacity(
    lifter: Lifter,
    motion: Motion,
    subject: Subject,
    remaining: Float[np.ndarray, "T n"] | None = None,
) -> Float[np.ndarray, "T n"]:
    """Force of every muscle at full activation, N; the arguments are those of `solve`."""
    capacity = lifter.force * force_length_velocity(motion, subject)
    return capacity if remaining is None else capacity * remaining


def cocontraction(
    moment: Float[np.ndarray, "T R n"], torque: Float[np.ndarray, "T R"], subject: Subject
) -> Float[np.ndarray, "T n"]:
    """Lowest activation of every muscle: resting tone, and stiffness that grows with the torque.

    People stiffen a joint in proportion to its relative torque: the torque over the largest one
    that its muscles could produce. Unskilled people co-contract more.
    """
    strongest = np.maximum(np.abs(moment).sum(2) / 2, 1e-6)
    relative_torque = np.clip(np.abs(torque) / strongest, 0, 1)
    weight = np.abs(moment) / (np.abs(moment).sum(1, keepdims=True) + 1e-9)
    resting = 0.006 + 0.008 * (1 - subject.skill)
    gain = 0.06 + 0.16 * (1 - subject.skill)
    return resting + gain * np.einsum("tr,trn->tn", relative_torque, weight)


def bounded_least_squares(
    matrix: Float[np.ndarray, "T R n"],
    target: Float[np.ndarray, "T R"],
    lower: Float[np.ndarray, "T n"],
) -> Float[np.ndarray, "T n"]:
    """Minimises |a|² + 0.5 |target − matrix a|² with lower ≤ a ≤ 1 at every instant.

    Limbs and trunk share no muscles, so each is a smaller problem of its own.
    """
    solution = np.empty_like(lower)
    for rows, columns in _independent(matrix):
        part = matrix[:, rows][:, :, columns]
        solution[:, columns] = _by_admm(part, target[:, rows], lower[:, columns])
    return solution


def _independent(matrix: Float[np.ndarray, "T R n"]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of the parts that share no entry above rounding errors."""
    size = np.abs(matrix).max(0)
    n_rows, n_columns = size.shape
    linked = np.zeros((n_rows + n_columns, n_rows + n_columns), bool)
    linked[:n_rows, n_rows:] = ~(size <= 1e-12 * np.nanmax(size))  # NaN is a link
    n_parts, part = csgraph.connected_components(linked, directed=False)
    rows, columns = part[:n_rows], part[n_rows:]
    return [(np.flatnonzero(rows == k), np.flatnonzero(columns == k)) for k in range(n_parts)]


def _by_admm(
    matrix: Float[np.ndarray, "T R n"],
    target: Float[np.ndarray, "T R"],
    lower: Float[np.ndarray, "T n"],
) -> Float[np.ndarray, "T n"]:
    """Runs ADMM (Boyd et al., 2011) on all instants at once.

    By the Woodbury identity, the matrix to invert has the size of the torques, not of the muscles.
    """
    n = matrix.shape[2]
    transposed = np.swapaxes(matrix, 1, 2)
    diagonal = 1.0 + _PENALTY
    gram = np.eye(matrix.shape[1]) / RESIDUAL_COST + matrix @ transposed / diagonal
    inverse = (np.eye(n) - transposed @ np.linalg.solve(gram, matrix) / diagonal) / diagonal
    pull = np.einsum("tnk,tk->tn", inverse, RESIDUAL_COST * np.einsum("trn,tr->tn", matrix, target))
    inverse = _PENALTY * inverse
    z, u = lower.copy(), np.zeros_like(lower)
    for _ in range(_ITERATIONS):
        x = pull + np.matmul(inverse, (z - u)[..., None])[..., 0]
        x = _OVER_RELAXATION * x + (1 - _OVER_RELAXATION) * z
        z = np.clip(x + u, lower, 1.0)
        u += x - z
    return z


def force_length_velocity(motion: Motion, subject: Subject) -> Float[np.ndarray, "T n"]:
    """Force at full activation over the maximal isometric force.

    Each muscle's range of lengths in daily postures is mapped to 0.65-1.15 of its optimal length.
    The force-length relation is Gaussian, the force-velocity relation hyperbolic (Hill; Zajac,
    1989; Thelen, 2003). Tendons are stiff, and there are no passive forces.
    """
    shortest, longest = _length_range(_at_reference_size(subject))
    scale = subject.height / 1.75
    shortest, longest = shortest * scale, longest * scale
    span = np.maximum(longest - shortest, 0.02 * scale)
    length = 0.65 + 0.5 * (motion.length - shortest) / span
    by_length = np.exp(-(((np.clip(length, 0.5, 1.3) - 1) / 0.45) ** 2))
    optimum = 2 * span
    return by_length * force_velocity(motion.velocity / (10 * optimum))


def force_velocity(velocity: np.ndarray) -> np.ndarray:
    """Force over the isometric force.

    Args:
      velocity: in units of the maximal shortening velocity; positive when lengthening.
    """
    velocity = np.clip(velocity, -1, 1)
    shortening = (1 + velocity) / (1 - velocity / 0.25)
    lengthening = 1 + 0.4 * np.abs(velocity) / (np.abs(velocity) + 0.05)
    return np.clip(np.where(velocity < 0, shortening, lengthening), 0.05, 1.4)


def _at_reference_size(subject: Subject) -> Subject:
    """The reference person of the same sex and anatomy."""
    return dataclasses.replace(
        body.reference_subject(subject.female),
        table=subject.table,
        proportions=subject.proportions,
        variation=subject.variation,
    )


@functools.cache
def _length_range(person: Subject) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """First and 99th percentile of muscle lengths in random postures, m, at 1.75 m height."""
    model = body.build(person, "none", 0.0).model
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    lengths = np.zeros((400, model.ntendon))
    for i in range(len(lengths)):
        data.qpos[:] = model.qpos0
        for j in range(1, model.njnt):
            name, side = model.joint(j).name, -1 if model.joint(j).name.endswith("right") else 1
            base = name.removesuffix("_left").removesuffix("_right")
            address = model.jnt_qposadr[j]
            if base in HINGE_RANGE:
                data.qpos[address] = rng.uniform(*HINGE_RANGE[base])
            elif base in BALL_RANGE:
                abduction, flexion, turn = (rng.uniform(*limits) for limits in BALL_RANGE[base])
                vector = np.array([side * abduction, -flexion, turn])
                angle = np.linalg.norm(vector)
                data.qpos[address] = np.cos(angle / 2)
                direction = vector / (angle + 1e-9)
                data.qpos[address + 1 : address + 4] = direction * np.sin(angle / 2)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_tendon(model, data)
        lengths[i] = data.ten_length
    return np.percentile(lengths, 1, axis=0), np.percentile(lengths, 99, axis=0)


def neural_drive(activation: Float[np.ndarray, "T n"], rate: float) -> Float[np.ndarray, "T n"]:
    """Neural drive that leads to an activation: inverts the activation dynamics and the delay.

    Args:
      activation: 0-1.
      rate: of the samples, Hz.
    """
    change = np.gradient(activation, 1 / rate, axis=0)
    drive = activation + np.where(change > 0, RISE, FALL) * change
    lead = round(DELAY * rate)
    drive = np.concatenate([drive[lead:], np.repeat(drive[-1:], lead, axis=0)])
    return np.clip(drive, 0.0, 1.0)
