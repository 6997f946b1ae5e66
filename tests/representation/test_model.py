"""What is hidden or was never measured is not seen; parameters keep their paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import batch as make_batch
from tests.models.small import config
from video2emg import models
from video2emg.representation.model import EMGEncoder, RepresentationModel, pool, spans


def batch():
    rng = np.random.default_rng(3)
    return make_batch() | {
        "emg": rng.random((2, 50, 4)).astype(np.float32),
        "emg_mask": np.ones((2, 50, 4), bool),
    }


def make(**parts):
    main = models.build(
        config(), frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=21, dofs=3
    )
    sizes = dict(dim=16, heads=2, layers=1, samples=5, frames=1, token_s=0.1, joints=21)
    return main, RepresentationModel(model=main, **sizes, **parts)


@pytest.fixture(scope="module")
def both():
    main, model = make(space=8, span_s=0.3)
    return main, model, model.init(jax.random.key(0), batch(), train=False)


def test_parameters_of_the_model_keep_their_paths(both):
    main, model, params = both
    alone = main.init(jax.random.key(0), batch(), train=False)["params"]
    assert jax.tree.structure({k: params["params"][k] for k in alone}) == jax.tree.structure(alone)
    out, extra = model.apply(params, batch(), train=False)
    same, _ = main.apply({"params": {k: params["params"][k] for k in alone}}, batch(), train=False)
    np.testing.assert_array_equal(out.main.emg, same.emg)
    assert out.video.shape == out.emg.shape == (2, 8) and extra["tokens"].shape[0] == 2
    np.testing.assert_allclose(np.linalg.norm(out.emg, axis=1), 1, rtol=1e-5)
    assert out.hidden_emg.shape == (2, 50, 4) and out.hidden_pose.shape == (2, 10, 21, 3)
    np.testing.assert_allclose(out.scale, 1 / 0.07, rtol=1e-3)


def test_only_what_an_objective_needs_is_built():
    main, plain = make()
    inputs = batch()
    alone = jax.eval_shape(lambda: main.init(jax.random.key(0), inputs, train=False))
    bare = jax.eval_shape(lambda: plain.init(jax.random.key(0), inputs, train=False))
    assert jax.tree.structure(alone) == jax.tree.structure(bare)


def test_guesses_do_not_see_what_is_hidden(both):
    _, model, params = both
    inputs = batch()
    out, _ = model.apply(params, inputs, train=False)
    hidden = np.asarray(out.hidden)
    assert hidden.any() and not hidden.all()
    changed = inputs | {"emg": inputs["emg"].copy(), "pose": inputs["pose"].copy()}
    changed["emg"][np.repeat(hidden, 5, 1)] += 1
    changed["pose"][hidden] -= 2
    again, _ = model.apply(params, changed, train=False)
    for name in ("hidden_emg", "hidden_pose"):
        np.testing.assert_array_equal(getattr(again, name), getattr(out, name))
    seen = inputs | {"emg": inputs["emg"] + 1}
    third, _ = model.apply(params, seen, train=False)
    assert np.abs(third.hidden_emg - out.hidden_emg).max() > 1e-4


def test_emg_that_was_not_measured_is_not_seen():
    encoder = EMGEncoder(dim=16, layers=1, heads=2, samples=5, token_s=0.1)
    inputs = batch()
    mask = inputs["emg_mask"].copy()
    mask[:, 30:], mask[1, :, 2] = False, False
    wild = jnp.where(mask, inputs["emg"], 1e3)
    emg, mask, *args = (
        jnp.asarray(x) for x in (inputs["emg"], mask, inputs["muscle"], inputs["side"])
    )
    params = encoder.init(jax.random.key(0), emg, mask, *args, train=False)
    tokens, there = encoder.apply(params, emg, mask, *args, train=False)
    again, _ = encoder.apply(params, wild, mask, *args, train=False)
    np.testing.assert_array_equal(pool(tokens, there), pool(again, there))
    assert there.sum() == 6 * (4 + 3)


def test_electrodes_in_another_order_are_the_same_muscles(both):
    _, model, params = both
    inputs = batch()
    out, _ = model.apply(params, inputs, train=False)
    order = np.array([2, 0, 3, 1])
    turned = inputs | {k: inputs[k][..., order] for k in ("emg", "emg_mask", "muscle", "side")}
    again, _ = model.apply(params, turned, train=False)
    np.testing.assert_allclose(again.emg, out.emg, atol=1e-5)
    other = inputs | {"muscle": inputs["muscle"] + 1}
    assert np.abs(model.apply(params, other, train=False)[0].emg - out.emg).max() > 1e-4


@pytest.mark.parametrize("length, share", [(1, 0.5), (3, 0.6), (4, 0.3)])
def test_spans_hide_the_share_and_are_long_enough(length, share):
    hidden = np.asarray(spans(jax.random.key(1), (2000, 20), length, share))
    assert hidden.mean() == pytest.approx(share, abs=0.02)
    for row in hidden[:200]:
        if row.any() and not row.all():
            start = int(np.flatnonzero(~row)[0])
            runs = "".join("x" if h else " " for h in np.roll(row, -start)).split()
            assert min(map(len, runs)) >= length
    same = spans(jax.random.key(1), (2000, 20), length, share)
    assert jnp.array_equal(hidden, same)
