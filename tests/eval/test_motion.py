"""Motion of the pictures, by which the out-of-domain detector tells that nobody moves."""

import jax.numpy as jnp
import numpy as np
import pytest

from video2emg.eval.forward import _motion


def motion(video, mask):
    return np.asarray(_motion(jnp.asarray(video), jnp.asarray(mask)))


def test_a_square_that_moves_is_motion_and_noise_is_hardly_any():
    rng = np.random.default_rng(0)
    still = np.full((1, 2, 12, 32, 32, 3), 90, np.uint8)
    noisy = (still + rng.integers(-2, 3, still.shape)).astype(np.uint8)
    moving = still.copy()
    for t in range(12):
        moving[:, 1, t, 8:16, 2 * t : 2 * t + 8] = 200
    mask = np.ones((1, 2, 12), bool)
    assert motion(still, mask).max() == 0
    assert motion(noisy, mask).max() < 2e-3
    front, left = motion(moving, mask)[0]
    assert front == 0 and left > 0.01


def test_motion_is_the_difference_from_the_mean_picture_of_the_known_frames():
    rng = np.random.default_rng(1)
    video = rng.integers(0, 255, (2, 1, 6, 16, 16, 3)).astype(np.uint8)
    mask = rng.random((2, 1, 6)) > 0.3
    video[~mask] = 0
    for b in range(2):
        cells = video[b, 0][mask[b, 0]].reshape(-1, 8, 2, 8, 2, 3).mean((2, 4))
        expected = np.abs(cells - cells.mean(0)).mean() / 255
        assert motion(video, mask)[b, 0] == pytest.approx(expected, rel=1e-4)
    assert motion(video, np.zeros_like(mask)).max() == 0
