import dataclasses
import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import (
    CNN,
    POSE,
    SHAPE,
    TUBELET,
    apply,
    batch,
    build,
    config,
    emg,
    full_batch,
)
from video2emg import models
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.models import encoders
from video2emg.models.build import ENCODERS, token_rate
from video2emg.models.encoders import PoseMLP
from video2emg.train.checkpoint import Checkpoints, load_params

TUBELET_OF_ONE_FRAME = TUBELET | dict(stride=1)


@pytest.mark.parametrize("encoder", [CNN, TUBELET])
def test_outputs_have_their_shapes_and_every_parameter_a_gradient(encoder):
    model, params = build(encoder)
    inputs = batch()
    outputs, tensors = apply(model, params, inputs)
    assert outputs.emg.shape == (2, 50, 4) and (outputs.emg >= 0).all()
    assert outputs.pose.shape == (2, 10, 21, 3) and outputs.torque.shape == (2, 10, 3)
    assert outputs.load.shape == (2,) and tensors["tokens"].shape[0] == 2
    gradient = jax.jit(jax.grad(lambda p: model.apply(p, inputs, train=False)[0].emg.sum()))(params)
    zero = [
        jax.tree_util.keystr(path)
        for path, g in jax.tree_util.tree_leaves_with_path(gradient)
        if not jnp.any(g != 0)
    ]
    # The EMG does not depend on the auxiliary heads.
    assert all(re.search("pose_norm|'pose'|torque|load", path) for path in zero), zero


def test_rematerialisation_does_not_change_the_gradient():
    """With dropout, as in training."""
    plain = encoders.TubeletTransformer(16, 1, 2, 8, 2, "none", False, jnp.float32, dropout=0.1)
    frames = jax.random.uniform(jax.random.key(1), (2, 4, 16, 16, 3), minval=-1)
    mask = jnp.ones((2, 4), bool)
    params = jax.jit(functools.partial(plain.init, train=False))(jax.random.key(0), frames, mask)

    def gradient(encoder):
        def loss(params):
            rngs = {"dropout": jax.random.key(2)}
            return (encoder.apply(params, frames, mask, train=True, rngs=rngs) ** 2).sum()

        return jax.jit(jax.grad(loss))(params)

    expected = gradient(plain)
    for remat in ("dots", "full"):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, atol=1e-5, rtol=1e-5),
            gradient(dataclasses.replace(plain, remat=remat)),
            expected,
        )


@pytest.mark.parametrize("encoder", [CNN, TUBELET])
def test_masked_frames_change_nothing(encoder):
    model, params = build(encoder)
    inputs = batch()
    inputs["video_mask"][:, 1] = False
    inputs["video_mask"][:, 0, 7:] = False
    changed = inputs | {"video": inputs["video"].copy()}
    changed["video"][~inputs["video_mask"]] ^= 255
    first, second = (apply(model, params, x)[0] for x in (inputs, changed))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_the_stem_uses_pixels_and_their_difference_from_the_mean(causal):
    """Against the definition: both images as channels, split into patches, one dense layer."""
    rng = np.random.default_rng(0)
    video = rng.normal(size=(2, 5, 8, 8, 3)).astype(np.float32)
    mask = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 1]], bool)
    video[~mask] = 0
    stem = encoders.Stem(6, 4, True, causal)
    output, variables = stem.init_with_output(
        jax.random.key(0), jnp.asarray(video), jnp.asarray(mask)
    )
    params = variables["params"]
    mean = np.zeros_like(video)
    for b, t in np.ndindex(mask.shape):
        frames = np.flatnonzero(mask[b] & ((np.arange(5) <= t) | (not causal)))
        mean[b, t] = video[b, frames].mean(0) if len(frames) else 0
    channels = np.concatenate([video, video - mean], -1)
    for y, x in np.ndindex(2, 2):
        patch = channels[:, :, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].reshape(2, 5, -1)
        expected = patch @ params["kernel"] + params["bias"]
        np.testing.assert_allclose(output[:, :, y, x], expected, atol=1e-5)


def test_the_stages_of_the_frame_cnn_are_convolutions():
    encoder = encoders.FrameCNN((5, 7), 6, 4, True, False, jnp.float32)
    video, mask = jax.random.normal(jax.random.key(1), (2, 3, 16, 16, 3)), jnp.ones((2, 3), bool)
    params = encoder.init(jax.random.key(0), video, mask, train=False)
    _, kept = encoder.apply(params, video, mask, train=False, capture_intermediates=True)
    stem, stage = (kept["intermediates"][name]["__call__"][0] for name in ("stem", "stage_0"))
    mean, variance = stem.mean(-1, keepdims=True), stem.var(-1, keepdims=True)
    normed = nn.gelu((stem - mean) / jnp.sqrt(variance + 1e-6)).reshape(6, 4, 4, 5)
    kernel = params["params"]["stage_0"]["kernel"].reshape(2, 2, 5, 7)
    conv = nn.Conv(7, (2, 2), strides=2, use_bias=False)
    expected = conv.apply({"params": {"kernel": kernel}}, normed)
    np.testing.assert_allclose(stage, expected, atol=1e-5)


SMALL_ENCODERS = {
    "cnn": encoders.FrameCNN((4, 8), 16, 4, True, False, jnp.float32),
    "cnn, causal": encoders.FrameCNN((4, 8), 16, 4, True, True, jnp.float32),
    "tubelet": encoders.TubeletTransformer(16, 1, 2, 8, 2, "none", False, jnp.float32),
    "tubelet, stride 1": encoders.TubeletTransformer(16, 1, 2, 8, 1, "none", False, jnp.float32),
    "i3d": ENCODERS["i3d"](narrow=16),
    "vit": ENCODERS["vit"](dim=8, layers=1, heads=2, hidden=8, patch=8, grid=(2, 2), pool="mean"),
    "videomae": ENCODERS["videomae"](dim=8, layers=1, heads=2, hidden=8, patch=8, grid=(2, 2, 2)),
    "videoprism": ENCODERS["videoprism"](
        dim=8, heads=2, hidden=8, spatial=1, temporal=1, patch=8, grid=(4, 2, 2)
    ),
}


@pytest.mark.parametrize("name", SMALL_ENCODERS)
def test_encoders_follow_the_protocol(name):
    """Stride, granularity and causality are as stated, for every encoder that can be chosen."""
    assert {type(encoder) for encoder in SMALL_ENCODERS.values()} == set(ENCODERS.values())
    encoder = SMALL_ENCODERS[name]
    assert isinstance(encoder, encoders.Encoder)
    frames, rng = 2 * max(encoder.stride, 2), np.random.default_rng(0)
    size = 3 * encoder.granularity
    inputs, mask = rng.uniform(-1, 1, (2, frames, size, size, 3)), jnp.ones((2, frames), bool)
    inputs = jnp.asarray(inputs, jnp.float32)
    init = functools.partial(encoder.init_with_output, train=False)
    shape = jax.eval_shape(lambda: init(jax.random.key(0), inputs, mask)[0]).shape
    assert shape[:2] == (2, frames // encoder.stride) and len(shape) == 3
    if encoder.stride > 1:
        assert not encoder.causal
        return
    # Another last frame changes only the last token of a causal encoder, and more of the others.
    tokens, params = jax.jit(init)(jax.random.key(0), inputs, mask)
    encode = jax.jit(functools.partial(encoder.apply, train=False))
    changed = encode(params, inputs.at[:, -1].multiply(-1), mask)
    difference = np.abs(changed - tokens).max((0, 2))
    assert difference[-1] > 1e-5 and (difference[:-1].max() < 1e-6) == encoder.causal


@pytest.mark.parametrize("encoder", [CNN, TUBELET_OF_ONE_FRAME])
@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_model_does_not_look_ahead(encoder, causal):
    """Later frames that change, or are missing, change earlier predictions only if not causal."""
    model, params = build(encoder, causal=causal)
    inputs = batch()
    other = inputs | {"video": inputs["video"].copy()}
    other["video"][:, :, 6:] ^= 255
    missing = inputs | {"video_mask": inputs["video_mask"].copy()}
    missing["video_mask"][:, :, 6:] = False
    first, _ = apply(model, params, inputs)
    for changed in (other, missing):
        second, _ = apply(model, params, changed)
        for name, end in (("emg", 30), ("pose", 6), ("torque", 6)):
            difference = np.abs(getattr(first, name) - getattr(second, name))
            earlier = difference[:, :end].max()
            assert earlier < 1e-5 if causal else earlier > 1e-4, name
            assert difference[:, end:].max() > 1e-4


def test_a_model_with_lookahead_uses_so_many_frames_and_no_more():
    """With two frames of lookahead, the first 5 (of 5 samples each) are final after 7 frames."""
    model, params = build(causal=True, lookahead_s=0.2)
    inputs = batch()
    first, _ = apply(model, params, inputs)
    for frames in (6, 7):
        missing = inputs | {"video_mask": inputs["video_mask"].copy()}
        missing["video_mask"][:, :, frames:] = False
        second, _ = apply(model, params, missing)
        difference = np.abs(second.emg - first.emg).max((0, 2)).reshape(10, 5).max(-1)
        assert difference[: frames - 2].max() < 1e-5 < 1e-4 < difference[frames - 2]
        # The tokens, from which the pose is read, have no lookahead.
        assert np.abs(second.pose - first.pose)[:, :frames].max() < 1e-5
    for causal, lookahead in ((False, 0.2), (True, 0.25), (True, 1.0), (True, -0.1)):
        with pytest.raises(UserError, match=r"config\.model\.lookahead_s: .* s; only a causal"):
            build(causal=causal, lookahead_s=lookahead)


def test_a_causal_model_uses_time_differences_only():
    """Missing frames in front, a whole number of instants, only shift the predictions."""
    model, params = build(causal=True)
    inputs = batch()
    late = inputs | {
        "video": np.roll(inputs["video"], 4, 2),
        "video_mask": np.arange(10) >= np.full((2, 2, 1), 4),
    }
    np.testing.assert_allclose(
        emg(model, params, late)[:, 20:], emg(model, params, inputs)[:, :30], atol=1e-5
    )


def test_a_pose_model_uses_every_joint_and_no_video():
    model, params = build(POSE)
    inputs = batch()
    outputs, tensors = apply(model, params, inputs)
    assert outputs.emg.shape == (2, 50, 4) and tensors["tokens"].shape == (2, 10, 2 * 16)
    assert outputs.pose is None and outputs.torque.shape == (2, 10, 3)
    no_video = inputs | {"video": inputs["video"][:, :0], "view": inputs["view"][:, :0]}
    np.testing.assert_array_equal(emg(model, params, no_video), outputs.emg)

    @jax.jit
    @jax.grad
    def gradient(pose):
        return model.apply(params, inputs | {"pose": pose}, train=False)[0].emg.sum()

    assert (gradient(inputs["pose"]) != 0).any((0, 1, 3)).all()


def test_masked_joints_change_nothing_not_even_the_velocity_of_their_neighbours():
    model, params = build(POSE)
    inputs = batch()
    mask = inputs["pose_mask"]
    mask[:, 4, 3], mask[:, 7:], mask[:, :, 9] = False, False, False
    changed = inputs | {"pose": np.where(mask[..., None], inputs["pose"], 7.0)}
    np.testing.assert_array_equal(emg(model, params, inputs), emg(model, params, changed))


def test_velocities_are_per_second_and_can_be_left_out():
    """The same movement sampled at twice the rate has the same velocity at the same time."""
    rng = np.random.default_rng(0)
    start, speed = jnp.asarray(rng.normal(size=(2, 1, 1, 21, 3)), jnp.float32)
    mask = jnp.ones((1, 9, 21), bool)
    slow = PoseMLP(8, 5.0, jnp.float32)
    fast = dataclasses.replace(slow, frame_rate=10.0)
    still = dataclasses.replace(slow, motion=False)
    times = jnp.arange(9.0)[None, :, None, None]
    init = {model: jax.jit(functools.partial(model.init, train=False)) for model in (slow, still)}
    params = init[slow](jax.random.key(0), start + speed * times, mask)
    a = slow.apply(params, start + speed * times / 5, mask, train=False)
    b = fast.apply(params, start + speed * times / 10, mask, train=False)
    np.testing.assert_allclose(a[:, 1:4], b[:, 2:8:2], atol=1e-4)
    params = init[still](jax.random.key(0), start + speed * times, mask)
    assert params["params"]["joints"]["kernel"].shape == (21 * 4, 8)


def test_a_prediction_does_not_depend_on_the_other_muscles_or_their_order():
    model, params = build()
    inputs = batch()
    order = [2, 0, 3]
    fewer = inputs | {name: inputs[name][:, order] for name in ("muscle", "side")}
    np.testing.assert_allclose(
        emg(model, params, fewer), emg(model, params, inputs)[:, :, order], atol=1e-5
    )


def test_views_may_come_in_any_order():
    model, params = build()
    inputs = batch()
    names = ("video", "video_mask", "view")
    swapped = inputs | {name: inputs[name][:, ::-1] for name in names}
    np.testing.assert_allclose(emg(model, params, swapped), emg(model, params, inputs), atol=1e-5)


@pytest.mark.parametrize(
    "encoder, stride", [(CNN, 1), (TUBELET, 2), (dict(name="i3d"), 8), (dict(name="videomae"), 2)]
)
def test_the_token_rate_follows_the_stride_of_the_encoder(encoder, stride):
    """Also where the configuration has no stride, or one that the encoder does not use."""
    assert token_rate(config(encoder), 25.0) == 25.0 / stride
    assert token_rate(config(CNN | dict(stride=2)), 25.0) == 25.0


def test_invalid_settings_are_named():
    with pytest.raises(UserError, match=r"encoder\.name"):
        models.build(config(dict(name="magic")), **SHAPE)
    with pytest.raises(UserError, match="encoder: tubelet needs layers, heads, stride"):
        models.build(config(CNN | dict(name="tubelet", remat="none", scan=False)), **SHAPE)
    with pytest.raises(UserError, match="multiple of frame_rate"):
        models.build(config(), **SHAPE | {"frame_rate": 15.0})
    with pytest.raises(UserError, match=r"pose_network\.rate: 20 Hz must divide"):
        models.build(config(pose_network=dict(rate=20.0)), **SHAPE)
    with pytest.raises(UserError, match=r"pose_network\.rate: 5 Hz must be a multiple .* causal"):
        models.build(config(pose_network=dict(rate=5.0), causal=True), **SHAPE)
    with pytest.raises(UserError, match="size: 20 px is not a multiple of 8 px"):
        models.build(config(), **SHAPE | {"size": 20})
    for encoder in (TUBELET, dict(name="videomae")):
        with pytest.raises(UserError, match="looks ahead"):
            models.build(config(encoder, causal=True), **SHAPE)


def test_motion_channels_show_the_difference_from_the_background():
    """Without kernels for the pixels themselves, a still image of any colour looks the same."""
    model, params = build()
    inputs = batch()
    still = inputs | {"video": np.full_like(inputs["video"], 40)}
    kernel = params["params"]["encoder"]["stem"]["kernel"].reshape(4, 4, 6, -1)
    params["params"]["encoder"]["stem"]["kernel"] = kernel.at[:, :, :3].set(0).reshape(96, -1)
    first = emg(model, params, still)
    second = emg(model, params, still | {"video": still["video"] + 100})
    # The layer norm that follows amplifies rounding errors of values that cancel.
    np.testing.assert_allclose(first, second, atol=2e-2)
    assert np.abs(first - emg(model, params, inputs)).max() > 5e-2


def test_a_saved_model_can_be_loaded_after_a_muscle_and_a_view_are_appended(tmp_path, monkeypatch):
    """It predicts the same EMG of the old muscles."""
    settings = dict(shape=SHAPE | {"dofs": vocabulary.DOFS}, moment_arms=True)
    model, params = build(**settings)
    inputs = batch()
    before = emg(model, params, inputs)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_best(1, params)
    checkpoints.close()

    for field in ("MUSCLES", "VIEWS"):
        monkeypatch.setattr(vocabulary, field, (*getattr(vocabulary, field), "new"))
    assert len(vocabulary.MUSCLES) <= vocabulary.ROOM_MUSCLES
    assert len(vocabulary.VIEWS) <= vocabulary.ROOM_VIEWS
    model = models.build(config(moment_arms=True), **settings["shape"])
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), full_batch(), train=False))
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), shapes)
    loaded = load_params(tmp_path, abstract)
    predict = jax.jit(functools.partial(model.apply, train=False))
    np.testing.assert_array_equal(predict(loaded, inputs)[0].emg, before)
    inputs["muscle"][:, 0] = vocabulary.MUSCLES.index("new")
    inputs["view"][:, 0] = vocabulary.VIEWS.index("new")
    assert np.isfinite(predict(loaded, inputs)[0].emg).all()
