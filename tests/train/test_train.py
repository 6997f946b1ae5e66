import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.models.outputs import Outputs
from video2emg.train import losses
from video2emg.train.checkpoint import load_params

from . import tiny


def test_losses_are_masked_means_by_hand():
    rng = np.random.default_rng(0)
    out = Outputs(emg=jnp.asarray(rng.random((2, 5, 3)), jnp.float32), load=jnp.array([1.0, 2.0]))
    mask = rng.random((2, 5, 3)) > 0.4
    target = rng.random((2, 5, 3)).astype(np.float32)
    batch = dict(
        emg=jnp.asarray(target),
        emg_mask=jnp.asarray(mask),
        load=jnp.array([np.e - 1, 50.0], jnp.float32),
        load_mask=jnp.array([True, False]),
    )
    total, parts = losses.losses(out, batch, ml_collections.ConfigDict(dict(emg=2.0, load=1.0)))
    by_hand = ((np.asarray(out.emg) - target)[mask] ** 2).mean()
    assert float(parts["emg"]) == pytest.approx(by_hand, 1e-5)
    assert float(parts["load"]) == pytest.approx(0.0, abs=1e-6)
    assert float(total) == pytest.approx(2 * by_hand, 1e-5)


def test_a_predicted_pose_is_compared_with_the_true_one():
    """Not with the given one, which may have the errors of an estimator."""
    rng = np.random.default_rng(0)
    names = ("predicted", "pose", "true_pose")
    predicted, given, true = (rng.normal(size=(2, 5, 4, 3)).astype(np.float32) for _ in names)
    known = rng.random((2, 5, 4)) > 0.4
    emg = jnp.zeros((2, 5, 3))
    batch = dict(emg=emg, emg_mask=emg > 0, pose=given, pose_mask=~known)
    batch |= dict(true_pose=true, true_pose_mask=jnp.asarray(known))
    out = Outputs(emg=emg, pose=jnp.asarray(predicted))
    _, parts = losses.losses(out, batch, ml_collections.ConfigDict(dict(emg=1.0, pose=1.0)))
    by_hand = (((predicted - true)[known] / 0.1) ** 2).mean()
    assert float(parts["pose"]) == pytest.approx(by_hand, 1e-5)


def test_best_parameters_are_those_with_the_best_validation_skill(tmp_path):
    validated, skills = [], iter([0.1, 0.9, float("nan"), 0.9])

    def check(params):
        validated.append(jax.device_get(params))
        return {"skill": next(skills)}

    tiny.run(tmp_path, check=check, eval_every=3)
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), validated[0]
    )
    best = load_params(tmp_path, abstract)
    for a, b in zip(jax.tree.leaves(best), jax.tree.leaves(validated[1]), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="no trained model"):
        load_params(tmp_path / "nowhere", abstract)
