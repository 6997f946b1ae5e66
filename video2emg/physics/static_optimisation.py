"""Muscle activations that produce the joint torques at least cost, and the excitation before them.

The torques of arms, legs and trunk depend on separate muscles, so that each group is a small
problem. Axes of arrays: R degrees of freedom, n muscles of a group, T instants of all windows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.physics.constants import FALL, RESIDUAL_COST, RISE
from video2emg.physics.linear import solve_unrolled
from video2emg.physics.vectors import AnyArray

LEAST_SPAN = 0.02  # m, of the range of lengths; shorter ones depend on joints that are not modelled
_ROUNDS = 12
_HALVINGS = 8
_LONGEST_STEP = 32.0  # of Newton's
_BOUND_WEIGHT = 1e-4


def force_velocity(velocity: Float[AnyArray, "*A"]) -> Float[Array, "*A"]:
    """Force over the isometric force (Hill).

    Args:
      velocity: in units of the maximal shortening velocity; positive when lengthening.
    """
    velocity = jnp.clip(velocity, -1, 1)
    shortening = (1 + velocity) / (1 - jnp.minimum(velocity, 0.0) / 0.25)
    lengthening = 1 + 0.4 * jnp.abs(velocity) / (jnp.abs(velocity) + 0.05)
    return jnp.clip(jnp.where(velocity < 0, shortening, lengthening), 0.05, 1.4)


def force_length_velocity(
    length: Float[AnyArray, "*A n"],
    velocity: Float[AnyArray, "*A n"],
    shortest: Float[AnyArray, "*#A n"],
    longest: Float[AnyArray, "*#A n"],
) -> Float[Array, "*A n"]:
    """Force at full activation over the maximal isometric force.

    The range of lengths in daily postures is mapped to 0.65-1.15 of the optimal length. The
    force-length relation is Gaussian, the force-velocity relation hyperbolic (Zajac, 1989; Thelen,
    2003). Tendons are stiff, and there are no passive forces.

    Args:
      length: m.
      velocity: of lengthening, m/s.
      shortest: end of the range of lengths, m.
      longest: the other end, m.
    """
    span = jnp.maximum(longest - shortest, LEAST_SPAN)
    relative = jnp.clip(0.65 + 0.5 * (length - shortest) / span, 0.5, 1.3)
    optimum = 2 * span
    return jnp.exp(-(((relative - 1) / 0.45) ** 2)) * force_velocity(velocity / (10 * optimum))


def cocontraction(
    moment: Float[AnyArray, "*A R n"], torque: Float[AnyArray, "*A R"], skill: float
) -> Float[Array, "*A n"]:
    """Lowest activation of every muscle: resting tone, and stiffness that grows with the torque.

    Args:
      moment: torque of each muscle at full activation, N·m.
      torque: of the joints, N·m.
      skill: 0 (novice) to 1 (expert, less co-contraction).
    """
    size = jnp.abs(moment)
    strongest = jnp.maximum(size.sum(-1) / 2, 1e-6)
    effort = jnp.clip(jnp.abs(torque) / strongest, 0, 1)
    weight = size / (size.sum(-2, keepdims=True) + 1e-9)
    tone = 0.006 + 0.008 * (1 - skill)
    gain = 0.06 + 0.16 * (1 - skill)
    return jnp.clip(tone + gain * jnp.einsum("...r,...rn->...n", effort, weight), 0, 1)


def least_activation(
    moment: Float[AnyArray, "*A R n"],
    torque: Float[AnyArray, "*A R"],
    tolerance: Float[AnyArray, " R"],
    lower: Float[AnyArray, "*A n"],
    common: Float[np.ndarray, "n n"] | None = None,
) -> Float[Array, "*A n"]:
    """Minimises Σ a² + 0.5 Σ ((τ − M a) / tolerance)² with lower ≤ a ≤ 1 at every instant.

    This is static optimisation (Crowninshield & Brand, 1981, with squares). At the minimum
    a = clip(½ Mᵀ r, lower, 1) for the scaled residual r, so that only r, of the size of the
    torques, is unknown: it minimises a convex function. Newton's method with a search along each
    direction needs a few rounds. Gradients are those of the exact solution (implicit function
    theorem), because they flow through one last Newton step only.

    Args:
      moment: torque of each muscle at full activation, N·m.
      torque: of the joints, N·m.
      tolerance: of each torque, N·m.
      lower: bound of the activation.
      common: activation for one unit of each muscle's own drive, see `anatomy.common_drive`; then
        a is the own drive in the cost. The identity by default.
    """
    if common is not None and (common != np.eye(len(common))).any():
        product = functools.partial(jnp.matmul, precision="highest")  # accelerators round more
        shared = product(lower, common.T - np.eye(len(common), dtype=common.dtype))
        least = jnp.maximum(lower - shared, 0)
        own = least_activation(product(moment, common), torque, tolerance, least)
        return jnp.minimum(product(own, common.T), 1.0)
    shape = jnp.broadcast_shapes(jnp.shape(moment)[:-2], jnp.shape(lower)[:-1])
    matrix = _instants_last(moment / jnp.asarray(tolerance)[:, None], shape, 2)
    target = _instants_last(torque / jnp.asarray(tolerance), shape, 1)
    bound = _instants_last(lower, shape, 1)
    problem = jax.lax.stop_gradient((matrix, target, bound))
    start = _newton_step(jnp.ones_like(bound), problem[0], problem[1])
    residual = jax.lax.fori_loop(0, _ROUNDS, lambda _, r: r + _descent(r, *problem), start)
    free = _free(_pull(residual, problem[0]), problem[2])
    change = _newton_step(free, problem[0], _slope(residual, matrix, target, bound))
    change = change - jax.lax.stop_gradient(change)  # zero, with the gradient of the solution
    activation = jnp.clip(_pull(residual - change, matrix), bound, 1.0)
    return activation.T.reshape(*shape, -1)


# In what follows instants come last, so that a processor computes many of them at once.


def _instants_last(values: AnyArray, shape: tuple[int, ...], axes: int) -> jax.Array:
    values = jnp.broadcast_to(values, (*shape, *jnp.shape(values)[-axes:]))
    values = values.reshape(-1, *values.shape[-axes:])
    return jnp.moveaxis(values, 0, -1)


def _pull(residual: jax.Array, matrix: jax.Array) -> jax.Array:
    """[n, T] activation that a residual [R, T] asks for."""
    return RESIDUAL_COST * jnp.sum(matrix * residual[:, None], 0)


def _free(pull: jax.Array, lower: jax.Array) -> jax.Array:
    """[n, T] 1 where the activation is within its bounds."""
    return ((pull > lower) & (pull < 1.0)).astype(pull.dtype)


def _slope(
    residual: jax.Array, matrix: jax.Array, target: jax.Array, lower: jax.Array
) -> jax.Array:
    """[R, T] gradient of the convex function of which the residual is the minimum."""
    activation = jnp.clip(_pull(residual, matrix), lower, 1.0)
    return residual - target + jnp.sum(matrix * activation, 1)


def _newton_step(weight: jax.Array, matrix: jax.Array, slope: jax.Array) -> jax.Array:
    """[R, T] step; `weight` [n, T] says which muscles answer to a change."""
    weighted = RESIDUAL_COST * matrix * weight
    curvature = jnp.sum(weighted[:, None] * matrix[None], 2)
    return solve_unrolled(curvature + jnp.eye(len(matrix))[..., None], slope)


def _descent(
    residual: jax.Array, matrix: jax.Array, target: jax.Array, lower: jax.Array
) -> jax.Array:
    """[R, T] a step along Newton's direction, to the minimum on this line.

    Muscles at their bounds keep a little weight, so that the direction is never blind to them. On
    the line, the slope is a sum over the muscles that needs no further product with the matrix.
    """
    pull = _pull(residual, matrix)
    weight = jnp.maximum(_free(pull, lower), _BOUND_WEIGHT)
    direction = -_newton_step(weight, matrix, _slope(residual, matrix, target, lower))
    change = _pull(direction, matrix)
    constant = jnp.sum(direction * (residual - target), 0)
    square = jnp.sum(direction**2, 0)

    def rises(share: jax.Array) -> jax.Array:
        activation = jnp.clip(pull + share * change, lower, 1.0)
        return constant + share * square + jnp.sum(change * activation, 0) / RESIDUAL_COST > 0

    def halve(_, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = (ends[0] + ends[1]) / 2
        up = rises(middle)
        return jnp.where(up, ends[0], middle), jnp.where(up, middle, ends[1])

    one = jnp.ones_like(square)
    near = rises(one)
    ends = jnp.where(near, 0.0, one), jnp.where(near, one, _LONGEST_STEP)
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    return (low + high) / 2 * direction


def excitation(activation: Float[AnyArray, "*A T n"], rate: float) -> Float[Array, "*A T n"]:
    """Excitation that leads to an activation, at the instants of the activation.

    Inverts the activation dynamics. It acts `DELAY` s before the force.

    Args:
      activation: 0-1.
      rate: of the samples, Hz.
    """
    activation = jnp.asarray(activation)
    change = jnp.asarray(jnp.gradient(activation, axis=-2)) * rate
    return jnp.clip(activation + jnp.where(change > 0, RISE, FALL) * change, 0.0, 1.0)
