import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import transformers

from configs import v2emg
from tests.models import small
from video2emg import models
from video2emg.core.errors import UserError
from video2emg.models import finetune
from video2emg.models.finetune import Finetune
from video2emg.models.published.layers import FrozenBatchNorm
from video2emg.models.published.vit import Layer
from video2emg.train import state


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
    """Model, parameters before and after, names of those that changed, and optimiser state."""
    model = finetune.Adapted(Model(), spec)
    params = jax.jit(model.init)(jax.random.key(0), X)["params"]
    tx = finetune.optimiser(tx or optax.adamw(0.01, weight_decay=0.1), spec)
    opt_state, before = jax.jit(tx.init)(params), params

    @jax.jit
    def step(params, opt_state):
        grads = jax.grad(lambda p: ((model.apply({"params": p}, X) - 1) ** 2).sum())(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    for _ in range(steps):
        params, opt_state = step(params, opt_state)
    flat = [flax.traverse_util.flatten_dict(p, sep="/") for p in (before, params)]
    changed = {name for name, value in flat[0].items() if not (value == flat[1][name]).all()}
    return model, before, params, changed, opt_state


def test_frozen_does_not_change_the_encoder_and_has_no_optimiser_state_for_it():
    _, before, _, changed, opt_state = trained(Finetune("frozen"))
    assert changed == {"head/kernel", "head/bias"}
    # Adam's two moments of the head's 4 + 1 numbers, and two step counters.
    assert sum(leaf.size for leaf in jax.tree.leaves(opt_state)) < 20
    assert sum(leaf.size for leaf in jax.tree.leaves(before)) > 100


def test_full_changes_everything_except_statistics():
    _, before, _, changed, _ = trained(Finetune("full"))
    every = set(flax.traverse_util.flatten_dict(before, sep="/"))
    statistics = {"encoder/norm/mean", "encoder/norm/var"}
    # The softmax cancels a bias of the keys, so only weight decay may change it.
    assert statistics <= every - changed <= statistics | {"encoder/layer_0/key/bias"}


def test_the_encoder_may_have_a_smaller_learning_rate():
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


def test_lora_starts_as_the_model_and_changes_only_its_own_matrices_and_the_head():
    spec = Finetune("lora", rank=2)
    model, before, after, changed, _ = trained(spec)
    own = jax.jit(Model().apply)({"params": before["base"]}, X)
    np.testing.assert_allclose(jax.jit(model.apply)({"params": before}, X), own, atol=1e-6)
    kernels = {f"encoder/layer_0/{name}/kernel" for name in ("query", "key", "value", "out")}
    lora = {f"lora/{name}/{leaf}" for name in kernels for leaf in "ab"}
    assert changed == lora | {"base/head/kernel", "base/head/bias"}
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


def test_invalid_settings_are_named():
    for settings, message in (
        (dict(mode="half"), "finetune.mode"),
        (dict(rank=0), "finetune.rank"),
        (dict(adapt="("), "finetune.adapt"),
    ):
        with pytest.raises(UserError, match=message):
            Finetune(**settings)
    with pytest.raises(UserError, match="no kernel of the model"):
        finetune.Adapted(Model(), Finetune("lora", path="decoder/")).init(jax.random.key(0), X)


def test_a_run_starts_from_published_weights(tmp_path):
    """Selected by the configuration: a file, its layout, and how it is finetuned."""
    config = v2emg.get_config("debug")
    encoder = dict(name="vit", dim=8, layers=1, heads=2, hidden=8, patch=8, grid=(2, 2))
    config.model = small.config(encoder, dim=8, auxiliary=False)
    config.train.finetune = dict(mode="lora", rank=1)
    shape = dict(frames=2, size=16, frame_rate=5.0, emg_rate=50.0)
    batch = {
        "video": np.zeros((1, 1, 2, 16, 16, 3), np.uint8),
        "video_mask": np.ones((1, 1, 2), bool),
        "view": np.zeros((1, 1), np.int32),
        "muscle": np.zeros((1, 2), np.int32),
        "side": np.array([[0, 1]], np.int32),
    }
    theirs = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            patch_size=8,
            image_size=16,
        )
    )
    theirs.save_pretrained(tmp_path)
    config.model.pretrained = dict(weights=str(tmp_path / "model.safetensors"), layout="vit")
    built = models.build(config.model, **shape)
    model = finetune.from_config(config, built)
    tx = state.optimiser(config.train)
    params = jax.jit(lambda: state.create(model, tx, batch, 0))().params
    scale = theirs.state_dict()["layernorm.weight"].numpy()
    encoder_params = params["base"]["encoder"]
    np.testing.assert_array_equal(encoder_params["norm"]["scale"], scale)
    np.testing.assert_allclose(
        encoder_params["class_token"], theirs.embeddings.cls_token[0, 0].detach(), atol=1e-7
    )
    assert set(params["lora"]["encoder"]["layer_0"]) == {"query", "key", "value", "out"}

    config.model.pretrained.layout = "resnet"
    with pytest.raises(UserError, match=r"pretrained\.layout: 'resnet'"):
        finetune.from_config(config, built)
    config.train.finetune.depth = 3
    with pytest.raises(UserError, match="unknown fields depth"):
        finetune.from_config(config, built)
