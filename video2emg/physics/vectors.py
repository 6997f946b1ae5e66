"""Vectors and rotations that have finite gradients everywhere, also for vectors of length zero."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

AnyArray = Array | np.ndarray  # layers take both

_TINY = 1e-8  # added to squared lengths


def norm(vector: Float[Array, "*A D"]) -> Float[Array, "*A"]:
    """Lengths of vectors of D dimensions; at least 1e-4."""
    return jnp.sqrt(jnp.sum(vector * vector, -1) + _TINY)


def angle(y: jax.Array, x: jax.Array) -> jax.Array:
    """The angle of the point (x, y) from the x axis, rad; 0 at the origin."""
    nowhere = (jnp.abs(x) < 1e-6) & (jnp.abs(y) < 1e-6)
    return jnp.arctan2(jnp.where(nowhere, 0.0, y), jnp.where(nowhere, 1.0, x))


def step(x: jax.Array) -> jax.Array:
    """A smooth step from 0 to 1; clipped, because its exponential must not overflow."""
    return jax.nn.sigmoid(jnp.clip(x, -30.0, 30.0))


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Dot products over the last axis."""
    return jnp.sum(a * b, -1)


def unit(vector: Float[Array, "*A 3"]) -> Float[Array, "*A 3"]:
    """Vectors of length one; zero where there is no direction."""
    return vector / norm(vector)[..., None]


def reject(vector: jax.Array, direction: jax.Array) -> jax.Array:
    """The part of a vector that is perpendicular to a unit vector."""
    return vector - dot(vector, direction)[..., None] * direction


def rotate(rotation: jax.Array, vector: jax.Array) -> jax.Array:
    """Matrices [..., 3, 3] times vectors [..., 3]."""
    return jnp.einsum("...ij,...j->...i", rotation, vector)


def inverse(rotation: jax.Array) -> jax.Array:
    """The inverse of rotations [..., 3, 3]."""
    return jnp.swapaxes(rotation, -1, -2)


def frame(
    x: Float[Array, "*A 3"], y: Float[Array, "*A 3"], z: Float[Array, "*A 3"]
) -> Float[Array, "*A 3 3"]:
    """Rotations with the given unit vectors as axes."""
    return jnp.stack([x, y, z], -1)


def upright_frame(up: Float[Array, "*A 3"], left: Float[Array, "*A 3"]) -> Float[Array, "*A 3 3"]:
    """Axes of a segment: z along `up`, y towards `left`, x forward."""
    z = unit(up)
    y = unit(reject(left, z))
    return frame(jnp.cross(y, z), y, z)


def about(axis: str, angle: Float[AnyArray, "*A"]) -> Float[Array, "*A 3 3"]:
    """Rotations about `x`, `y` or `z`, rad."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    zero, one = jnp.zeros_like(angle), jnp.ones_like(angle)
    rows = {
        "x": ((one, zero, zero), (zero, cos, -sin), (zero, sin, cos)),
        "y": ((cos, zero, sin), (zero, one, zero), (-sin, zero, cos)),
        "z": ((cos, -sin, zero), (sin, cos, zero), (zero, zero, one)),
    }[axis]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def skew(vector: Float[Array, "*A 3"]) -> Float[Array, "*A 3 3"]:
    """Matrices whose product with b is the cross product of a vector with b."""
    x, y, z = jnp.moveaxis(vector, -1, 0)
    zero = jnp.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def from_vector(vector: Float[Array, "*A 3"]) -> Float[Array, "*A 3 3"]:
    """Rotations about the direction of a vector, by its length in rad (Rodrigues)."""
    angle = norm(vector)[..., None, None]
    cross = skew(vector)
    return (
        jnp.eye(3)
        + jnp.sin(angle) / angle * cross
        + (1 - jnp.cos(angle)) / angle**2 * (cross @ cross)
    )
