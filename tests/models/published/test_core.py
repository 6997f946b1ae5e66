"""CoRe's tree, intervals and loss, and FLEX's contributions, against other implementations."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.models.published.parity import as_torch, close, draw, imported, same_gradients
from tests.models.published.torch_models import TorchTree, randomise
from video2emg.core.errors import UserError
from video2emg.models.published import core, flex


def published_targets(edges, difference):
    """One-hot leaf and position per leaf (-1 elsewhere), looping as CoRe's helper does."""
    leaf, position = [], []
    for left, right in edges:
        inside = left <= difference < right if difference >= 0 else left < difference <= right
        leaf.append(int(inside))
        width = right - left if right != left else 1.0
        position.append((difference - left) / width if inside else -1.0)
    return leaf, position


def torch_loss_both_ways(log_probability, delta, edges, differences):
    """As FLEX's helper: the loss of the first half of the rows plus that of the second."""
    half = len(differences) // 2
    return sum(
        torch_loss(log_probability[part], delta[part], edges, differences[part])
        for part in (slice(half), slice(half, None))
    )


def torch_loss(log_probability, delta, edges, differences):
    rows = [published_targets(edges, d) for d in differences]
    leaf = torch.tensor([row[0] for row in rows]).argmax(1)
    position = torch.tensor([row[1] for row in rows], dtype=torch.float32)
    total = F.nll_loss(log_probability, leaf)
    for i in range(position.shape[1]):
        hit = position[:, i] >= 0
        if hit.any():
            total = total + F.mse_loss(delta[hit, i], position[hit, i])
    return total


def differences(count=40, seed=0):
    return np.abs(np.random.default_rng(seed).normal(0, 20, count)).clip(0, 99)


def edges_of(intervals):
    return list(zip(intervals.left.tolist(), intervals.right.tolist(), strict=True))


@pytest.mark.parametrize("batch, as_published", [(1, False), (2, True), (6, True)])
def test_tree_and_loss(batch, as_published):
    theirs, ours = randomise(TorchTree(7, 6, 4)), core.RegressionTree(4, 6)
    x = draw(batch, 7)
    variables = imported(theirs, "core", ours, x)
    leaf, position = theirs(as_torch(x))
    got = jax.jit(ours.apply)(variables, x)
    close(got[0], leaf)
    close(got[1], position)
    np.testing.assert_allclose(np.exp(got[0]).sum(1), 1, atol=1e-5)
    intervals = core.Intervals.fit(differences(), 4, as_published=as_published)
    d = draw(batch, seed=3) * 30
    published = torch_loss_both_ways if as_published else torch_loss
    total = published(leaf, position, edges_of(intervals), np.asarray(d).tolist())
    close(core.loss(*got, d, intervals), total)

    def loss(variables):
        return core.loss(*ours.apply(variables, x), d, intervals)

    same_gradients(variables, loss, theirs, "core", total)


def test_loss_does_not_depend_on_how_many_leaves_are_hit():
    """The loss of a batch is the mean loss of its pairs; as published, it is larger."""
    intervals = core.Intervals.fit(differences(), 4)
    leaf, position = jax.nn.log_softmax(draw(6, 8)), draw(6, 8, seed=1)
    d = draw(6, seed=3) * 30
    each = [
        core.loss(leaf[i : i + 1], position[i : i + 1], d[i : i + 1], intervals) for i in range(6)
    ]
    np.testing.assert_allclose(
        core.loss(leaf, position, d, intervals), np.mean(np.array(each)), rtol=1e-5
    )
    published = dataclasses.replace(intervals, as_published=True)
    assert core.loss(leaf, position, d, published) > core.loss(leaf, position, d, intervals)


def test_the_published_loss_of_a_pair_has_two_classifications():
    """Four uniform leaves, ± 12 points, position errors of 0.5: 2 log 4 + 2 · 0.5²."""
    intervals = core.Intervals(
        np.array([-100.0, -10.0, 0.0, 10.0], np.float32),
        np.array([-10.0, 0.0, 10.0, 100.0], np.float32),
        as_published=True,
    )
    d = jnp.array([12.0, -12.0])
    _, target = intervals.targets(d)
    uniform = jnp.full((2, 4), -np.log(4.0))
    got = core.loss(uniform, jnp.tile(target[:, None] + 0.5, 4), d, intervals)
    np.testing.assert_allclose(got, 3.2726, atol=1e-4)


def test_edges_are_order_statistics():
    values = np.sort(differences(41))
    intervals = core.Intervals.fit(values, 4)
    np.testing.assert_allclose(intervals.left[4:], [0, values[10], values[20], values[30]])
    np.testing.assert_allclose(intervals.right[4:], [values[10], values[20], values[30], 100])
    np.testing.assert_allclose(intervals.left[:4], -intervals.right[:3:-1])


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=30), st.floats(-100, 100))
@settings(max_examples=60)
def test_every_difference_has_a_leaf_and_comes_back(values, difference):
    intervals = core.Intervals.fit(np.array(values), 4)
    assert (intervals.right > intervals.left).all()
    leaf, position = intervals.targets(jnp.array([difference], jnp.float32))
    assert -1e-3 <= position[0] <= 1 + 1e-3
    certain = jnp.log(jax.nn.one_hot(leaf, 8) + 1e-9)
    again = intervals.difference(certain, jnp.full((1, 8), position[0]))
    np.testing.assert_allclose(again, [difference], atol=2e-3)


def test_as_published_the_largest_difference_has_no_leaf():
    intervals = core.Intervals.fit(differences(), 4, as_published=True)
    leaf, position = intervals.targets(jnp.array([100.0, -100.0, 50.0]))
    assert leaf[0] == 0 and leaf[1] == 0 and np.isnan(position[:2]).all()
    assert np.isfinite(position[2])
    leaf, position = dataclasses.replace(intervals, as_published=False).targets(
        jnp.array([100.0, -100.0])
    )
    assert leaf.tolist() == [7, 0]
    np.testing.assert_allclose(position, [1, 0], atol=1e-5)


def test_coinciding_differences():
    same = np.full(50, 3.0)
    published = core.Intervals.fit(same, 4, as_published=True)
    assert (published.left == published.right).sum() == 4
    assert (np.diff(core.Intervals.fit(same, 4).right) > 0).all()


def test_impossible_intervals():
    with pytest.raises(UserError, match="no two training"):
        core.Intervals.fit(np.zeros(0))
    with pytest.raises(UserError, match="larger than the range"):
        core.Intervals.fit(np.array([120.0]))


def test_contribution():
    emg = jnp.stack([jnp.full(100, v) for v in (3.0, 1.0, 1.0, 9.0)], 1)[None]
    mask = jnp.ones((1, 100, 4), bool).at[:, :, 3].set(False)
    side = jnp.array([[0, 1, 1, 0]])
    np.testing.assert_allclose(flex.contribution(emg, mask, side), [[0.75, 0.25]], rtol=1e-5)
    unmeasured = flex.contribution(emg, jnp.zeros_like(mask), side)
    np.testing.assert_allclose(unmeasured, [[0.5, 0.5]])
    spike = emg.at[0, 3, 1].set(1000.0)  # an artefact
    np.testing.assert_allclose(flex.contribution(spike, mask, side)[0, 0], 0.75, atol=0.05)


def test_score_scale():
    score, action = np.array([50.0, 90.0, 20.0, 40.0]), np.array([0, 0, 2, 2])
    scale = flex.ScoreScale.fit(score, action, 3)
    normalised = scale.normalise(score, action)
    np.testing.assert_allclose(normalised, [0, 100, 0, 100])
    with pytest.raises(UserError, match="no range"):
        flex.ScoreScale.fit(np.array([1.0, 1.0]), np.array([0, 0]), 1)
