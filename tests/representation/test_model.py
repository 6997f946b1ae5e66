"""Masked and unmeasured samples have no effect; parameters keep their paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import SHAPE, config
from tests.models.small import batch as make_batch
from video2emg import models
from video2emg.aqa.head import mean_where
from video2emg.representation.model import EMGEncoder, RepresentationModel, span_mask


def batch():
    rng = np.random.default_rng(3)
    return make_batch() | {
        "emg": rng.random((2, 50, 4)).astype(np.float32),
        "emg_mask": np.ones((2, 50, 4), bool),
    }


def make(**parts):
    main = models.build(config(), **SHAPE)
    sizes = dict(dim=16, heads=2, layers=1, samples=5, frames=1, token_s=0.1, joints=21)
    return main, RepresentationModel(model=main, **sizes, **parts)


@pytest.fixture(scope="module")
def both():
    main, model = make(embedding_dim=8, mask_span_s=0.3)
    params = jax.jit(lambda inputs: model.init(jax.random.key(0), inputs, train=False))(batch())
    return main, jax.jit(lambda params, inputs: model.apply(params, inputs, train=False)), params


def test_parameters_of_the_model_keep_their_paths(both):
    main, apply, params = both
    inputs = batch()
    shapes = jax.eval_shape(lambda: main.init(jax.random.key(0), inputs, train=False))["params"]
    alone = {name: params["params"][name] for name in shapes}
    assert jax.tree.structure(alone) == jax.tree.structure(shapes)
    out, extra = apply(params, inputs)
    same, _ = jax.jit(lambda params: main.apply({"params": params}, inputs, train=False))(alone)
    np.testing.assert_allclose(out.main.emg, same.emg, rtol=1e-5)
    assert out.video.shape == out.emg.shape == (2, 8) and extra["tokens"].shape[0] == 2
    np.testing.assert_allclose(np.linalg.norm(out.emg, axis=1), 1, rtol=1e-5)
    assert out.reconstructed_emg.shape == (2, 50, 4)
    assert out.reconstructed_pose.shape == (2, 10, 21, 3)
    np.testing.assert_allclose(out.scale, 1 / 0.07, rtol=1e-3)


def test_only_what_an_objective_needs_is_built():
    main, plain = make()
    inputs = batch()
    alone = jax.eval_shape(lambda: main.init(jax.random.key(0), inputs, train=False))
    bare = jax.eval_shape(lambda: plain.init(jax.random.key(0), inputs, train=False))
    assert jax.tree.structure(alone) == jax.tree.structure(bare)


def test_masked_samples_have_no_effect_on_the_reconstruction(both):
    _, apply, params = both
    inputs = batch()
    out, _ = apply(params, inputs)
    masked = np.asarray(out.masked)
    assert masked.any() and not masked.all()
    changed = inputs | {"emg": inputs["emg"].copy(), "pose": inputs["pose"].copy()}
    changed["emg"][np.repeat(masked, 5, 1)] += 1
    changed["pose"][masked] -= 2
    again, _ = apply(params, changed)
    for name in ("reconstructed_emg", "reconstructed_pose"):
        np.testing.assert_array_equal(getattr(again, name), getattr(out, name))
    unmasked_too, _ = apply(params, inputs | {"emg": inputs["emg"] + 1})
    assert np.abs(unmasked_too.reconstructed_emg - out.reconstructed_emg).max() > 1e-4


def test_emg_that_was_not_measured_has_no_effect():
    encoder = EMGEncoder(dim=16, layers=1, heads=2, samples=5, token_s=0.1)
    inputs = batch()
    mask = inputs["emg_mask"].copy()
    mask[:, 30:], mask[1, :, 2] = False, False
    wild = jnp.where(mask, inputs["emg"], 1e3)
    emg, mask, *args = (
        jnp.asarray(x) for x in (inputs["emg"], mask, inputs["muscle"], inputs["side"])
    )
    params = encoder.init(jax.random.key(0), emg, mask, *args, train=False)
    encode = jax.jit(lambda emg: encoder.apply(params, emg, mask, *args, train=False))
    (tokens, token_mask), (again, _) = encode(emg), encode(wild)
    np.testing.assert_array_equal(mean_where(tokens, token_mask), mean_where(again, token_mask))
    assert token_mask.sum() == 6 * (4 + 3)


def test_the_order_of_the_electrodes_does_not_matter(both):
    _, apply, params = both
    inputs = batch()
    out, _ = apply(params, inputs)
    order = np.array([2, 0, 3, 1])
    permuted = inputs | {k: inputs[k][..., order] for k in ("emg", "emg_mask", "muscle", "side")}
    again, _ = apply(params, permuted)
    np.testing.assert_allclose(again.emg, out.emg, atol=1e-5)
    other = inputs | {"muscle": inputs["muscle"] + 1}
    assert np.abs(apply(params, other)[0].emg - out.emg).max() > 1e-4


@pytest.mark.parametrize("length, share", [(1, 0.5), (3, 0.6), (4, 0.3)])
def test_spans_mask_the_share_and_are_long_enough(length, share):
    masked = np.asarray(span_mask(jax.random.key(1), (2000, 20), length, share))
    assert masked.mean() == pytest.approx(share, abs=0.02)
    for row in masked[:200]:
        if row.any() and not row.all():
            start = int(np.flatnonzero(~row)[0])
            runs = "".join("x" if h else " " for h in np.roll(row, -start)).split()
            assert min(map(len, runs)) >= length
    same = span_mask(jax.random.key(1), (2000, 20), length, share)
    assert jnp.array_equal(masked, same)
