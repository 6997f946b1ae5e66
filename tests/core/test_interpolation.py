import numpy as np

from video2emg.core import interpolation


def test_channels_of_any_shape_are_interpolated_and_held_at_the_ends():
    times = np.array([1.0, 2.0, 4.0])
    course = np.stack([times, -times, 2 * times, times + 1], 1).reshape(3, 2, 2)
    wanted = np.array([0.0, 1.5, 3.0, 9.0])
    at = np.array([1.0, 1.5, 3.0, 4.0])
    values_there = interpolation.linear(course.astype(np.float32), times, wanted)
    assert values_there.dtype == np.float64
    np.testing.assert_allclose(values_there.reshape(4, 4), np.stack([at, -at, 2 * at, at + 1], 1))
