"""Training on eight devices, sharded in several ways, gives the result of one device."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from tests.models import small
from video2emg import models
from video2emg.core.batch import with_pose_only
from video2emg.core.errors import UserError
from video2emg.models.encoders import TubeletTransformer
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import Checkpoints
from video2emg.train.step import train_step

from . import tiny

# Compiling takes longer than running.
FAST = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "True"}
jit = functools.partial(jax.jit, compiler_options=FAST)
STEPS = 3
LEARNING_RATE = 1e-2
MIN_SIZE = 64  # of leaves that are split


def mesh_of(count: int, fsdp: int = 1, tensor: int = 1) -> Mesh:
    devices = np.array(jax.devices()[:count])
    return Mesh(devices.reshape(-1, fsdp, tensor), (*mesh_lib.AXES, mesh_lib.TENSOR))


def settings(**changes):
    train = tiny.config(learning_rate=LEARNING_RATE, **changes)
    train.loss = dict(emg=1.0, pose=0.1, torque=0.1, load=0.1, held=0.1)
    return train


@functools.cache
def model():
    encoder = small.TUBELET | dict(heads=4)
    config = small.config(encoder, heads=4, dropout=0.0)
    return models.build(config, **small.SHAPE)


@functools.cache
def batch(size: int = 8) -> dict[str, np.ndarray]:
    """A batch with every target, each of them unknown in other places; and one without video."""
    rng = np.random.default_rng(1)
    shown = small.batch(b=size) | {
        "emg": rng.random((size, 50, 4)).astype(np.float32),
        "emg_mask": rng.random((size, 50, 4)) > np.linspace(0, 0.9, size)[:, None, None],
        "pose": rng.normal(size=(size, 10, 21, 3)).astype(np.float32),
        "pose_mask": rng.random((size, 10, 21)) > 0.5,
        "true_pose": rng.normal(size=(size, 10, 21, 3)).astype(np.float32),
        "true_pose_mask": rng.random((size, 10, 21)) > 0.5,
        "torque": rng.normal(size=(size, 10, 3)).astype(np.float32),
        "torque_mask": rng.random((size, 10, 3)) > 0.5,
        "load": rng.random(size).astype(np.float32),
        "load_mask": np.arange(size) > 2,
        "held": rng.random((size, 5)).astype(np.float32),
        "held_mask": np.arange(size) > 1,
    }
    no_video = {name: shown[name][:, :0] for name in ("video", "video_mask", "view")}
    others = {name: values[::-1].copy() for name, values in (shown | no_video).items()}
    return with_pose_only(shown, others)


@functools.cache
def initial_state():
    tx = state_lib.optimiser(settings())
    return jit(functools.partial(state_lib.create, model(), tx, batch(), 0))()


@functools.cache
def train(count: int, fsdp: int = 1, tensor: int = 1, accumulate: int = 1):
    """Losses and the last state."""
    mesh, config = mesh_of(count, fsdp, tensor), settings(accumulate=accumulate)
    sharding = mesh_lib.state_sharding(mesh, initial_state(), MIN_SIZE)
    # Without a copy, the shards on the first device would be donated with the initial state.
    state = jax.device_put(jax.tree.map(jnp.copy, initial_state()), sharding)
    step = jit(
        train_step(model(), state_lib.optimiser(config), config),
        out_shardings=(sharding, mesh_lib.replicated(mesh)),
        donate_argnums=0,
    )
    losses = []
    for _ in range(STEPS):
        state, metrics = step(state, mesh_lib.put_batch(mesh, batch()))
        losses.append(float(metrics["loss"]))
    return losses, state


def assert_as_one_device(losses, state):
    """Compares a run with that on one device.

    Adam divides each gradient by its own size. Where a gradient is zero up to rounding errors,
    these decide the update, and a parameter may differ by up to the learning rate per step and run.
    Few parameters are like that, such as the biases of attention keys, which the softmax cancels.
    """
    expected_losses, expected = train(1)
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-5)
    differences = np.concatenate(
        [
            np.abs(np.asarray(a) - np.asarray(b)).ravel()
            for a, b in zip(
                jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True
            )
        ]
    )
    assert differences.max() <= 2 * STEPS * LEARNING_RATE
    assert np.mean(differences > 1e-4) < 0.01


@pytest.mark.parametrize("fsdp, tensor", [(1, 1), (8, 1), (2, 2)])
def test_eight_devices_equal_one(fsdp, tensor):
    losses, state = train(8, fsdp, tensor)
    assert_as_one_device(losses, state)
    specs = {
        mesh_lib.path_name(path): leaf.sharding.spec
        for path, leaf in jax.tree_util.tree_leaves_with_path(state.params)
    }
    kernel = specs["encoder/layer_0/MLP_0/Dense_0/kernel"]
    assert (mesh_lib.TENSOR in kernel) == (tensor > 1) and ("fsdp" in kernel) == (fsdp > 1)


def test_a_batch_in_parts_equals_the_whole_batch():
    assert_as_one_device(*train(4, accumulate=2))


def stacked(params):
    """Parameters of separate layers as those of scanned layers."""
    params = dict(params)
    layers = [params.pop(f"layer_{i}") for i in range(2)]
    return params | {"layers": {"block": jax.tree.map(lambda *x: jnp.stack(x), *layers)}}


def encoder(remat="none", scan=False):
    return TubeletTransformer(16, 2, 4, 8, 2, remat, scan, jnp.float32)


def apply(encoder, params):
    frames = jax.random.uniform(jax.random.key(1), (2, 4, 16, 16, 3), minval=-1)
    return encoder.apply({"params": params}, frames, jnp.ones((2, 4), bool), train=True)


def init(encoder):
    frames, mask = jnp.zeros((2, 4, 16, 16, 3)), jnp.ones((2, 4), bool)
    return encoder.init(jax.random.key(0), frames, mask, train=False)["params"]


@functools.cache
def encoder_params():
    return jit(lambda: init(encoder()))()


def value_and_gradient(encoder, params):
    def loss(params):
        return (apply(encoder, params) ** 2).sum()

    return jit(jax.value_and_grad(loss))(params)


def test_scanned_layers_compute_the_same_as_separate_ones():
    value, gradient = value_and_gradient(encoder(), encoder_params())
    params, gradient = stacked(encoder_params()), stacked(gradient)
    for remat in ("none", "full"):
        scanned = encoder(remat, scan=True)
        shapes = jax.eval_shape(lambda scanned=scanned: init(scanned))
        assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)
        scanned_value, scanned_gradient = value_and_gradient(scanned, params)
        np.testing.assert_allclose(scanned_value, value, rtol=1e-5)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4),
            scanned_gradient,
            gradient,
        )


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_scanned_layers_are_optimised_like_separate_ones(optimiser):
    tx = state_lib.optimiser(settings(optimiser=optimiser))
    params = encoder_params()
    gradient = jax.tree.map(lambda p: jnp.sin(50 * p) + 0.1, params)

    @jit
    def update(params, gradient):
        state, updates = tx.init(params), None
        for _ in range(2):  # the first has a learning rate of zero
            updates, state = tx.update(gradient, state, params)
        return updates

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6),
        update(stacked(params), stacked(gradient)),
        stacked(update(params, gradient)),
    )


def test_a_state_of_eight_devices_is_restored_on_one_and_on_three(tmp_path):
    _, state = train(8, fsdp=2, tensor=2)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(STEPS, state, {"some": "note"})
    checkpoints.close()
    for mesh in (mesh_of(1), mesh_of(3, fsdp=3)):
        sharding = mesh_lib.state_sharding(mesh, state, MIN_SIZE)
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, sharding
        )
        checkpoints = Checkpoints(tmp_path)
        restored, note = checkpoints.restore(abstract)
        checkpoints.close()
        assert note == {"some": "note"}
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        for a, b, s in zip(*map(jax.tree.leaves, (restored, state, sharding)), strict=True):
            assert a.sharding.is_equivalent_to(s, a.ndim)
            np.testing.assert_array_equal(tiny.plain(a), tiny.plain(b))


def test_a_run_continues_with_another_number_of_devices_and_the_same_data(tmp_path):
    changes = dict(log_every=1, eval_every=12, save_every=6)
    tiny.run(tmp_path / "one", **changes)
    tiny.run(tmp_path / "moved", mesh=mesh_of(4), **changes | dict(steps=12, save_every=5))

    def orders(name):
        return [line["loss_order"] for line in tiny.lines(tmp_path / name) if "loss" in line]

    def losses(name):
        return [line["loss"] for line in tiny.lines(tmp_path / name) if "loss" in line]

    assert orders("one") == orders("moved")
    np.testing.assert_allclose(losses("one"), losses("moved"), rtol=1e-5)
    # Continue from step 10, as if the rest had been lost, with two devices.
    shutil.rmtree(tmp_path / "moved" / "checkpoints" / "12")
    tiny.run(tmp_path / "moved", mesh=mesh_of(2), **changes)
    assert orders("one") == orders("moved")
    np.testing.assert_allclose(losses("one"), losses("moved"), rtol=1e-5)


def test_rules_follow_paths_and_sizes():
    mesh = mesh_of(8, fsdp=2, tensor=2)
    block = {
        "Attention_0": {
            "query": {"kernel": jnp.zeros((8, 4, 2)), "bias": jnp.zeros((4, 2))},
            "out": {"kernel": jnp.zeros((4, 2, 8)), "bias": jnp.zeros(8)},
        },
        "MLP_0": {
            "Dense_0": {"kernel": jnp.zeros((8, 32))},
            "Dense_1": {"kernel": jnp.zeros((32, 8))},
        },
        "LayerNorm_0": {"scale": jnp.zeros(8)},
    }
    specs = {
        mesh_lib.path_name(path): tuple(leaf.spec)
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            mesh_lib.state_sharding(mesh, {"layer_0": block}, min_size=64)
        )
    }
    assert specs == {
        "layer_0/Attention_0/query/kernel": ("fsdp", "tensor", None),
        "layer_0/Attention_0/query/bias": ("tensor", None),
        "layer_0/Attention_0/out/kernel": ("tensor", None, "fsdp"),
        "layer_0/Attention_0/out/bias": (None,),
        "layer_0/MLP_0/Dense_0/kernel": ("fsdp", "tensor"),
        "layer_0/MLP_0/Dense_1/kernel": ("tensor", "fsdp"),
        "layer_0/LayerNorm_0/scale": (None,),
    }
    layer = {"layer_0": block}
    text = mesh_lib.table(layer, mesh_lib.state_sharding(mesh, layer, min_size=64))
    row = next(line for line in text.splitlines() if "MLP_0/Dense_0" in line).split()
    assert row == ["layer_0/MLP_0/Dense_0/kernel", "8×32", "fsdp,", "tensor", "256"]
    with pytest.raises(UserError, match="fsdp=3 does not divide the 8 devices"):
        mesh_lib.make_mesh(3)
    with pytest.raises(UserError, match="batch_size=6 is not a multiple of the 4 groups"):
        mesh_lib.check_batch(mesh, 6, "batch_size")
