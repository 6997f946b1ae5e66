"""What a prediction rests on: the layer's own attention, saliency that occlusion confirms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.models.small import batch, config
from video2emg import models
from video2emg.core.errors import UserError
from video2emg.eval import attribution
from video2emg.viz import attribution as draw


def made(causal: bool, late: float = 0.0):
    settings = config()
    settings.update(causal=causal, lookahead_s=late)
    model = models.build(settings, frames=10, size=16, frame_rate=10.0, emg_rate=50.0)
    inputs = batch() | {"emg_mask": np.ones((2, 50, 4), bool)}
    return model, model.init(jax.random.key(0), inputs, train=False)["params"], inputs


@pytest.mark.parametrize(("causal", "late"), [(False, 0.0), (True, 0.0), (True, 0.2)])
def test_attention_is_what_the_layer_used(causal, late):
    """Its values, weighted by it and sent through its output layer, are its output."""
    model, params, inputs = made(causal, late)
    inputs["video_mask"][:, 1, 7:] = False
    weight = attribution.decoder_attention(model, params, inputs)
    assert weight.shape == (2, 4, 10, 2, 10)
    np.testing.assert_allclose(weight.sum((3, 4)), 1, atol=1e-5)
    assert weight[:, :, :, 1, 7:].max() == 0 and (weight.max(-1) > weight.min(-1)).all()
    if causal:
        ahead = ~np.tri(10, k=round(late * 10), dtype=bool)
        assert weight[:, :, :, 0][..., ahead].max() == 0 < weight[:, :, :, 0][..., ~ahead].min()
    # One head, so that the average over heads is the layer's own.
    settings = config()
    settings.update(heads=1, causal=causal, lookahead_s=late)
    model = models.build(settings, frames=10, size=16, frame_rate=10.0, emg_rate=50.0)
    params = model.init(jax.random.key(1), inputs, train=False)["params"]
    weight = attribution.decoder_attention(model, params, inputs).reshape(2, 40, 20)
    _, state = model.apply(
        {"params": params}, inputs, train=False, capture_intermediates=True,
        mutable=["intermediates"],
    )  # fmt: skip
    layer = state["intermediates"]["decoder"]["layer_0"]["Attention_0"]
    value = layer["value"]["__call__"][0][:, :, 0]
    out = params["decoder"]["layer_0"]["Attention_0"]["out"]
    expected = (weight @ value) @ out["kernel"][0] + out["bias"]
    np.testing.assert_allclose(expected, layer["__call__"][0], atol=1e-5)


def one_patch(video):
    """A model that looks at 4 × 4 px of the second camera and at nothing else."""
    patch = video[:, 1, :, 8:12, 4:8].mean((2, 3, 4)) / 255
    return jnp.stack([patch, 2 * patch], -1)


def test_saliency_finds_what_counts_and_occlusion_confirms_it():
    video = jnp.asarray(batch()["video"], jnp.float32)
    still = attribution.background(video, np.ones(video.shape[:3], bool))
    salient = attribution.saliency(one_patch, video, still)
    inside = salient[:, 1, :, 8:12, 4:8].sum()
    assert inside == pytest.approx(salient.sum(), rel=1e-5) and inside > 0
    found = attribution.occlusion(one_patch, video, still, salient, 4)
    np.testing.assert_array_equal(found.place, [[1, 2, 1]] * 2)
    # Hidden, the patch shows its mean; its answer no longer changes with time.
    course = np.asarray(one_patch(video)) - np.asarray(one_patch(still))
    np.testing.assert_allclose(found.salient, np.sqrt((course**2).mean((1, 2))), rtol=1e-4)
    assert (found.random == 0).all() and found.ratio > 1e6


def test_saliency_that_points_elsewhere_is_found_out():
    video = jnp.asarray(batch()["video"], jnp.float32)
    still = attribution.background(video, np.ones(video.shape[:3], bool))
    wrong = np.zeros(video.shape[:-1], np.float32)
    wrong[:, 0, :, :4, :4] = 1
    found = attribution.occlusion(one_patch, video, still, wrong, 4, draws=31)
    assert (found.salient == 0).all() and (found.random > 0).all() and found.ratio == 0
    with pytest.raises(UserError, match="do not divide"):
        attribution.occlusion(one_patch, video, still, wrong, 5)


def test_first_order_saliency_foretells_small_occlusions_of_the_real_model():
    model, params, inputs = made(False)
    look = jax.jit(attribution.look_of(model, params, inputs))
    video = jnp.asarray(inputs["video"], jnp.float32)
    still = video - 1.0  # one step of brightness
    salient = attribution.saliency(look, video, still)
    rng = np.random.default_rng(0)
    slope = jax.grad(lambda pixels: look(pixels).sum())(video)
    for _ in range(3):
        hidden = rng.random(video.shape[:-1]) < 0.02
        after = look(jnp.where(hidden[..., None], still, video)).sum()
        foretold = -float((slope.sum(-1) * hidden).sum())
        assert after - look(video).sum() == pytest.approx(foretold, rel=0.2, abs=0.02)
    np.testing.assert_allclose(salient, np.abs(slope).sum(-1), rtol=1e-4)


def test_pictures_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (10, 16, 16, 3)).astype(np.uint8)
    muscles, views = ["left_soleus", "right_soleus"], ["front", "left"]
    draw.attention(rng.random((2, 5, 2, 5)), muscles, views, 2.0, tmp_path / "attention.png")
    draw.feature_course(frames, rng.normal(size=(5, 8)), 2.0, tmp_path / "features.png")
    draw.saliency(frames, rng.random((10, 16, 16)), tmp_path / "saliency.png")
    for name in ("attention", "features", "saliency"):
        assert np.asarray(Image.open(tmp_path / f"{name}.png")).std() > 5
    course = np.sin(np.arange(20) / 3)[:, None] * rng.normal(size=(1, 8)) + 1e-3
    (found,) = draw.components(course, 1).T
    assert abs(np.corrcoef(found, course[:, 0])[0, 1]) > 0.999
