import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.physics import linear

SOLVERS = {"loop": jax.jit(linear.solve), "unrolled": jax.jit(linear.solve_unrolled)}


def systems(seed, rows, shape):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(*shape, rows, rows))
    matrix = root @ root.swapaxes(-1, -2) + np.eye(rows)
    return matrix.astype(np.float32), rng.normal(size=(*shape, rows)).astype(np.float32)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("rows, shape", [(1, (3,)), (5, (7,)), (9, (2, 4))])
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_solution_is_that_of_lapack(solver, rows, shape, seed):
    matrix, target = systems(seed, rows, shape)
    expected = np.linalg.solve(matrix.astype(float), target[..., None].astype(float))[..., 0]
    got = SOLVERS[solver](np.moveaxis(matrix, (-2, -1), (0, 1)), np.moveaxis(target, -1, 0))
    np.testing.assert_allclose(np.moveaxis(got, 0, -1), expected, atol=1e-4)


def test_gradients_are_those_of_lapack():
    matrix, target = systems(1, 4, (3,))

    def library(matrix, target):
        return jnp.sum(jnp.linalg.solve(matrix, target[..., None]) ** 2)

    def ours(matrix, target):
        rows_first = jnp.moveaxis(matrix, (-2, -1), (0, 1)), jnp.moveaxis(target, -1, 0)
        return jnp.sum(linear.solve(*rows_first) ** 2)

    expected, got = (jax.grad(f, (0, 1))(matrix, target) for f in (library, ours))
    # A symmetric matrix has many gradients; their symmetric parts are equal.
    symmetric = [(g + g.swapaxes(-1, -2)) / 2 for g in (expected[0], got[0])]
    np.testing.assert_allclose(symmetric[1], symmetric[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-3, atol=1e-4)


def test_eight_devices_solve_at_the_same_time():
    """LAPACK's kernels wait there for each other."""
    mesh = jax.make_mesh((len(jax.devices()),), ("data",))
    matrix, target = systems(2, 20, (64, 40))
    sharded = jax.device_put((matrix, target), jax.NamedSharding(mesh, jax.P("data")))

    @jax.jit
    def solve(matrix, target):
        x = linear.solve(jnp.moveaxis(matrix, (-2, -1), (0, 1)), jnp.moveaxis(target, -1, 0))
        return jnp.moveaxis(x, 0, -1)

    expected = np.linalg.solve(matrix.astype(float), target[..., None].astype(float))[..., 0]
    np.testing.assert_allclose(solve(*sharded), expected, atol=1e-3)
