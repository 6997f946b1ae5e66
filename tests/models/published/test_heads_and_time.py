"""USDL, time-depth separable networks and pose → EMG models."""

import flax.linen as nn
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


STAGES = (
    dict(channels=3, width=4, blocks=1, window=5, embed=5),
    dict(channels=2, width=3, blocks=1, window=3, embed=3, stride=2, outputs=7),
)
CONTEXT = (5 - 1) + (5 - 1) + (3 - 1) + 2 * (3 - 1)  # frames before an output that it depends on


def test_tds():
    theirs = randomise(TorchTDS(6, STAGES, 1, 9, 5))
    ours = tds.TDS(5, 1, STAGES, decoder=(9,))
    x = draw(2, 21, 6)
    variables = imported(theirs, "tds", ours, x)
    expected = theirs(as_torch(x), CONTEXT)
    close(jax.jit(ours.apply)(variables, x)[:, CONTEXT:], expected)
    same_gradients(
        variables,
        lambda v: jnp.square(ours.apply(v, x)[:, CONTEXT:]).mean(),
        theirs,
        "tds",
        expected.square().mean(),
    )


def test_tds_does_not_see_the_future():
    ours, x = tds.TDS(5, 2, STAGES[:1], decoder=(9,)), draw(1, 20, 6)
    variables = ours.init(jax.random.key(0), x)
    out = ours.apply(variables, x)
    changed = np.asarray(ours.apply(variables, x.at[0, 12].add(3.0)) != out).any((0, 2))
    # 40 samples from frame 0 to frame 19: those after frame 11 mix in the next frame.
    frame = np.linspace(0, 19, 40)
    assert not changed[frame <= 11].any() and not changed[frame >= 21 - 1].any()
    assert changed[(frame >= 12) & (frame <= 19)].all()


def test_a_time_block_without_weights_adds_the_newest_sample():
    """As emg2pose's code: of 1 to 6, a kernel of three leaves 3, 4, 5, 6."""
    block, x = tds.TimeBlock(1, 3), jnp.arange(1.0, 7.0)[None, :, None]
    zeros = jax.tree.map(jnp.zeros_like, block.init(jax.random.key(0), x))

    def without_norm(call, args, kwargs, context):
        return args[0] if isinstance(context.module, nn.LayerNorm) else call(*args, **kwargs)

    with nn.intercept_methods(without_norm):
        np.testing.assert_array_equal(block.apply(zeros, x)[0, 2:, 0], [3, 4, 5, 6])
        oldest = jax.tree.map(jnp.array, zeros)
        oldest["params"]["time"]["kernel"] = oldest["params"]["time"]["kernel"].at[0, 0].set(1.0)
        np.testing.assert_array_equal(block.apply(oldest, x)[0, :, 0], [1, 2, 4, 6, 8, 10])


def test_values_between_strides_are_interpolated():
    x = draw(1, 4, 2)
    times = np.array([2, 5, 8, 11])  # the newest of 12 frames, and every third before
    for length in (12, 36):
        got = tds.resample(x, 12, 3, length)
        for c in range(2):
            expected = np.interp(np.linspace(0, 11, length), times, np.asarray(x)[0, :, c])
            np.testing.assert_allclose(got[0, :, c], expected, atol=1e-5)


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
