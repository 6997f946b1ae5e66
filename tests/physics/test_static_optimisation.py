import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from video2emg.physics import static_optimisation as statics


def exact(matrix: np.ndarray, target: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Minimises |a|² + 0.5 |target − matrix a|² by an active-set method (SciPy)."""
    n = matrix.shape[1]
    rows = np.vstack([np.eye(n), np.sqrt(0.5) * matrix])
    values = np.concatenate([np.zeros(n), np.sqrt(0.5) * target])
    return lsq_linear(rows, values, bounds=(lower, 1.0), method="bvls").x


def problem(seed: int, strength: float, count: int = 8):
    rng = np.random.default_rng(seed)
    crosses = rng.random((count, 5, 12)) < 0.5
    moment = (30 * rng.normal(size=(count, 5, 12)) * crosses).astype(np.float32)
    torque = (strength * rng.normal(size=(count, 5))).astype(np.float32)
    lower = rng.uniform(0.005, 0.1, (count, 12)).astype(np.float32)
    return moment, torque, lower


solve = jax.jit(statics.least_activation)
TOLERANCE = np.array([3, 2, 2, 10, 3], np.float32)


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 10.0, 40.0]))
def test_the_least_activation_is_exact(seed, strength):
    """Also where no activation reaches the torque, and all muscles saturate."""
    moment, torque, lower = problem(seed, strength)
    got = solve(moment, torque, TOLERANCE, lower)
    for t in range(len(moment)):
        matrix, target = moment[t] / TOLERANCE[:, None], torque[t] / TOLERANCE

        def cost(a, matrix=matrix, target=target):
            return np.sum(a**2) + 0.5 * np.sum((target - matrix @ a) ** 2)

        best = cost(exact(matrix.astype(float), target.astype(float), lower[t]))
        assert cost(np.asarray(got[t], float)) <= best * 1.01 + 1e-4
    assert (np.asarray(got) >= lower - 1e-6).all() and (np.asarray(got) <= 1).all()


@pytest.mark.parametrize("strength", [1.0, 8.0])
def test_a_common_drive_is_the_exact_solution_in_own_drives(strength):
    """The torques are met by heads that follow others, and no muscle is below its bound."""
    moment, torque, lower = problem(4, strength)
    common = np.eye(12, dtype=np.float32)
    common[2, [5, 7]] = 0.3
    got = np.asarray(statics.least_activation(moment, torque, TOLERANCE, lower, common))
    assert (got >= lower - 1e-6).all() and (got <= 1).all()
    own_lower = lower.copy()
    own_lower[:, 2] = np.maximum(lower[:, 2] - 0.3 * (lower[:, 5] + lower[:, 7]), 0)
    for t in range(len(moment)):
        matrix = (moment[t] / TOLERANCE[:, None]).astype(float) @ common
        own = exact(matrix, torque[t] / TOLERANCE, own_lower[t])
        np.testing.assert_allclose(got[t], np.minimum(common @ own, 1), atol=0.02)
    with_none = statics.least_activation(moment, torque, TOLERANCE, lower, np.eye(12))
    np.testing.assert_array_equal(
        with_none, statics.least_activation(moment, torque, TOLERANCE, lower)
    )


def test_gradients_are_those_of_the_exact_solution():
    moment, torque, lower = problem(3, 8.0, count=4)

    def total(moment, torque):
        a = statics.least_activation(moment, torque, TOLERANCE, lower)
        return jnp.sum(jnp.sin(3 * a))

    by_moment, by_torque = jax.grad(total, (0, 1))(moment, torque)
    rng = np.random.default_rng(0)
    for gradient, argument in ((by_torque, 1), (by_moment, 0)):
        for _ in range(3):
            values = [moment, torque]
            change = rng.normal(size=values[argument].shape).astype(np.float32)
            ends = []
            for sign in (-1, 1):
                moved = list(values)
                moved[argument] = values[argument] + sign * 2e-3 * change
                ends.append(float(total(*moved)))
            numeric = (ends[1] - ends[0]) / 4e-3
            assert numeric == pytest.approx(float(jnp.sum(gradient * change)), rel=0.1, abs=2e-2)


def test_a_single_muscle_by_hand():
    """a² + 0.5 (τ − m a)² / tol² has its minimum at 0.5 m τ / tol² / (1 + 0.5 m² / tol²)."""
    moment, torque = np.full((1, 1, 1), 60.0, np.float32), np.full((1, 1), 24.0, np.float32)
    got = statics.least_activation(
        moment, torque, np.full(1, 3.0, np.float32), np.zeros((1, 1), np.float32)
    )
    expected = 0.5 * 60 * 24 / 9 / (1 + 0.5 * 60**2 / 9)
    assert float(got[0, 0]) == pytest.approx(expected, rel=1e-5)


def test_force_velocity_of_hill():
    got = statics.force_velocity(jnp.array([-1.0, -0.25, 0.0, 1.0]))
    np.testing.assert_allclose(got, [0.05, 0.375, 1.0, 1 + 0.4 / 1.05], rtol=1e-5)


def test_excitation_rises_before_activation():
    activation = np.array([0, 0, 0.1, 0.2, 0.2], np.float32)[:, None]
    got = np.asarray(statics.excitation(activation, 10.0))[:, 0]
    assert got[1] == pytest.approx(0.5 * statics.RISE, rel=1e-4)
    assert got[4] == pytest.approx(0.2)
