import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from video2emg.errors import UserError
from video2emg.models.reference.layers import FrozenBatchNorm
from video2emg.models.reference.vit import Layer
from video2emg.train import finetune
from video2emg.train.finetune import Finetune


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return FrozenBatchNorm(name="norm")(Layer(2, 8, name="layer_0")(x))


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, name="head")(Encoder(name="encoder")(x))


X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)), jnp.float32)


def trained(spec, steps=3, tx=None):
    """Flat parameters before and after some steps, and the sum of outputs at the start."""
    model = finetune.adapted(Model(), spec)
    params = jax.jit(model.init)(jax.random.key(0), X)["params"]
    tx = finetune.optimiser(tx or optax.adamw(0.01, weight_decay=0.1), spec)
    state, before = jax.jit(tx.init)(params), params

    @jax.jit
    def step(params, state):
        grads = jax.grad(lambda p: ((model.apply({"params": p}, X) - 1) ** 2).sum())(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    flat = [flax.traverse_util.flatten_dict(p, sep="/") for p in (before, params)]
    moved = {name for name, value in flat[0].items() if not (value == flat[1][name]).all()}
    return model, before, params, moved, state


def test_frozen_moves_nothing_of_the_encoder_and_keeps_no_state_of_it():
    _, before, _, moved, state = trained(Finetune("frozen"))
    assert moved == {"head/kernel", "head/bias"}
    # Adam's two moments of the head's 4 + 1 numbers, and two step counters.
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) < 20
    assert sum(leaf.size for leaf in jax.tree.leaves(before)) > 100


def test_full_moves_all_but_statistics():
    _, before, _, moved, _ = trained(Finetune("full"))
    every = set(flax.traverse_util.flatten_dict(before, sep="/"))
    # Softmax does not see a bias of the keys, but weight decay may move it.
    assert every - moved <= {"encoder/norm/mean", "encoder/norm/var",
                             "encoder/layer_0/key/bias"}  # fmt: skip
    assert {"encoder/norm/mean", "encoder/norm/var"} <= every - moved


def test_the_encoder_may_learn_more_slowly():
    tx = optax.sgd(1e-3)
    _, before, after, *_ = trained(Finetune("full"), 1, tx)
    _, _, slow, *_ = trained(Finetune("full", learning_rate=0.1), 1, tx)
    for part, factor in (("encoder", 0.1), ("head", 1.0)):
        change, slower = (
            jax.tree.map(lambda a, b: a - b, tree[part], before[part]) for tree in (after, slow)
        )
        jax.tree.map(
            lambda a, b, f=factor: np.testing.assert_allclose(b, f * a, atol=1e-7), change, slower
        )


def test_lora_starts_as_the_model_and_moves_only_thin_matrices():
    spec = Finetune("lora", rank=2)
    model, before, after, moved, _ = trained(spec)
    own = jax.jit(Model().apply)({"params": before["base"]}, X)
    np.testing.assert_allclose(jax.jit(model.apply)({"params": before}, X), own, atol=1e-6)
    kernels = {f"encoder/layer_0/{name}/kernel" for name in ("query", "key", "value", "out")}
    assert moved == {f"lora/{name}/{leaf}" for name in kernels for leaf in "ab"} | {
        "base/head/kernel", "base/head/bias"
    }  # fmt: skip
    merged = jax.jit(Model().apply)({"params": model.effective(after)}, X)
    np.testing.assert_allclose(merged, jax.jit(model.apply)({"params": after}, X), atol=1e-6)
    assert not np.allclose(merged, own)


def test_lora_adds_a_matrix_of_its_rank():
    spec = Finetune("lora", rank=1, alpha=3.0)
    model, _, after, *_ = trained(spec)
    name = ("encoder", "layer_0", "query", "kernel")
    base, pair, full = after["base"], after["lora"], model.effective(after)
    for key in name:
        base, pair, full = base[key], pair[key], full[key]
    change = np.asarray(full - base).reshape(4, 4)
    np.testing.assert_allclose(change, 3.0 * np.asarray(pair["a"] @ pair["b"]), atol=1e-6)
    assert np.linalg.matrix_rank(change, tol=1e-5) == 1


def test_mistakes_are_named():
    for settings, message in (
        (dict(mode="half"), "finetune.mode"),
        (dict(rank=0), "finetune.rank"),
        (dict(adapt="("), "finetune.adapt"),
    ):
        with pytest.raises(UserError, match=message):
            Finetune(**settings)
    with pytest.raises(UserError, match="no kernel of the model"):
        finetune.adapted(Model(), Finetune("lora", path="decoder/")).init(jax.random.key(0), X)
