"""The second look, at the pose that was found in the pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.test_fusion import SHAPE, emg_of, inputs, make
from tests.models.test_models import config
from video2emg import models
from video2emg.core.errors import UserError


def taught(model, params, fields):
    """EMG in training, in which every example is shown its true pose."""
    rngs = {"dropout": jax.random.key(1)}
    return np.asarray(model.apply(params, fields, train=True, rngs=rngs)[0].emg)


def test_the_emg_follows_the_predicted_pose_which_only_its_own_loss_moves():
    model, params = make(pose_refinement_layers=1)
    fields = inputs()
    bent = jax.tree.map(lambda x: x, params)
    bent["params"]["pose"] = jax.tree.map(lambda x: x + 0.1, params["params"]["pose"])
    assert np.abs(emg_of(model, bent, fields) - emg_of(model, params, fields)).max() > 1e-5

    def loudness(params):
        return model.apply(params, fields, train=False)[0].emg.sum()

    gradient = jax.grad(loudness)(params)["params"]
    assert all(not jnp.any(x) for x in jax.tree.leaves(gradient["pose"]))
    assert any(jnp.any(x) for x in jax.tree.leaves(gradient["body"]))


def test_the_true_pose_is_shown_in_training_only_and_where_it_is_known():
    model, params = make(pose_refinement_layers=1, teacher_forcing=1.0, dropout=0.0)
    fields = inputs()
    moved = fields | {"pose": fields["pose"] + 0.2}
    assert np.abs(taught(model, params, moved) - taught(model, params, fields)).max() > 1e-5
    np.testing.assert_array_equal(emg_of(model, params, moved), emg_of(model, params, fields))
    unknown = {"pose_mask": np.zeros_like(fields["pose_mask"])}
    np.testing.assert_array_equal(
        taught(model, params, moved | unknown), taught(model, params, fields | unknown)
    )


def test_a_body_at_an_instant_without_pictures_is_not_seen():
    model, params = make(pose_refinement_layers=1, teacher_forcing=1.0, dropout=0.0)
    fields = inputs()
    fields["video_mask"] = fields["video_mask"].copy()
    fields["video_mask"][:, :, 6] = False
    moved = fields | {"pose": fields["pose"].copy()}
    moved["pose"][:, 6] += 0.2
    np.testing.assert_array_equal(taught(model, params, moved), taught(model, params, fields))


def test_the_tokens_for_judges_have_seen_the_body_too():
    model, params = make(pose_refinement_layers=1)
    fields = inputs()
    bent = jax.tree.map(lambda x: x, params)
    bent["params"]["pose"] = jax.tree.map(lambda x: x + 0.1, params["params"]["pose"])
    tokens, others = (model.apply(p, fields, train=False)[1]["tokens"] for p in (params, bent))
    without, its_params = make()
    plain = without.apply(its_params, fields, train=False)[1]["tokens"]
    assert tokens.shape == plain.shape and np.abs(tokens - others).max() > 1e-5


def test_a_causal_model_cannot_have_one():
    chosen = config()
    chosen.update(causal=True, pose_refinement_layers=1)
    with pytest.raises(UserError, match="pose_refinement_layers: must be 0"):
        models.build(chosen, **SHAPE)
