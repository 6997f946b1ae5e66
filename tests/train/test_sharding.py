"""Eight devices, however they share the work, compute what one does."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from video2emg import models
from video2emg.core.errors import UserError
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import Checkpoints
from video2emg.train.step import train_step

from ..models.test_models import TUBELET, config
from ..models.test_models import batch as make_batch
from . import tiny

# Nothing here runs long enough to repay the compiler's pains.
FAST = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "True"}
jit = functools.partial(jax.jit, compiler_options=FAST)
ENCODER = TUBELET | dict(layers=2, heads=4)


def mesh_of(count: int, fsdp: int = 1, tensor: int = 1) -> Mesh:
    devices = np.array(jax.devices()[:count])
    return Mesh(devices.reshape(-1, fsdp, tensor), (*mesh_lib.AXES, mesh_lib.TENSOR))


def setup(optimiser="adamw", accumulate=1, **encoder):
    settings = config(**ENCODER | encoder)
    settings.update(heads=4, dropout=0.0)
    model = models.build(
        settings, frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=21, dofs=3
    )
    train = tiny.config(optimiser=optimiser, accumulate=accumulate)
    train.loss = dict(emg=1.0, pose=0.1, torque=0.1, load=0.1)
    return model, train


def examples(size: int = 8) -> dict[str, np.ndarray]:
    """A batch with every target, each unknown in other places."""
    rng = np.random.default_rng(1)
    return make_batch(b=size) | {
        "emg": rng.random((size, 50, 4)).astype(np.float32),
        "emg_mask": rng.random((size, 50, 4)) > np.linspace(0, 0.9, size)[:, None, None],
        "pose": rng.normal(size=(size, 10, 21, 3)).astype(np.float32),
        "pose_mask": rng.random((size, 10, 21)) > 0.5,
        "torque": rng.normal(size=(size, 10, 3)).astype(np.float32),
        "torque_mask": rng.random((size, 10, 3)) > 0.5,
        "load": rng.random(size).astype(np.float32),
        "load_mask": np.arange(size) > 2,
    }


def train(mesh, steps=3, min_size=64, **changes):
    """Losses and the last state, gathered."""
    model, settings = setup(**changes)
    tx = state_lib.optimiser(settings)
    batch = examples()
    create = functools.partial(state_lib.create, model, tx, batch, 0)
    sharding = mesh_lib.state_sharding(mesh, jax.eval_shape(create), min_size)
    state = jit(create, out_shardings=sharding)()
    step = jit(
        train_step(model, tx, settings),
        out_shardings=(sharding, mesh_lib.replicated(mesh)),
        donate_argnums=0,
    )
    losses = []
    for _ in range(steps):
        state, metrics = step(state, mesh_lib.put_batch(mesh, batch))
        losses.append(float(metrics["loss"]))
    return losses, state


@pytest.fixture(scope="module")
def alone():
    return train(mesh_of(1))


@pytest.mark.parametrize("fsdp, tensor", [(1, 1), (8, 1), (2, 2)])
def test_eight_devices_equal_one(alone, fsdp, tensor):
    losses, state = train(mesh_of(8, fsdp, tensor))
    np.testing.assert_allclose(losses, alone[0], rtol=2e-5)
    split = {
        mesh_lib.path_name(path): leaf.sharding.spec
        for path, leaf in jax.tree_util.tree_leaves_with_path(state.params)
    }
    kernel = split["encoder/layer_0/MLP_0/Dense_0/kernel"]
    assert (mesh_lib.TENSOR in kernel) == (tensor > 1) and ("fsdp" in kernel) == (fsdp > 1)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(alone[1].params), strict=True):
        # Adam divides by the gradient's size, so rounding shows where gradients are nearly zero.
        np.testing.assert_allclose(a, b, atol=2e-3)


def test_parts_of_a_batch_one_after_the_other_equal_the_large_batch(alone):
    losses, state = train(mesh_of(4), accumulate=2)
    np.testing.assert_allclose(losses, alone[0], rtol=2e-5)
    leaves = zip(jax.tree.leaves(state.params), jax.tree.leaves(alone[1].params), strict=True)
    for a, b in leaves:
        np.testing.assert_allclose(a, b, atol=2e-3)


def stacked(params):
    """Parameters of separate layers as those of scanned ones."""
    encoder = dict(params["encoder"])
    layers = [encoder.pop(f"layer_{i}") for i in range(2)]
    encoder["layers"] = {"block": jax.tree.map(lambda *x: jnp.stack(x), *layers)}
    return {**params, "encoder": encoder}


@pytest.mark.parametrize("remat, scan", [("dots", False), ("none", True), ("full", True)])
def test_scanned_and_rematerialised_layers_compute_the_same(remat, scan):
    plain, _ = setup()
    inputs = examples(2)
    init = jit(functools.partial(plain.init, train=False))
    params = init(jax.random.key(0), inputs)["params"]
    other, _ = setup(remat=remat, scan=scan)

    def slope(model, params):
        def value(params):
            return (model.apply({"params": params}, inputs, train=True)[0].emg ** 2).sum()

        return jit(jax.value_and_grad(value))(params)

    wanted, slopes = slope(plain, params)
    if scan:
        params, slopes = stacked(params), stacked(slopes)
    shapes = jax.eval_shape(lambda: other.init(jax.random.key(0), inputs, train=False))["params"]
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)
    found, grads = slope(other, params)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_scanned_layers_are_optimised_like_separate_ones(optimiser):
    model, settings = setup()
    settings.optimiser = optimiser
    tx = state_lib.optimiser(settings)
    params = jit(functools.partial(model.init, train=False))(jax.random.key(0), examples(1))
    params = params["params"]
    grads = jax.tree.map(lambda p: jnp.sin(50 * p) + 0.1, params)

    @jit
    def update(params, grads):
        state, updates = tx.init(params), None
        for _ in range(2):  # the first has a learning rate of zero
            updates, state = tx.update(grads, state, params)
        return updates

    wanted = stacked(update(params, grads))
    found = update(stacked(params), stacked(grads))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_state_of_eight_devices_is_restored_on_one_and_on_three(tmp_path):
    _, state = train(mesh_of(8, fsdp=2, tensor=2), steps=1)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state, {"some": "note"})
    checkpoints.close()
    for mesh in (mesh_of(1), mesh_of(3, fsdp=3)):
        sharding = mesh_lib.state_sharding(mesh, state, min_size=64)
        like = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, sharding
        )
        again = Checkpoints(tmp_path)
        found, note = again.restore(like)
        again.close()
        assert note == {"some": "note"}
        assert jax.tree.structure(found) == jax.tree.structure(state)
        for a, b, s in zip(*map(jax.tree.leaves, (found, state, sharding)), strict=True):
            assert a.sharding.is_equivalent_to(s, a.ndim)
            np.testing.assert_array_equal(tiny.plain(a), tiny.plain(b))


def test_a_run_goes_on_with_another_number_of_devices_and_the_same_data(tmp_path):
    changes = dict(log_every=1, eval_every=12, save_every=6)
    tiny.run(tmp_path / "one", **changes)
    tiny.run(tmp_path / "moved", mesh=mesh_of(4), **changes | dict(steps=12, save_every=5))

    def orders(name):
        return [line["loss_order"] for line in tiny.lines(tmp_path / name) if "loss" in line]

    def losses(name):
        return [line["loss"] for line in tiny.lines(tmp_path / name) if "loss" in line]

    assert orders("one") == orders("moved")
    np.testing.assert_allclose(losses("one"), losses("moved"), rtol=1e-5)
    # Back to step 10, as if the rest had been lost, and on with two devices.
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
    found = {
        mesh_lib.path_name(path): tuple(leaf.spec)
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            mesh_lib.state_sharding(mesh, {"layer_0": block}, min_size=64)
        )
    }
    assert found == {
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
