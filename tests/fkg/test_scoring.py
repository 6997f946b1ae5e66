import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import shared
from video2emg.core.errors import UserError
from video2emg.fkg import scoring
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric

from .rubrics import rubric

GYM = Rubric.from_graph(load("gymsim"))
A, E = GYM.weight.shape
# Compiled once: the tests below call them with equal shapes.
gym_score = jax.jit(lambda severity, action: scoring.score(severity, action, GYM))
gym_gradient = jax.jit(jax.grad(lambda severity, action: gym_score(severity, action).score.sum()))


def test_by_hand():
    """squat: too_fast 5 at lift, caving 9 left and right at lower. curl: too_fast 5 at lift."""
    table = rubric()
    severity = np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [1, 1, 1], [0.2, 7, 7]], np.float32)
    action = np.array([0, 0, 0, 0, 1])
    scores = scoring.score(jnp.asarray(severity), jnp.asarray(action), table)
    expected = [100 * (1 - 5 / 23), 100 * (1 - 9 / 23), 100 * (1 - 9 / 23), 0.0, 80.0]
    np.testing.assert_allclose(scores.score, expected, atol=1e-4)
    np.testing.assert_allclose(scores.penalty[0], [500 / 23, 0, 0], atol=1e-4)
    np.testing.assert_allclose(scores.penalty[4], [20, 0, 0], atol=1e-4)
    nan = np.nan
    # Key steps of squat are lift, lower; of curl stand, lift, lower.
    steps = [[0, 100, nan], [100, 50, nan], [100, 50, nan], [0, 0, nan], [nan, 80, nan]]
    np.testing.assert_allclose(scores.steps, steps, atol=1e-4)
    assert table.tier_names == ("joint_safety", "fine_control")
    tiers = [[100, 0], [50, 100], [50, 100], [0, 0], [nan, 80]]
    np.testing.assert_allclose(scores.tiers, tiers, atol=1e-4)


def test_the_published_example():
    """Overhead press, 37 of 161 lost: 77.02 (FLEX's successor, arXiv 2608.26094)."""
    weight = jnp.asarray([[37.0, 124.0]])
    score = scoring.compositional_score(jnp.asarray([[1.0, 0.0]]), weight)[0]
    assert round(float(score), 2) == 77.02


# Lowest and highest labels per action (reference code of FLEX, `label_ranges`).
RANGES = {
    "A01": (40.99, 93.79),
    "A02": (47.68, 96.69),
    "A03": (44.8, 95.2),
    "A04": (45.71, 95.24),
    "A05": (34.59, 95.49),
    "A06": (33.96, 93.4),
    "A07": (33.73, 93.98),
    "A08": (37.4, 100.0),
    "A09": (41.98, 100.0),
    "A10": (36.64, 93.89),
    "A11": (40.82, 93.2),
    "A12": (38.78, 92.52),
    "A13": (48.3, 94.56),
    "A14": (30.22, 94.24),
    "A15": (22.16, 96.41),
    "A16": (29.85, 94.03),
    "A17": (43.31, 91.08),
    "A18": (47.77, 96.82),
    "A19": (45.4, 92.53),
    "A20": (44.89, 89.77),
}
MAX_PENALTY = 200  # above the largest sum of weights of an action


def test_ends_of_flex_label_ranges_are_whole_penalties():
    graph = load("flex_topology")
    lost = jnp.arange(MAX_PENALTY + 1.0)[:, None]
    severity = jnp.tile(jnp.asarray([1.0, 0.0]), (MAX_PENALTY + 1, 1))
    for action, ends in RANGES.items():
        total = graph.action(action).largest_penalty
        assert total and total <= MAX_PENALTY
        weight = jnp.concatenate([lost, total - lost], axis=1)
        scores = scoring.compositional_score(severity, weight)[: total + 1]
        rounded = np.round(np.asarray(scores, np.float64), 2)
        for end in ends:
            assert (rounded == end).sum() == 1, (action, end, total)


def flex_with_weights(tmp_path) -> tuple[Rubric, dict[str, int]]:
    """The topology with a feasible set of weights, given as an example in the facts."""
    facts = yaml.safe_load((shared("facts") / "flex_fkg_topology.json").read_text())
    weights = facts["error_weight_example_feasible_NOT_from_paper"]
    text = 'format: 1\nname: example\nversion: "1"\nextends: flex_topology\nerrors:\n'
    (tmp_path / "g.yaml").write_text(
        text + "".join(f"  {k}: {{weight: {w}}}\n" for k, w in weights.items())
    )
    return Rubric.from_graph(load(tmp_path / "g.yaml")), weights


def test_ends_of_flex_label_ranges_can_be_composed_of_errors(tmp_path):
    """For each end there are errors of the action that add up to the penalty."""
    table, weights = flex_with_weights(tmp_path)
    score = jax.jit(lambda severity, action: scoring.score(severity, action, table).score)
    for a, (action, ends) in enumerate(RANGES.items()):
        penalties = [weights[error] for _, error in table.pairs[a]]
        for end in ends:
            chosen = subset(penalties, round(sum(penalties) * (1 - end / 100)))
            severity = np.zeros((1, table.weight.shape[1]), np.float32)
            severity[0, list(chosen)] = 1
            assert round(float(score(severity, np.array([a]))[0]), 2) == end, action


def subset(weights: list[int], total: int) -> tuple[int, ...]:
    """Indices of weights that add up to `total`."""
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for i, weight in enumerate(weights):
        for value, indices in list(reached.items()):
            reached.setdefault(value + weight, (*indices, i))
    return reached[total]


def test_unknown_weights_cannot_be_scored():
    with pytest.raises(UserError, match="25 of the weights of 'A01' are unknown"):
        Rubric.from_graph(load("flex_topology"))


cases = st.tuples(
    st.integers(0, A - 1),
    st.lists(st.floats(0, 1, width=32), min_size=E, max_size=E),
    st.integers(0, E - 1),
    st.floats(0, 1, width=32),
)


@settings(max_examples=60)
@given(cases)
def test_properties(case):
    action, severity, slot, more = case
    severity = np.array(severity, np.float32)
    actions = np.array([action])
    scores = gym_score(severity[None], actions)
    before = float(scores.score[0])
    assert -1e-4 <= before <= 100 + 1e-4
    # Points add up, and parts are scores too.
    assert float(scores.penalty.sum()) == pytest.approx(100 - before, abs=1e-3)
    for part in (scores.steps, scores.tiers):
        known = np.asarray(part)[np.isfinite(part)]
        assert len(known) and (known >= -1e-4).all() and (known <= 100 + 1e-4).all()
    # A more severe error costs proportionally more; padding costs nothing.
    worse = severity.copy()
    worse[slot] = max(worse[slot], more)
    change = before - float(gym_score(worse[None], actions).score[0])
    share = GYM.weight[action] / GYM.weight[action].sum()
    difference = worse[slot] - severity[slot]
    assert change == pytest.approx(100 * share[slot] * difference, abs=2e-3)
    if GYM.weight[action, slot] == 0:
        assert change == 0
    # The gradient of every error is its share, negative.
    np.testing.assert_allclose(gym_gradient(severity[None], actions)[0], -100 * share, rtol=1e-5)


@settings(max_examples=20)
@given(st.permutations(range(len(GYM.pairs[0]))), st.lists(st.booleans(), min_size=5, max_size=5))
def test_order_and_rest_of_the_batch_do_not_matter(order, made):
    """Another order of pairs, or other actions in the batch, do not change a score."""
    severity = np.array(made, np.float32)
    weight = GYM.weight[0, : len(severity)]
    alone = float(scoring.compositional_score(jnp.asarray(severity), jnp.asarray(weight)))
    shuffled = scoring.compositional_score(
        jnp.asarray(severity[list(order)]), jnp.asarray(weight[list(order)])
    )
    assert float(shuffled) == pytest.approx(alone, abs=1e-4)
    batch = np.ones((3, E + 4), np.float32)
    batch[1, : len(severity)] = severity
    wide = jnp.pad(jnp.asarray(GYM.weight), ((0, 0), (0, 4)))[jnp.asarray([3, 0, 5])]
    scores = scoring.compositional_score(jnp.asarray(batch), wide)
    assert float(scores[1]) == pytest.approx(alone, abs=1e-4)


def test_partial_scores_do_not_spoil_gradients():
    """NaN of an empty key step must not leak into the gradient of the others."""

    @jax.jit
    def total(severity):
        scores = gym_score(severity, jnp.asarray([0]))
        return jnp.nansum(scores.steps) + jnp.nansum(scores.tiers)

    assert np.isfinite(jax.grad(total)(jnp.full((1, E), 0.5))).all()


def test_hard_labels_are_exact():
    """Whole penalties below 2²⁴ are exact in float32; only the final quotient is rounded."""
    combinations = [*itertools.product(range(A), itertools.product((0, 1), repeat=4))]
    action = np.array([a for a, _ in combinations])
    severity = np.zeros((len(combinations), E), np.float32)
    severity[:, :4] = [errors for _, errors in combinations]
    weight = GYM.weight[action].astype(int)
    expected = 100 * (1 - (weight * severity).sum(1) / weight.sum(1))
    np.testing.assert_allclose(gym_score(severity, action).score, expected, rtol=0, atol=2e-5)
