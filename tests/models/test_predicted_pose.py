"""The road from pixels over the predicted pose to the EMG."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import SHAPE, apply, build, config, emg, full_batch
from video2emg import models


def with_changed(params, name="pose"):
    """Parameters with which another pose (or load) is predicted."""
    changed = jax.tree.map(lambda x: x + 0.1, params["params"][name])
    return {"params": params["params"] | {name: changed}}


def without_video(inputs):
    """The same examples, of no camera."""
    return inputs | {name: inputs[name][:, :0] for name in ("video", "video_mask", "view")}


@pytest.mark.parametrize("name", ["pose", "load"])
def test_the_emg_depends_on_the_prediction_but_does_not_train_it(name):
    model, params = build()
    inputs = full_batch()
    changed = emg(model, with_changed(params, name), inputs)
    assert np.abs(changed - emg(model, params, inputs)).max() > 1e-5

    @jax.jit
    @jax.grad
    def gradient(params):
        return model.apply(params, inputs, train=False)[0].emg.sum()

    gradients = gradient(params)["params"]
    assert all(not jnp.any(x) for x in jax.tree.leaves(gradients[name]))
    assert any(jnp.any(x) for x in jax.tree.leaves(gradients["pose_network"]))


def test_a_load_that_is_told_replaces_the_predicted_one():
    model, params = build(extra_inputs=("load",))
    inputs, other = full_batch(), with_changed(params, "load")
    np.testing.assert_array_equal(emg(model, other, inputs), emg(model, params, inputs))
    hidden = inputs | {"load_mask": np.zeros(2, bool)}
    assert np.abs(emg(model, other, hidden) - emg(model, params, hidden)).max() > 1e-5


def test_a_causal_model_does_not_read_the_load_of_the_whole_window():
    model, params = build(causal=True)
    inputs = full_batch()
    np.testing.assert_array_equal(
        emg(model, with_changed(params, "load"), inputs), emg(model, params, inputs)
    )


@pytest.mark.parametrize("auxiliary", [True, False])
def test_mechanics_read_the_load_untold_only_if_the_video_shows_it(auxiliary):
    settings = config(extra_inputs=("pose",), auxiliary=auxiliary)
    settings.mechanics.anatomy = "simulated"
    model = models.build(settings, **SHAPE)
    assert ("load" in model.mechanics.inputs) == auxiliary
    assert ("height" in model.mechanics.inputs) != auxiliary


def test_the_given_pose_is_read_only_if_there_is_no_video():
    model, params = build()
    inputs = full_batch()
    moved = inputs | {"pose": inputs["pose"] + 0.2}
    for train in (False, True):
        np.testing.assert_array_equal(
            emg(model, params, moved, train=train), emg(model, params, inputs, train=train)
        )
    outputs, _ = apply(model, params, without_video(inputs))
    assert outputs.pose is None and outputs.load is None
    change = emg(model, params, without_video(moved)) - np.asarray(outputs.emg)
    assert np.abs(change).max() > 1e-5


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
