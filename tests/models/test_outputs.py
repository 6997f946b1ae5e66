import jax.numpy as jnp
import numpy as np

from video2emg.models.outputs import mostly_seen


def test_a_joint_that_is_mostly_hidden_stays_unknown_to_a_head():
    known = np.zeros((2, 6, 3), bool)
    known[0, :4, 0] = True  # in all frames in which anything is seen
    known[0, [0, 3], 1] = True  # in half of them
    known[0, 1, 2] = True
    expected = np.zeros_like(known)
    expected[0, :4, :2] = True
    np.testing.assert_array_equal(mostly_seen(jnp.asarray(known)), expected)
