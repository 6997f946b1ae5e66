"""Many symmetric positive definite systems of a few rows, solved at once.

Axes: R rows, then any others, along which the systems are vectorised. `jnp.linalg` calls LAPACK for
one system after the other. Its CPU kernels also wait for threads of the pool that they occupy, so
that a program on several CPU devices can stop for ever.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from video2emg.physics.vectors import AnyArray

_LEAST = 1e-12  # pivot


def solve(
    matrix: Float[AnyArray, "R R *A"], target: Float[AnyArray, "R *A"]
) -> Float[Array, "R *A"]:
    """Gauss-Jordan elimination; the gradient is one more solution.

    Args:
      matrix: symmetric and positive definite, so that no rows need to be exchanged.
      target: right-hand sides.
    """
    fixed = jax.lax.stop_gradient(jnp.asarray(matrix))
    return jax.lax.custom_linear_solve(
        lambda x: (matrix * x).sum(1),
        jnp.asarray(target),
        lambda _, right: _eliminate(fixed, right),
        symmetric=True,
    )


def _eliminate(matrix: jax.Array, target: jax.Array) -> jax.Array:
    system = jnp.concatenate([matrix, target[:, None]], 1)
    number = jnp.arange(len(matrix)).reshape(-1, *[1] * (matrix.ndim - 2))

    def eliminate(j: jax.Array, system: jax.Array) -> jax.Array:
        row = system[j] / jnp.maximum(system[j, j], _LEAST)
        others = jnp.where(number == j, 0.0, system[:, j])
        return (system - others[:, None] * row).at[j].set(row)

    return jax.lax.fori_loop(0, len(matrix), eliminate, system)[:, -1]


def solve_unrolled(
    matrix: Float[AnyArray, "R R *A"], target: Float[AnyArray, "R *A"]
) -> Float[Array, "R *A"]:
    """The same for up to about ten rows: Cholesky's method, written out over the rows."""
    size = len(matrix)
    factor: list[list] = [[None] * size for _ in range(size)]
    for j in range(size):
        square = matrix[j, j] - sum((factor[j][k] ** 2 for k in range(j)), 0.0)
        factor[j][j] = jnp.sqrt(jnp.maximum(square, _LEAST))
        for i in range(j + 1, size):
            inner = sum((factor[i][k] * factor[j][k] for k in range(j)), 0.0)
            factor[i][j] = (matrix[i, j] - inner) / factor[j][j]
    half: list = []
    for i in range(size):
        inner = sum((factor[i][k] * half[k] for k in range(i)), 0.0)
        half.append((target[i] - inner) / factor[i][i])
    result: list = [None] * size
    for i in reversed(range(size)):
        inner = sum((factor[k][i] * result[k] for k in range(i + 1, size)), 0.0)
        result[i] = (half[i] - inner) / factor[i][i]
    return jnp.stack(result)
