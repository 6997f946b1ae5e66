import numpy as np
import pytest
from scipy import optimize

from video2emg.sim import sharing


def test_equals_an_independent_solver():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(6, 5, 12)) * 8
    target = rng.normal(size=(6, 5)) * 12
    floor = rng.uniform(0, 0.1, (6, 12))
    found = sharing.bounded_least_squares(matrix, target, floor)
    for t in range(6):
        expected = optimize.lsq_linear(
            np.vstack([np.eye(12), np.sqrt(sharing._MISS) * matrix[t]]),
            np.concatenate([np.zeros(12), np.sqrt(sharing._MISS) * target[t]]),
            (floor[t], np.ones(12)),
        ).x
        np.testing.assert_allclose(
            found[t], expected, atol=0.01
        )  # far below what an electrode can tell


def test_excitation_leads_and_returns_to_its_activation():
    """Driving first-order activation dynamics with the excitation gives the activation back."""
    time = np.arange(0, 3, 0.02)
    activation = 0.3 + 0.2 * np.sin(2 * np.pi * 0.7 * time)[:, None]
    drive = sharing.excitation(activation, 50.0)[:, 0]
    level, rebuilt = activation[0, 0], []
    fine = np.arange(0, 3, 0.001)
    for u in np.interp(fine - sharing.DELAY, time, drive):
        level += 0.001 * (u - level) / (sharing.RISE if u > level else sharing.FALL)
        rebuilt.append(level)
    error = np.interp(time, fine, rebuilt) - activation[:, 0]
    assert np.abs(error[10:-10]).max() < 0.012
    assert np.argmax(drive[:60]) < np.argmax(activation[:60, 0])


def test_force_falls_with_shortening_and_rises_with_lengthening():
    speeds = np.array([-0.5, -0.1, 0.0, 0.1, 0.5])
    factors = sharing.force_speed(speeds)
    assert (np.diff(factors) > 0).all()
    assert factors[2] == pytest.approx(1.0)
    assert 1.0 < factors[-1] <= 1.4
