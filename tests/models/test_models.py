import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from video2emg import models
from video2emg.core.errors import UserError
from video2emg.models import encoders
from video2emg.models.build import token_rate
from video2emg.models.encoders import PoseMLP
from video2emg.models.video2emg import MuscleDecoder


def config(**encoder):
    encoder = encoder or dict(name="cnn", widths=(4, 8), dim=16, patch=4)
    return ml_collections.ConfigDict(
        dict(encoder=encoder, dim=16, heads=2, layers=1, decoder_layers=1, dropout=0.1,
             auxiliary=True, dtype="float32")
    )  # fmt: skip


def batch(b=2, v=2, t=10, s=16, m=4):
    rng = np.random.default_rng(0)
    return {
        "video": rng.integers(0, 255, (b, v, t, s, s, 3)).astype(np.uint8),
        "video_mask": np.ones((b, v, t), bool),
        "view": np.tile(np.arange(v, dtype=np.int32), (b, 1)),
        "muscle": rng.integers(0, 9, (b, m)).astype(np.int32),
        "side": np.tile(np.arange(m, dtype=np.int32) % 2, (b, 1)),
        "pose": rng.normal(size=(b, t, 21, 3)).astype(np.float32),
        "pose_mask": np.ones((b, t, 21), bool),
    }


def make(causal=False, late=0.0, **encoder):
    settings = config(**encoder)
    settings.update(causal=causal, lookahead_s=late)
    model = models.build(
        settings, frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=21, dofs=3
    )
    inputs = batch()
    params = model.init(jax.random.key(0), inputs, train=False)
    return model, params, inputs


TUBELET = dict(name="tubelet", dim=16, layers=1, heads=2, patch=8, stride=2)


@pytest.mark.parametrize("encoder", [{}, TUBELET])
def test_shapes_units_and_gradients(encoder):
    model, params, inputs = make(**encoder)
    out, extra = model.apply(params, inputs, train=False)
    assert out.emg.shape == (2, 50, 4) and (out.emg >= 0).all()
    assert out.pose.shape == (2, 10, 21, 3) and out.torque.shape == (2, 10, 3)
    assert out.load.shape == (2,) and extra["tokens"].shape[0] == 2
    grads = jax.grad(lambda p: model.apply(p, inputs, train=False)[0].emg.sum())(params)
    asleep = [
        jax.tree_util.keystr(path)
        for path, g in jax.tree_util.tree_leaves_with_path(grads)
        if not jnp.any(g != 0)
    ]
    # Only the auxiliary heads are not on the way to the EMG.
    assert all("auxiliary" in p or "['pose']" in p or "torque" in p or "load" in p for p in asleep)


def test_recomputing_layers_changes_memory_and_nothing_else():
    """With dropout on, as in training: whether to drop out is not traced."""
    model, params, inputs = make(**TUBELET)
    again, other, _ = make(**TUBELET, remat="full")
    assert jax.tree.structure(params) == jax.tree.structure(other)

    def slope(model):
        def total(p):
            return model.apply(p, inputs, train=True, rngs={"dropout": jax.random.key(1)})[0].emg

        return jax.jit(jax.grad(lambda p: total(p).sum()))(params)

    for a, b in zip(jax.tree.leaves(slope(model)), jax.tree.leaves(slope(again)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("encoder", [{}, TUBELET])
def test_masked_frames_change_nothing(encoder):
    model, params, inputs = make(**encoder)
    inputs["video_mask"][:, 1] = False
    inputs["video_mask"][:, 0, 7:] = False
    first, _ = model.apply(params, inputs, train=False)
    changed = inputs | {"video": inputs["video"].copy()}
    changed["video"][~inputs["video_mask"]] ^= 255
    second, _ = model.apply(params, changed, train=False)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_the_stem_sees_pixels_and_what_is_left_without_their_mean(causal):
    """Against the definition: both pictures as channels, cut into patches, one dense layer."""
    rng = np.random.default_rng(0)
    video = rng.normal(size=(2, 5, 8, 8, 3)).astype(np.float32)
    mask = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 1]], bool)
    video[~mask] = 0
    stem = encoders.Stem(6, 4, True, causal)
    shown = jnp.asarray(video), jnp.asarray(mask)
    params = stem.init(jax.random.key(0), *shown)["params"]
    mean = np.zeros_like(video)
    for b, t in np.ndindex(mask.shape):
        seen = np.flatnonzero(mask[b] & ((np.arange(5) <= t) | (not causal)))
        mean[b, t] = video[b, seen].mean(0) if len(seen) else 0
    both = np.concatenate([video, video - mean], -1)
    for y, x in np.ndindex(2, 2):
        patch = both[:, :, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].reshape(2, 5, -1)
        expected = patch @ params["kernel"] + params["bias"]
        found = stem.apply({"params": params}, *shown)[:, :, y, x]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_convolution_is_one(monkeypatch):
    """As a product of pixels, as on CPUs, and as XLA's convolution, as elsewhere."""
    x = jax.random.normal(jax.random.key(1), (3, 8, 12, 5))
    theirs, ours = nn.Conv(7, (3, 3), strides=2), encoders.HalvingConv(7)
    params = theirs.init(jax.random.key(0), x)
    np.testing.assert_array_equal(
        params["params"]["kernel"], ours.init(jax.random.key(0), x)["params"]["kernel"]
    )

    def loss(module, params, x):
        return (module.apply(params, x) ** 3).sum()

    expected = jax.grad(functools.partial(loss, theirs), (0, 1))(params, x)
    for backend in ("cpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), atol=1e-5)
        found = jax.grad(functools.partial(loss, ours), (0, 1))(params, x)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), found, expected
        )


FRAMES = TUBELET | dict(stride=1)


@pytest.mark.parametrize("encoder", [{}, FRAMES])
def test_a_causal_model_does_not_look_ahead(encoder):
    """Six frames come, then four others than expected: nothing said until then changes."""
    for causal in (True, False):
        model, params, inputs = make(causal, **encoder)
        other = inputs | {"video": inputs["video"].copy()}
        other["video"][:, :, 6:] ^= 255
        absent = inputs | {"video_mask": inputs["video_mask"].copy()}
        absent["video_mask"][:, :, 6:] = False
        first, _ = model.apply(params, inputs, train=False)
        for changed in (other, absent):
            second, _ = model.apply(params, changed, train=False)
            for name, until in (("emg", 30), ("pose", 6), ("torque", 6)):
                a, b = getattr(first, name), getattr(second, name)
                near = np.abs(a - b)[:, :until].max()
                assert near < 1e-5 if causal else near > 1e-4, name
                assert np.abs(a - b)[:, until:].max() > 1e-4


def test_a_late_model_waits_so_long_and_no_longer():
    """Two frames late, it has said all of the first 5 (of 5 samples each) when 7 have come."""
    model, params, inputs = make(True, late=0.2)
    first, _ = model.apply(params, inputs, train=False)
    for seen in (6, 7):
        absent = inputs | {"video_mask": inputs["video_mask"].copy()}
        absent["video_mask"][:, :, seen:] = False
        second, _ = model.apply(params, absent, train=False)
        off = np.abs(second.emg - first.emg).max((0, 2)).reshape(10, 5).max(-1)
        assert off[: seen - 2].max() < 1e-5 < 1e-4 < off[seen - 2]
        # The tokens, of which the pose is read, are not late.
        assert np.abs(second.pose - first.pose)[:, :seen].max() < 1e-5
    for causal, late in ((False, 0.2), (True, 0.25), (True, 1.0), (True, -0.1)):
        with pytest.raises(UserError, match=r"config\.model\.lookahead_s: .* s; only a causal"):
            make(causal, late)


def test_to_a_causal_model_only_the_past_counts_not_the_clock():
    """Three frames that are not there in front change nothing but when it is said."""
    model, params, inputs = make(True)
    late = inputs | {
        "video": np.roll(inputs["video"], 3, 2),
        "video_mask": np.arange(10) >= np.full((2, 2, 1), 3),
    }
    first, _ = model.apply(params, inputs, train=False)
    second, _ = model.apply(params, late, train=False)
    # The first interval's answers are cross-faded with those of the one before it.
    np.testing.assert_allclose(second.emg[:, 20:], first.emg[:, 5:35], atol=1e-5)


POSE = dict(name="pose", dim=16, depth=1, widths=(4, 8), patch=4)  # of the others: not looked at


def test_the_pose_encoder_reads_joints_and_predicts_none():
    model, params, inputs = make(**POSE)
    out, extra = model.apply(params, inputs, train=False)
    assert out.emg.shape == (2, 50, 4) and extra["tokens"].shape == (2, 10, 16)
    assert out.pose is None and out.torque.shape == (2, 10, 3)
    blind = inputs | {"video": inputs["video"][:, :0], "view": inputs["view"][:, :0]}
    np.testing.assert_array_equal(model.apply(params, blind, train=False)[0].emg, out.emg)
    grad = jax.grad(
        lambda pose: model.apply(params, inputs | {"pose": pose}, train=False)[0].emg.sum()
    )(inputs["pose"])
    assert (grad != 0).any((0, 1, 3)).all()  # every joint counts


def test_masked_joints_change_nothing_not_even_the_velocity_of_their_neighbours():
    model, params, inputs = make(**POSE)
    mask = inputs["pose_mask"]
    mask[:, 4, 3], mask[:, 7:], mask[:, :, 9] = False, False, False
    first, _ = model.apply(params, inputs, train=False)
    changed = inputs | {"pose": np.where(mask[..., None], inputs["pose"], 7.0)}
    second, _ = model.apply(params, changed, train=False)
    np.testing.assert_array_equal(first.emg, second.emg)


def test_velocities_are_per_second_and_can_be_left_out():
    """The same movement sampled at twice the rate has the same velocity at the same instant."""
    rng = np.random.default_rng(0)
    start, speed = jnp.asarray(rng.normal(size=(2, 1, 1, 21, 3)), jnp.float32)
    mask = jnp.ones((1, 9, 21), bool)
    slow, fast = (PoseMLP(dim=8, frame_rate=rate) for rate in (5.0, 10.0))
    times = jnp.arange(9.0)[None, :, None, None]
    params = slow.init(jax.random.key(0), start + speed * times, mask, train=False)
    a = slow.apply(params, start + speed * times / 5, mask, train=False)
    b = fast.apply(params, start + speed * times / 10, mask, train=False)
    np.testing.assert_allclose(a[:, 1:4], b[:, 2:8:2], atol=1e-4)
    still = PoseMLP(dim=8, frame_rate=5.0, motion=False)
    params = still.init(jax.random.key(0), start + speed * times, mask, train=False)
    assert params["params"]["joints"]["kernel"].shape == (21 * 4, 8)


def test_muscles_are_asked_one_by_one():
    """The answer to a query does not depend on which other muscles are asked, or in what order."""
    model, params, inputs = make()
    out, _ = model.apply(params, inputs, train=False)
    order = [2, 0, 3]
    fewer = inputs | {name: inputs[name][:, order] for name in ("muscle", "side")}
    again, _ = model.apply(params, fewer, train=False)
    np.testing.assert_allclose(again.emg, out.emg[:, :, order], atol=1e-5)


def test_neighbouring_answers_meet_without_a_step():
    """With answers that are smooth per query, the output is as smooth across queries."""
    decoder = MuscleDecoder(16, 1, 2, samples=20)
    rng = np.random.default_rng(0)
    tokens = jnp.asarray(rng.normal(size=(1, 6, 16)), jnp.float32)
    asked = (jnp.arange(8) * 0.2, jnp.zeros((1, 2), jnp.int32), jnp.array([[0, 1]]))
    args = (tokens, jnp.ones((1, 6), bool), jnp.arange(6) * 0.2, *asked)
    params = decoder.init(jax.random.key(0), *args, train=False)
    kernel = params["params"]["samples"]["kernel"]
    smooth = jnp.linspace(0, 1, 40) * kernel[:, :1]  # each answer is a straight line
    params["params"]["samples"]["kernel"] = smooth
    emg = np.asarray(decoder.apply(params, *args, train=False)[0])[0]
    steps = np.abs(np.diff(emg, axis=0))
    seams = np.arange(1, 8) * 20 - 1
    inside = np.delete(steps, seams, axis=0)
    assert emg.shape == (160, 2) and inside.max() > 1e-3
    assert steps[seams].max() <= 1.5 * inside.max()


def test_views_may_come_in_any_order():
    model, params, inputs = make()
    out, _ = model.apply(params, inputs, train=False)
    names = ("video", "video_mask", "view")
    swapped = inputs | {name: inputs[name][:, ::-1] for name in names}
    again, _ = model.apply(params, swapped, train=False)
    np.testing.assert_allclose(again.emg, out.emg, atol=1e-5)


@pytest.mark.parametrize(
    "encoder, stride", [({}, 1), (TUBELET, 2), (dict(name="i3d"), 8), (dict(name="videomae"), 2)]
)
def test_the_rate_of_tokens_is_the_built_encoders(encoder, stride):
    """Also where the configuration says nothing of a stride, or of one that the encoder lacks."""
    assert token_rate(config(**encoder), 25.0) == 25.0 / stride
    assert token_rate(config(**{"name": "cnn", "widths": (4,), "dim": 8, "stride": 1}), 25.0) == 25


def test_impossible_settings_are_named():
    shape = dict(frames=10, size=16, frame_rate=10.0, emg_rate=50.0)
    with pytest.raises(UserError, match=r"encoder\.name"):
        models.build(config(name="magic"), **shape)
    with pytest.raises(UserError, match="multiple of frame_rate"):
        models.build(config(), **shape | {"frame_rate": 15.0})
    with pytest.raises(UserError, match="size: 20 px is not a multiple of 8 px"):
        models.build(config(), **shape | {"size": 20})
    for encoder in (TUBELET, POSE):
        ahead = config(**encoder)
        ahead.causal = True
        with pytest.raises(UserError, match="looks ahead"):
            models.build(ahead, **shape | {"size": 16})


def test_motion_channels_show_what_differs_from_the_background():
    """A still picture has no motion, whatever its colour, and a still network cannot see it."""
    model, params, inputs = make(name="cnn", widths=(4, 8), dim=16, patch=4, motion=True)
    still = inputs | {"video": np.full_like(inputs["video"], 40)}
    kernel = params["params"]["encoder"]["stem"]["kernel"].reshape(4, 4, 6, -1)
    blind = jax.tree.map(lambda x: x, params)
    blind["params"]["encoder"]["stem"]["kernel"] = kernel.at[:, :, :3].set(0).reshape(96, -1)
    first, _ = model.apply(blind, still, train=False)
    second, _ = model.apply(blind, still | {"video": still["video"] + 100}, train=False)
    # The layer norm behind it makes more of the rounding of what cancels.
    np.testing.assert_allclose(first.emg, second.emg, atol=5e-3)
    third, _ = model.apply(blind, inputs, train=False)
    assert np.abs(first.emg - third.emg).max() > 5e-2
