"""Joint torques from EMG."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.models.small import SHAPE, build, full_batch
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.models.moment_arms import DIRECTIONS, MomentArms, agonists, at_frames
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
def test_an_envelope_is_averaged_around_each_frame(samples):
    time = jnp.arange(samples) * 5 / samples  # in frames
    means = at_frames(jnp.sin(time)[None, :, None], 5)[0, :, 0]
    np.testing.assert_allclose(means[1:], np.sin(np.arange(1, 5)), atol=0.1)
    np.testing.assert_allclose(at_frames(jnp.ones((1, samples, 2)), 5), 1.0, rtol=1e-6)


def test_gradient_descent_recovers_the_moment_arms():
    """From torques that moment arms of 60 and 20 N·m have made."""
    muscle, side = channels("left_biceps_brachii", "left_triceps_brachii")
    known = jnp.ones((1, 2), bool)
    emg = jax.random.uniform(jax.random.key(0), (1, 40, 2))
    elbow = vocabulary.DOFS.index("left_elbow_flexion")
    parts = at_frames(emg, 8)[0]
    torque = 60.0 * parts[:, 0] - 20.0 * parts[:, 1]
    model = MomentArms()
    params = model.init(jax.random.key(1), emg, muscle, side, known, 8, learn=True)

    def loss(params):
        predicted = model.apply(params, emg, muscle, side, known, 8, learn=True)
        assert isinstance(predicted, jax.Array)
        return ((predicted[0, :, elbow] - torque) ** 2).mean()

    @jax.jit
    def descend(params):
        def step(_, params):
            return jax.tree.map(lambda p, g: p - 1e-3 * g, params, jax.grad(loss)(params))

        return jax.lax.fori_loop(0, 600, step, params)

    full = 100 * nn.softplus(descend(params)["params"]["moment_arms"])
    np.testing.assert_allclose(full[muscle[0], elbow], [60.0, 20.0], rtol=0.02)


def batch(muscle="left_biceps_brachii", torque=20.0) -> dict:
    """Two windows with one channel; its measured EMG is 0.5 and the elbow's torque `torque`."""
    fields = full_batch()
    one, side = channels(muscle)
    shape, frames = fields["muscle"].shape, SHAPE["frames"]
    fields["muscle"] = np.full(shape, np.asarray(one)[0, 0], np.int32)
    fields["side"] = np.full(shape, np.asarray(side)[0, 0], np.int32)
    samples = round(SHAPE["emg_rate"] / SHAPE["frame_rate"]) * frames
    mask = np.zeros((2, samples, shape[1]), bool)
    mask[..., 0] = True
    target = np.zeros((2, frames, D), np.float32)
    target[..., vocabulary.DOFS.index("left_elbow_flexion")] = torque
    return fields | {
        "emg": np.where(mask, 0.5, 0.0).astype(np.float32),
        "emg_mask": mask,
        "torque": target,
        "torque_mask": np.ones((2, frames, D), bool),
    }


def consistency(model, params, fields):
    """The loss `consistency` alone, as a function of the parameters."""
    weights = ml_collections.ConfigDict(dict(emg=0.0, consistency=1.0))
    outputs, _ = model.apply(params, fields, train=False)
    outputs = outputs.replace(pose=None, torque=None, load=None, held=None)
    return losses(outputs, jax.tree.map(jnp.asarray, fields), weights)[0]


@pytest.fixture(scope="module")
def with_moment_arms():
    """A model, its parameters, and the loss with its gradient."""
    model, params = build(shape=SHAPE | {"dofs": vocabulary.DOFS}, moment_arms=True)
    return params, jax.jit(jax.value_and_grad(functools.partial(consistency, model)))


def test_only_measured_emg_trains_the_moment_arms_and_they_train_the_model(with_moment_arms):
    params, loss = with_moment_arms
    fields = batch()
    gradient = loss(params, fields)[1]["params"]
    assert any(jnp.any(x) for x in jax.tree.leaves(gradient["decoder"]))
    trained = np.flatnonzero(np.asarray(gradient["moment_arms"]["moment_arms"]).any(1))
    assert list(trained) == [vocabulary.MUSCLES.index("biceps_brachii")]
    # Other measured EMG changes the gradient of the moment arms, but not that of the decoder.
    other = loss(params, fields | {"emg": 2 * fields["emg"]})[1]["params"]
    assert np.any(gradient["moment_arms"]["moment_arms"] != other["moment_arms"]["moment_arms"])
    for a, b in zip(*map(jax.tree.leaves, (gradient["decoder"], other["decoder"])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_torque_that_no_measured_muscle_can_make_is_not_in_the_loss(with_moment_arms):
    params, loss = with_moment_arms
    assert loss(params, batch(torque=20.0))[0] > 0
    # No channel extends the elbow, and none is on the other side.
    fields = batch(torque=-20.0)
    fields["torque_mask"] = fields["torque"] != 0
    assert loss(params, fields)[0] == 0
    fields = batch("right_biceps_brachii")
    fields["torque_mask"] = fields["torque"] != 0
    assert loss(params, fields)[0] == 0


def test_torques_with_other_names_are_refused():
    with pytest.raises(UserError, match="moment_arms: the dataset's joint torques"):
        build(moment_arms=True)
