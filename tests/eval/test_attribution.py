"""Attention is the layer's own, and occlusion confirms saliency."""

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


@pytest.fixture(scope="module")
def small():
    """A small model, its parameters and a batch in which the second camera stops early."""
    model = models.build(config(), frames=10, size=16, frame_rate=10.0, emg_rate=50.0)
    inputs = batch() | {"emg_mask": np.ones((2, 50, 4), bool)}
    inputs["video_mask"][:, 1, 7:] = False
    init = jax.jit(lambda inputs: model.init(jax.random.key(1), inputs, train=False))
    return model, init(inputs)["params"], inputs


def one_patch(video):
    """A model whose EMG depends on 4 × 4 px of the second camera only."""
    patch = video[:, 1, :, 8:12, 4:8].mean((2, 3, 4)) / 255
    return jnp.stack([patch, 2 * patch], -1)


def test_saliency_finds_the_only_relevant_patch_and_occlusion_confirms_it():
    video = jnp.asarray(batch()["video"], jnp.float32)
    still = attribution.background(video, np.ones(video.shape[:3], bool))
    salient = attribution.saliency(one_patch, video, still)
    inside = salient[:, 1, :, 8:12, 4:8].sum()
    assert inside == pytest.approx(salient.sum(), rel=1e-5) and inside > 0
    occlusion = attribution.occlusion(one_patch, video, still, salient, 4)
    np.testing.assert_array_equal(occlusion.patch, [[1, 2, 1]] * 2)
    # The hidden patch shows its mean, so that the EMG no longer changes with time.
    course = np.asarray(one_patch(video)) - np.asarray(one_patch(still))
    np.testing.assert_allclose(occlusion.salient, np.sqrt((course**2).mean((1, 2))), rtol=1e-4)
    assert (occlusion.random == 0).all() and occlusion.ratio > 1e6


def test_occlusion_refutes_a_wrong_saliency():
    video = jnp.asarray(batch()["video"], jnp.float32)
    still = attribution.background(video, np.ones(video.shape[:3], bool))
    wrong = np.zeros(video.shape[:-1], np.float32)
    wrong[:, 0, :, :4, :4] = 1
    occlusion = attribution.occlusion(one_patch, video, still, wrong, 4, draws=31)
    assert (occlusion.salient == 0).all() and (occlusion.random > 0).all()
    assert occlusion.ratio == 0
    with pytest.raises(UserError, match="do not divide"):
        attribution.occlusion(one_patch, video, still, wrong, 5)


def test_first_order_saliency_predicts_small_occlusions_of_the_real_model(small):
    emg = jax.jit(attribution.emg_function(*small))
    video = jnp.asarray(small[2]["video"], jnp.float32)
    still = video - 1.0  # one step of brightness
    salient = attribution.saliency(emg, video, still)
    rng = np.random.default_rng(0)
    gradient = jax.jit(jax.grad(lambda pixels: emg(pixels).sum()))(video)
    for _ in range(3):
        hidden = rng.random(video.shape[:-1]) < 0.02
        after = emg(jnp.where(hidden[..., None], still, video)).sum()
        predicted = -float((gradient.sum(-1) * hidden).sum())
        assert after - emg(video).sum() == pytest.approx(predicted, rel=0.2, abs=0.02)
    np.testing.assert_allclose(salient, np.abs(gradient).sum(-1), rtol=1e-4)


def test_figures_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (10, 16, 16, 3)).astype(np.uint8)
    draw.feature_course(frames, rng.normal(size=(5, 8)), 2.0, tmp_path / "features.png")
    draw.saliency(frames, rng.random((10, 16, 16)), tmp_path / "saliency.png")
    for name in ("features", "saliency"):
        assert np.asarray(Image.open(tmp_path / f"{name}.png")).std() > 5
    course = np.sin(np.arange(20) / 3)[:, None] * rng.normal(size=(1, 8)) + 1e-3
    (component,) = draw.components(course, 1).T
    assert abs(np.corrcoef(component, course[:, 0])[0, 1]) > 0.999
