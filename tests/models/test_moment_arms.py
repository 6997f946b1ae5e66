"""Joint torques out of EMG."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.models.test_fusion import SHAPE, inputs
from tests.models.test_models import config
from video2emg import models
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.models.moment_arms import DIRECTIONS, Levers, agonists, at_frames
from video2emg.train.losses import losses

D = len(vocabulary.DOFS)


def channels(*names: str):
    """muscle and side, [1, M]."""
    pairs = [vocabulary.split_channel(name) for name in names]
    muscle = jnp.array([[vocabulary.MUSCLES.index(muscle) for _, muscle in pairs]])
    return muscle, jnp.array([[vocabulary.SIDES.index(side) for side, _ in pairs]])


def joints(mask) -> set[str]:
    return {vocabulary.DOFS[i] for i in np.flatnonzero(np.asarray(mask)[0])}


def test_a_muscle_turns_the_joints_of_its_own_side():
    muscle, side = channels("left_biceps_femoris", "right_erector_spinae")
    up, down = agonists(muscle, side, jnp.array([[True, True]]))
    assert joints(up) == {"left_hip_extension", "lumbar_extension"}
    assert joints(down) == {"left_knee_extension"}
    up, down = agonists(muscle, side, jnp.array([[False, True]]))
    assert joints(up) == {"lumbar_extension"} and not joints(down)


def test_left_and_right_are_mirror_images():
    order = vocabulary.mirror_order(vocabulary.DOFS)
    np.testing.assert_array_equal(DIRECTIONS[0][:, order], DIRECTIONS[1])


@pytest.mark.parametrize("samples", [50, 20, 10])  # ten, four and two for each of five frames
def test_an_envelope_is_read_around_each_instant(samples):
    time = jnp.arange(samples) * 5 / samples  # in frames
    found = at_frames(jnp.sin(time)[None, :, None], 5)[0, :, 0]
    np.testing.assert_allclose(found[1:], np.sin(np.arange(1, 5)), atol=0.1)
    np.testing.assert_allclose(at_frames(jnp.ones((1, samples, 2)), 5), 1.0, rtol=1e-6)


def test_levers_are_found_again_from_what_they_made():
    """Levers of 60 and 20 N·m that made the torque are recovered by gradient descent."""
    muscle, side = channels("left_biceps_brachii", "left_triceps_brachii")
    known = jnp.ones((1, 2), bool)
    emg = jax.random.uniform(jax.random.key(0), (1, 40, 2))
    elbow = vocabulary.DOFS.index("left_elbow_flexion")
    parts = at_frames(emg, 8)[0]
    torque = 60.0 * parts[:, 0] - 20.0 * parts[:, 1]
    model = Levers()
    params = model.init(jax.random.key(1), emg, muscle, side, known, 8, learn=True)

    def loss(params):
        found = model.apply(params, emg, muscle, side, known, 8, learn=True)
        assert isinstance(found, jax.Array)
        return ((found[0, :, elbow] - torque) ** 2).mean()

    @jax.jit
    def descend(params):
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, jax.grad(loss)(params))

    for _ in range(600):
        params = descend(params)
    full = 100 * nn.softplus(params["params"]["levers"])
    np.testing.assert_allclose(full[muscle[0], elbow], [60.0, 20.0], rtol=0.02)


def batch(muscle="left_biceps_brachii", torque=20.0) -> dict:
    """Two windows with one channel; its measured EMG is 0.5 and the elbow's torque `torque`."""
    fields = inputs()
    one, side = channels(muscle)
    shape, frames = fields["muscle"].shape, SHAPE["frames"]
    fields["muscle"] = np.full(shape, np.asarray(one)[0, 0], np.int32)
    fields["side"] = np.full(shape, np.asarray(side)[0, 0], np.int32)
    samples = round(SHAPE["emg_rate"] / SHAPE["frame_rate"]) * frames
    mask = np.zeros((2, samples, shape[1]), bool)
    mask[..., 0] = True
    wanted = np.zeros((2, frames, D), np.float32)
    wanted[..., vocabulary.DOFS.index("left_elbow_flexion")] = torque
    return fields | {
        "emg": np.where(mask, 0.5, 0.0).astype(np.float32),
        "emg_mask": mask,
        "torque": wanted,
        "torque_mask": np.ones((2, frames, D), bool),
    }


def consistency(model, params, fields):
    """The loss's own part, as a function of the parameters."""
    weights = ml_collections.ConfigDict(dict(emg=0.0, consistency=1.0))
    outputs, _ = model.apply(params, fields, train=False)
    only = outputs.replace(pose=None, torque=None, load=None)
    return losses(only, jax.tree.map(jnp.asarray, fields), weights)[0]


def with_levers():
    chosen = config()
    chosen.moment_arms = True
    model = models.build(chosen, **SHAPE | {"dofs": D})
    return model, model.init(jax.random.key(0), inputs(), train=False)


def test_the_levers_learn_of_measured_emg_alone_and_the_model_through_them():
    model, params = with_levers()
    fields = batch()
    gradient = jax.grad(lambda p: consistency(model, p, fields))(params)["params"]
    assert any(jnp.any(x) for x in jax.tree.leaves(gradient["decoder"]))
    crossed = np.flatnonzero(np.asarray(gradient["levers"]["levers"]).any(1))
    assert list(crossed) == [vocabulary.MUSCLES.index("biceps_brachii")]
    # Without measured EMG in it, windows teach the model but not the levers.
    emg = {"emg": 2 * fields["emg"]}
    other = jax.grad(lambda p: consistency(model, p, fields | emg))(params)["params"]
    assert np.any(gradient["levers"]["levers"] != other["levers"]["levers"])
    for a, b in zip(*map(jax.tree.leaves, (gradient["decoder"], other["decoder"])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_torque_that_no_electrode_is_on_is_not_asked_about():
    model, params = with_levers()
    assert consistency(model, params, batch(torque=20.0)) > 0
    # No channel extends the elbow, and none is at the other side.
    fields = batch(torque=-20.0)
    fields["torque_mask"] = fields["torque"] != 0
    assert consistency(model, params, fields) == 0
    fields = batch("right_biceps_brachii")
    fields["torque_mask"] = fields["torque"] != 0
    assert consistency(model, params, fields) == 0


def test_torques_of_other_names_are_refused():
    chosen = config()
    chosen.moment_arms = True
    with pytest.raises(UserError, match="the dataset names"):
        models.build(chosen, **SHAPE)
