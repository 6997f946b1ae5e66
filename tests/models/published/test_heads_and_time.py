"""USDL, time-depth separable networks and pose → EMG models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from torch.nn import functional as F

from tests.models.published.parity import as_torch, close, draw, imported, same_gradients
from tests.models.published.torch_models import TorchTDS, TorchUSDL, randomise
from video2emg.core import vocabulary
from video2emg.models.published import pose_to_emg, tds, usdl


@pytest.mark.parametrize("as_published", [True, False])
def test_usdl(as_published):
    theirs, ours = randomise(TorchUSDL(10, 101)), usdl.ScoreMLP(101)
    x, score = draw(3, 10), jnp.array([0.0, 61.3, 100.0])
    variables = imported(theirs, "usdl", ours, x)
    logits = theirs(as_torch(x))
    got = jax.jit(ours.apply)(variables, x)
    close(got, logits)
    density = stats.norm.pdf(np.arange(101), np.asarray(score)[:, None], 5)
    labels = usdl.soft_labels(score)
    np.testing.assert_allclose(labels, density / density.sum(1, keepdims=True), atol=1e-6)
    reduction = "mean" if as_published else "batchmean"
    total = F.kl_div(logits.log_softmax(-1), as_torch(labels), reduction=reduction)
    np.testing.assert_allclose(usdl.divergence(got, labels, as_published), total.item(), rtol=1e-4)
    if not as_published:
        same_gradients(
            variables, lambda v: usdl.divergence(ours.apply(v, x), labels), theirs, "usdl", total
        )


def test_scores_of_distributions():
    logits = jnp.log(usdl.soft_labels(jnp.array([30.0, 62.5])))
    np.testing.assert_allclose(usdl.expected_score(logits, most_probable=False), [30, 62.5], atol=1)
    np.testing.assert_allclose(usdl.expected_score(logits), [30, 62.5], atol=0.51)


def test_tds():
    stages = (
        dict(channels=3, width=4, blocks=1, window=5, embed=5),
        dict(channels=2, width=3, blocks=1, window=3, embed=3, stride=2, outputs=7),
    )
    theirs = randomise(TorchTDS(6, stages, 4, 9, 5))
    ours = tds.TDS(5, 4, stages, decoder=(9,))
    x = draw(2, 12, 6)
    variables = imported(theirs, "tds", ours, x)
    expected = theirs(as_torch(x))
    close(jax.jit(ours.apply)(variables, x), expected)
    same_gradients(
        variables,
        lambda v: jnp.square(ours.apply(v, x)).mean(),
        theirs,
        "tds",
        expected.square().mean(),
    )


def batch(b=2, t=10, m=4):
    rng = np.random.default_rng(0)
    return {
        "pose": draw(b, t, 21, 3),
        "pose_mask": jnp.ones((b, t, 21), bool),
        "muscle": jnp.asarray(rng.integers(0, 9, (b, m))),
        "side": jnp.asarray(np.arange(m) % 2 + np.zeros((b, 1), int)),
    }


SMALL = {
    "mia": dict(dim=18, layers=1, heads=2, hidden=8),
    "tds": dict(stages=(dict(channels=2, width=4, blocks=1, window=3),), decoder=(8,)),
    "temporal_cnn": dict(widths=(8,)),
}


@pytest.mark.parametrize("system", pose_to_emg.NAMES)
def test_pose_to_emg(system):
    model = pose_to_emg.PoseToEMG(system, 10, SMALL[system])
    inputs = batch()
    variables = jax.jit(lambda x: model.init(jax.random.key(0), x, train=False))(inputs)
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False))
    out, extra = apply(variables, inputs)
    assert out.emg.shape == (2, 100, 4)
    column = inputs["side"][1, 2] * len(vocabulary.MUSCLES) + inputs["muscle"][1, 2]
    np.testing.assert_array_equal(out.emg[1, :, 2], extra["all_channels"][1, :, column])
    # Masked joints are not used.
    hidden = inputs | {"pose_mask": inputs["pose_mask"].at[:, 4:].set(False)}
    changed = hidden | {"pose": hidden["pose"].at[:, 4:].set(jnp.nan)}
    first, second = apply(variables, hidden)[0].emg, apply(variables, changed)[0].emg
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, out.emg)
