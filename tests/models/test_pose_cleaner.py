import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import small
from tests.models.small import apply
from tests.models.test_mechanics_prior import SHAPE, batch, init, mechanics_only, settings
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.models import build
from video2emg.models.pose_network import mirrored_pose

JOINTS = vocabulary.FLEX_21


def cleaning(fields, scale=0.0, **changed):
    """A model that cleans the pose, with random parameters of the correction, and its outputs."""
    model = build(settings(clean_pose=True, dropout=0.0, **changed), **SHAPE)
    params = init(model, fields)["params"]
    kernel = params["cleaner"]["change"]["kernel"]
    params["cleaner"]["change"]["kernel"] = scale * jax.random.normal(
        jax.random.key(1), kernel.shape
    )
    return model, params, apply(model, {"params": params}, fields)[0]


def test_before_training_the_pose_is_only_smoothed():
    fields = batch()
    slow = fields | {"pose": fields["pose"][:, :1] + np.zeros_like(fields["pose"])}
    slow["pose"] += np.linspace(0, 0.1, 50, dtype=np.float32)[:, None, None]
    outputs = cleaning(slow)[2]
    np.testing.assert_allclose(outputs.pose[:, :-1], slow["pose"][:, :-1], atol=1e-5)
    noise = np.random.default_rng(0).normal(0, 0.02, slow["pose"].shape).astype(np.float32)
    noisy = cleaning(slow | {"pose": slow["pose"] + noise})[2]
    assert np.std(noisy.pose - slow["pose"]) < 0.8 * noise.std()


def test_the_mirrored_body_is_cleaned_to_the_mirror_image():
    fields = batch()
    swapped = np.array(vocabulary.mirror_order(JOINTS))
    known = fields["pose_mask"].copy()
    known[:, 10:20, JOINTS.index("left_wrist")] = False
    one = fields | {"pose": fields["pose"] * known[..., None], "pose_mask": known}
    other = one | {
        "pose": np.asarray(mirrored_pose(jnp.asarray(one["pose"]), JOINTS)),
        "pose_mask": known[:, :, swapped],
    }
    left, right = (cleaning(x, scale=0.1)[2].pose for x in (one, other))
    assert np.abs(left - one["pose"]).max() > 0.05  # something is corrected
    np.testing.assert_allclose(mirrored_pose(left, JOINTS), right, atol=1e-4)


def test_mechanics_read_the_cleaned_pose():
    fields = batch()
    model, params, outputs = cleaning(fields, scale=0.01)
    assert np.abs(outputs.pose - fields["pose"]).max() > 0.01
    params["decoder"]["samples"] = jax.tree.map(jnp.zeros_like, params["decoder"]["samples"])
    emg = apply(model, {"params": params}, fields)[0].emg
    of_cleaned, of_given = (
        mechanics_only(fields | {"pose": pose}) for pose in (outputs.pose, fields["pose"])
    )
    np.testing.assert_allclose(emg, np.maximum(of_cleaned, 0.005), atol=1e-3)
    assert np.abs(of_cleaned - of_given).max() > 0.01


def test_the_network_reads_the_given_and_the_cleaned_pose():
    config = settings(clean_pose=True, dropout=0.0)
    config.mechanics.anatomy = ""
    model = build(config, **SHAPE)
    fields = batch()
    params = init(model, fields)["params"]
    first = apply(model, {"params": params}, fields)[0].emg
    params["cleaner"]["change"]["bias"] += 0.1
    other = apply(model, {"params": params}, fields)[0].emg
    assert np.abs(first - other).max() > 1e-4
    # A constant that the correction takes away again.
    moved = fields | {"pose": fields["pose"] - np.float32(0.1)}
    both = apply(model, {"params": params}, moved)[0]
    assert np.abs(both.emg - first).max() > 1e-4


def test_the_emg_does_not_train_the_cleaner():
    model, params, _ = cleaning(batch(), scale=0.01)

    def loss(params):
        return model.apply({"params": params}, batch(), train=False)[0].emg.sum()

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(not np.any(x) for x in jax.tree.leaves(gradient["cleaner"]))
    assert any(np.any(x) for x in jax.tree.leaves(gradient["pose_network"]))


@pytest.mark.parametrize("changed", [{"encoder": small.CNN}, {"causal": True}])
def test_films_and_causal_models_are_refused(changed):
    config = small.config(changed.get("encoder", small.POSE), causal=changed.get("causal", False))
    config.clean_pose = True
    with pytest.raises(UserError, match=r"config\.model\.clean_pose"):
        build(config, **small.SHAPE)
