"""Rotations, time profiles and inverse kinematics. x forward, y left, z up; time comes first."""

import functools

import numpy as np
from jaxtyping import Float
from scipy import signal, spatial


def rotation(axis: str, angle: Float[np.ndarray, " T"] | float) -> Float[np.ndarray, "*T 3 3"]:
    """Rotation matrices about `x`, `y` or `z` by `angle` in rad."""
    angle = np.asarray(angle, np.float64)
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    rows = {
        "x": [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]],
        "y": [[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]],
        "z": [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]],
    }[axis]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Matrices [..., 3, 3] times vectors [..., 3]."""
    return np.einsum("...ij,...j->...i", matrix, vector)


def transpose(matrix: np.ndarray) -> np.ndarray:
    """Inverse of rotation matrices [..., 3, 3]."""
    return np.swapaxes(matrix, -1, -2)


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] scaled to unit length."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def quaternion(matrix: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "T 4"]:
    """Unit quaternions (w, x, y, z) without sign jumps between samples."""
    xyzw = spatial.transform.Rotation.from_matrix(matrix).as_quat()
    quat = np.roll(xyzw, 1, axis=-1)
    flips = np.cumprod(np.where(np.einsum("ti,ti->t", quat[1:], quat[:-1]) < 0, -1.0, 1.0))
    quat[1:] *= flips[:, None]
    return quat


def minimum_jerk(x: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """Minimum-jerk profile from 0 to 1 for x from 0 to 1 (Flash & Hogan, 1985)."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def sway(
    rng: np.random.Generator, n: int, rate: float, size: float, cutoff: float = 1.2
) -> Float[np.ndarray, " n"]:
    """Slow random noise with standard deviation `size`; `rate` and `cutoff` in Hz."""
    x = signal.sosfiltfilt(_low_pass(cutoff, rate), rng.normal(size=n + 200))[100:-100]
    return size * x / (x.std() + 1e-9)


@functools.cache
def _low_pass(cutoff: float, rate: float) -> np.ndarray:
    """Second-order Butterworth filter; its design takes longer than its use."""
    return np.asarray(signal.butter(2, cutoff, fs=rate, output="sos"))


def two_link(
    root: Float[np.ndarray, "T 3"],
    end: Float[np.ndarray, "T 3"],
    upper: float,
    lower: float,
    pole: Float[np.ndarray, "T 3"],
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3"]]:
    """Places the middle joint of a limb.

    Args:
      root: shoulder or hip, m.
      end: target of the wrist or ankle, m; moved into reach if it is too far or too near.
      upper: length of the upper segment, m.
      lower: length of the lower segment, m.
      pole: direction in which the middle joint points.

    Returns:
      Positions of the middle joint and of the end, m.
    """
    line = end - root
    span = np.linalg.norm(line, axis=-1, keepdims=True)
    span = np.clip(span, abs(upper - lower) + 1e-3, (upper + lower) * 0.9995)
    line = unit(line)
    along = (upper**2 - lower**2 + span**2) / (2 * span)
    across = np.sqrt(np.maximum(upper**2 - along**2, 1e-10))
    side = unit(pole - np.sum(pole * line, -1, keepdims=True) * line)
    return root + along * line + across * side, root + span * line


def limb_frames(
    root: Float[np.ndarray, "T 3"],
    middle: Float[np.ndarray, "T 3"],
    end: Float[np.ndarray, "T 3"],
    bends: int,
) -> tuple[Float[np.ndarray, "T 3 3"], Float[np.ndarray, " T"]]:
    """Orientation of an upper segment (z towards the root) and the bend of its hinge, rad.

    Args:
      root: shoulder or hip, m.
      middle: elbow or knee, m.
      end: wrist or ankle, m.
      bends: +1 if the lower segment bends towards +x (elbow), −1 if towards −x (knee).
    """
    up, down = unit(root - middle), unit(end - middle)
    bend = np.arccos(np.clip(-np.sum(up * down, -1), -1, 1))
    x = bends * unit(down - np.sum(down * up, -1, keepdims=True) * up)
    return np.stack([x, np.cross(up, x), up], -1), bend


def cross(a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """The cross product of two vectors; ten times as fast as NumPy's for arrays of vectors."""
    x, y, z = a
    u, v, w = b
    return np.array([y * w - z * v, z * u - x * w, x * v - y * u])
