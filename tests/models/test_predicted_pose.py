"""The road from pixels over the predicted pose to the EMG."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.models.small import SHAPE, apply, build, emg, full_batch

FORCED = dict(teacher_forcing=1.0, dropout=0.0)


def with_changed_pose(params):
    """Parameters with which another pose is predicted."""
    pose = jax.tree.map(lambda x: x + 0.1, params["params"]["pose"])
    return {"params": params["params"] | {"pose": pose}}


def test_the_emg_depends_on_the_predicted_pose_but_does_not_train_it():
    model, params = build()
    inputs = full_batch()
    changed = emg(model, with_changed_pose(params), inputs)
    assert np.abs(changed - emg(model, params, inputs)).max() > 1e-5

    @jax.jit
    @jax.grad
    def gradient(params):
        return model.apply(params, inputs, train=False)[0].emg.sum()

    gradients = gradient(params)["params"]
    assert all(not jnp.any(x) for x in jax.tree.leaves(gradients["pose"]))
    assert any(jnp.any(x) for x in jax.tree.leaves(gradients["pose_network"]))


def test_the_true_pose_is_used_in_training_only_and_where_it_is_known():
    model, params = build(**FORCED)
    inputs = full_batch()
    moved = inputs | {"pose": inputs["pose"] + 0.2}
    difference = emg(model, params, moved, train=True) - emg(model, params, inputs, train=True)
    assert np.abs(difference).max() > 1e-5
    np.testing.assert_array_equal(emg(model, params, moved), emg(model, params, inputs))
    unknown = {"pose_mask": np.zeros_like(inputs["pose_mask"])}
    np.testing.assert_array_equal(
        emg(model, params, moved | unknown, train=True),
        emg(model, params, inputs | unknown, train=True),
    )


def test_the_pose_at_a_time_without_frames_is_not_used():
    model, params = build(**FORCED)
    inputs = full_batch()
    inputs["video_mask"][:, :, 6] = False
    moved = inputs | {"pose": inputs["pose"].copy()}
    moved["pose"][:, 6] += 0.2
    np.testing.assert_array_equal(
        emg(model, params, moved, train=True), emg(model, params, inputs, train=True)
    )


def test_without_a_pose_in_the_data_the_tokens_alone_are_read():
    model, params = build(shape=SHAPE | {"joints": ()})
    outputs, _ = apply(model, params, full_batch())
    assert outputs.pose is None and outputs.emg.shape == (2, 50, 4)


def test_a_pose_of_several_joints_in_unsymmetric_data_is_refused():
    """Without the other side's joint there is no mirror image."""
    try:
        build(shape=SHAPE | {"joints": ("left_knee", "left_hip")})
    except ValueError as error:
        assert "no mirror image" in str(error)
    else:
        raise AssertionError("built")
