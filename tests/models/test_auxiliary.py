import functools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.models.small import CNN, POSE, apply, build, emg, full_batch
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS
from video2emg.train.losses import losses


def test_parameter_names_of_a_model_of_video_alone():
    _, params = build()
    assert " ".join(sorted(params["params"])) == (
        "auxiliary_inputs decoder encoder layer_0 load load_hidden load_norm pose pose_network "
        "pose_norm project sides torque video_norm view"
    )


def test_every_input_is_used_and_no_masked_one():
    model, params = build(extra_inputs=INPUTS)
    inputs = full_batch()
    before = emg(model, params, inputs)
    for name in INPUTS:
        changed = inputs | {name: inputs[name] * 1.3}
        assert np.abs(emg(model, params, changed) - before).max() > 1e-6, name
        masked = {f"{name}_mask": np.zeros_like(inputs[f"{name}_mask"])}
        np.testing.assert_array_equal(
            emg(model, params, inputs | masked), emg(model, params, changed | masked)
        )
    masked = {"video_mask": np.zeros_like(inputs["video_mask"])}
    no_video = emg(model, params, inputs | masked)
    assert np.isfinite(no_video).all() and np.abs(no_video - before).max() > 1e-6
    changed = {"video": 255 - inputs["video"]}
    np.testing.assert_array_equal(no_video, emg(model, params, inputs | masked | changed))


@pytest.mark.parametrize("encoder", [POSE, CNN])
def test_a_model_of_the_pose_uses_a_load(encoder):
    model, params = build(encoder, extra_inputs=("load",))
    inputs = full_batch()
    heavy = inputs | {"load": inputs["load"] * 3}
    assert np.abs(emg(model, params, heavy) - emg(model, params, inputs)).max() > 1e-6


def test_without_view_embedding_the_camera_does_not_matter():
    inputs = full_batch()
    other = inputs | {"view": inputs["view"] + 3}
    model, params = build(view_embedding=False)
    np.testing.assert_array_equal(emg(model, params, inputs), emg(model, params, other))
    model, params = build()
    assert np.abs(emg(model, params, inputs) - emg(model, params, other)).max() > 0


def test_a_given_load_and_a_given_pose_are_predicted():
    """The predictions stand in where the load or the pose is not given."""
    model, params = build(extra_inputs=INPUTS)
    inputs = full_batch()
    outputs, _ = apply(model, params, inputs)
    assert outputs.torque is not None
    other, _ = apply(
        model, params, inputs | {"pose": inputs["pose"] * 1.3, "load": inputs["load"] * 2}
    )
    np.testing.assert_array_equal(outputs.load, other.load)
    np.testing.assert_array_equal(outputs.pose, other.pose)


def test_the_predicted_error_follows_the_errors_and_does_not_change_the_emg():
    model, params = build(predicted_mae=True)
    inputs = full_batch() | {"torque": np.zeros((2, 10, 3), np.float32)}
    inputs["torque_mask"] = np.ones((2, 10, 3), bool)
    inputs = jax.tree.map(jnp.asarray, inputs)
    weights = ml_collections.ConfigDict(
        dict(emg=0.0, pose=0.0, torque=0.0, load=0.0, held=0.0, predicted_mae=1.0)
    )

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient_and_emg(p):
        outputs, _ = model.apply(p, inputs, train=False)
        return losses(outputs, inputs, weights)[0], outputs.emg

    gradient, predicted = gradient_and_emg(params)
    trained = [
        jax.tree_util.keystr(path)
        for path, slope in jax.tree_util.tree_leaves_with_path(gradient)
        if jnp.abs(slope).max() > 0
    ]
    assert trained and all("['decoder']['predicted_mae']" in name for name in trained)
    # By the likelihood of one error of size e, the best prediction is e.
    error = jnp.asarray(0.2)
    best = jax.grad(lambda mae: error / mae + jnp.log(mae))(error)
    assert abs(float(best)) < 1e-6
    plain, plain_params = build()
    decoder = {
        name: params["params"]["decoder"][name] for name in plain_params["params"]["decoder"]
    }
    shared = {"params": params["params"] | {"decoder": decoder}}
    np.testing.assert_allclose(emg(plain, shared, inputs), predicted, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        dict(extra_inputs=("smell",)),
        dict(extra_inputs=("load", "load")),
        dict(extra_inputs=("vitals",), causal=True),
        dict(extra_inputs=("pose",), encoder=POSE),
    ],
)
def test_invalid_inputs_are_refused(settings):
    with pytest.raises(UserError, match=r"config\.model"):
        build(**settings)
