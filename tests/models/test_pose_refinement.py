"""Refinement of the tokens with the predicted pose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import apply, build, emg, full_batch
from video2emg.core.errors import UserError

FORCED = dict(pose_refinement_layers=1, teacher_forcing=1.0, dropout=0.0)


def with_changed_pose(params):
    """Parameters with which another pose is predicted."""
    pose = jax.tree.map(lambda x: x + 0.1, params["params"]["pose"])
    return {"params": params["params"] | {"pose": pose}}


def test_the_emg_depends_on_the_predicted_pose_but_does_not_train_it():
    model, params = build(pose_refinement_layers=1)
    inputs = full_batch()
    changed = emg(model, with_changed_pose(params), inputs)
    assert np.abs(changed - emg(model, params, inputs)).max() > 1e-5

    @jax.jit
    @jax.grad
    def gradient(params):
        return model.apply(params, inputs, train=False)[0].emg.sum()

    gradients = gradient(params)["params"]
    assert all(not jnp.any(x) for x in jax.tree.leaves(gradients["pose"]))
    assert any(jnp.any(x) for x in jax.tree.leaves(gradients["pose_refinement"]))


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


def test_the_returned_tokens_are_refined_too():
    model, params = build(pose_refinement_layers=1)
    inputs = full_batch()
    tokens, changed = (
        apply(model, p, inputs)[1]["tokens"] for p in (params, with_changed_pose(params))
    )
    plain = apply(*build(), inputs)[1]["tokens"]
    assert tokens.shape == plain.shape and np.abs(tokens - changed).max() > 1e-5


def test_a_causal_model_cannot_have_it():
    with pytest.raises(UserError, match="pose_refinement_layers: must be 0"):
        build(causal=True, pose_refinement_layers=1)
