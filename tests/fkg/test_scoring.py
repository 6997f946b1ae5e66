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

GYM = Rubric.of(load("gymsim"))
A, E = GYM.weight.shape


def test_by_hand():
    """squat: haste 5 at lift; caving 9 left and right at lower. curl: haste 5 at lift."""
    r = rubric()
    extent = np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [1, 1, 1], [0.2, 7, 7]], np.float32)
    action = np.array([0, 0, 0, 0, 1])
    found = scoring.score(jnp.asarray(extent), jnp.asarray(action), r)
    wanted = [100 * (1 - 5 / 23), 100 * (1 - 9 / 23), 100 * (1 - 9 / 23), 0.0, 80.0]
    np.testing.assert_allclose(found.score, wanted, atol=1e-4)
    np.testing.assert_allclose(found.penalty[0], [500 / 23, 0, 0], atol=1e-4)
    np.testing.assert_allclose(found.penalty[4], [20, 0, 0], atol=1e-4)
    nan = np.nan
    # Key steps of squat are lift, lower; of curl stand, lift, lower.
    steps = [[0, 100, nan], [100, 50, nan], [100, 50, nan], [0, 0, nan], [nan, 80, nan]]
    np.testing.assert_allclose(found.steps, steps, atol=1e-4)
    assert r.tier_names == ("joint_safety", "fine_control")
    tiers = [[100, 0], [50, 100], [50, 100], [0, 0], [nan, 80]]
    np.testing.assert_allclose(found.tiers, tiers, atol=1e-4)


def test_the_printed_example():
    """Overhead press, 37 of 161 lost: 77.02 (FLEX's successor, arXiv 2608.26094)."""
    weight = jnp.asarray([[37.0, 124.0]])
    found = scoring.compositional_score(jnp.asarray([[1.0, 0.0]]), weight)[0]
    assert round(float(found), 2) == 77.02


# Lowest and highest labels per action (reference code of FLEX, `label_ranges`).
RANGES = {
    "A01": (40.99, 93.79), "A02": (47.68, 96.69), "A03": (44.8, 95.2), "A04": (45.71, 95.24),
    "A05": (34.59, 95.49), "A06": (33.96, 93.4), "A07": (33.73, 93.98), "A08": (37.4, 100.0),
    "A09": (41.98, 100.0), "A10": (36.64, 93.89), "A11": (40.82, 93.2), "A12": (38.78, 92.52),
    "A13": (48.3, 94.56), "A14": (30.22, 94.24), "A15": (22.16, 96.41), "A16": (29.85, 94.03),
    "A17": (43.31, 91.08), "A18": (47.77, 96.82), "A19": (45.4, 92.53), "A20": (44.89, 89.77),
}  # fmt: skip


@pytest.mark.parametrize("action", RANGES)
def test_ends_of_flex_label_ranges_are_whole_penalties(action):
    total = load("flex_topology").action(action).largest_penalty
    assert total
    for end in RANGES[action]:
        lost = jnp.arange(total + 1.0)[:, None]
        weight = jnp.concatenate([lost, total - lost], axis=1)
        scores = scoring.compositional_score(jnp.asarray([[1.0, 0.0]]).repeat(total + 1, 0), weight)
        assert (np.round(np.asarray(scores, np.float64), 2) == end).sum() == 1, (end, total)


def flex_with_weights(tmp_path) -> tuple[Rubric, dict[str, int]]:
    """The topology with the one feasible set of weights that the facts give as an example."""
    facts = yaml.safe_load((shared("facts") / "flex_fkg_topology.json").read_text())
    weights = facts["error_weight_example_feasible_NOT_from_paper"]
    text = 'format: 1\nname: example\nversion: "1"\nextends: flex_topology\nerrors:\n'
    (tmp_path / "g.yaml").write_text(
        text + "".join(f"  {k}: {{weight: {w}}}\n" for k, w in weights.items())
    )
    return Rubric.of(load(tmp_path / "g.yaml")), weights


def test_ends_of_flex_label_ranges_can_be_composed_of_errors(tmp_path):
    """Not only is each end a whole penalty: there are errors of that action that add up to it."""
    table, weights = flex_with_weights(tmp_path)
    for a, (action, ends) in enumerate(RANGES.items()):
        own = [weights[error] for _, error in table.pairs[a]]
        for end in ends:
            chosen = subset(own, round(sum(own) * (1 - end / 100)))
            extent = np.zeros((1, table.weight.shape[1]), np.float32)
            extent[0, list(chosen)] = 1
            found = scoring.score(jnp.asarray(extent), jnp.asarray([a]), table).score
            assert round(float(found[0]), 2) == end, action


def subset(weights: list[int], total: int) -> tuple[int, ...]:
    """Places of weights that add up to `total`."""
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for i, weight in enumerate(weights):
        for value, places in list(reached.items()):
            reached.setdefault(value + weight, (*places, i))
    return reached[total]


def test_unknown_weights_cannot_be_scored():
    with pytest.raises(UserError, match="25 of the weights of 'A01' are unknown"):
        Rubric.of(load("flex_topology"))


cases = st.tuples(
    st.integers(0, A - 1),
    st.lists(st.floats(0, 1, width=32), min_size=E, max_size=E),
    st.integers(0, E - 1),
    st.floats(0, 1, width=32),
)


def of(action: int, extent) -> float:
    found = scoring.score(jnp.asarray([extent], jnp.float32), jnp.asarray([action]), GYM)
    return float(found.score[0])


@settings(max_examples=60, deadline=None)
@given(cases)
def test_properties(case):
    action, extent, slot, more = case
    extent = np.array(extent, np.float32)
    found = scoring.score(jnp.asarray(extent[None]), jnp.asarray([action]), GYM)
    before = float(found.score[0])
    assert -1e-4 <= before <= 100 + 1e-4
    real = GYM.weight[action] > 0
    # Points add up, and parts are scores too.
    assert float(found.penalty.sum()) == pytest.approx(100 - before, abs=1e-3)
    for part in (found.steps, found.tiers):
        known = np.asarray(part)[np.isfinite(part)]
        assert len(known) and (known >= -1e-4).all() and (known <= 100 + 1e-4).all()
    # More of any error costs, in proportion; padding costs nothing.
    worse = extent.copy()
    worse[slot] = max(worse[slot], more)
    change = before - of(action, worse)
    share = GYM.weight[action, slot] / GYM.weight[action].sum()
    assert change == pytest.approx(100 * share * (worse[slot] - extent[slot]), abs=2e-3)
    if not real[slot]:
        assert change == 0
    # The gradient of every real error is its share, negative.
    slope = jax.grad(lambda e: scoring.score(e, jnp.asarray([action]), GYM).score.sum())(
        jnp.asarray(extent[None])
    )[0]
    np.testing.assert_allclose(
        slope, -100 * GYM.weight[action] / GYM.weight[action].sum(), rtol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(GYM.pairs[0]))), st.lists(st.booleans(), min_size=5, max_size=5))
def test_order_and_company_do_not_matter(order, made):
    """Pairs in another order, and repetitions of other actions in the batch, change nothing."""
    extent = np.array(made, np.float32)
    weight = GYM.weight[0, : len(extent)]
    alone = float(scoring.compositional_score(jnp.asarray(extent), jnp.asarray(weight)))
    shuffled = scoring.compositional_score(
        jnp.asarray(extent[list(order)]), jnp.asarray(weight[list(order)])
    )
    assert float(shuffled) == pytest.approx(alone, abs=1e-4)
    batch = np.ones((3, E + 4), np.float32)
    batch[1, : len(extent)] = extent
    wide = jnp.pad(jnp.asarray(GYM.weight), ((0, 0), (0, 4)))[jnp.asarray([3, 0, 5])]
    among = scoring.compositional_score(jnp.asarray(batch), wide)
    assert float(among[1]) == pytest.approx(alone, abs=1e-4)


def test_partial_scores_do_not_spoil_gradients():
    """NaN of an empty key step must not leak into the gradient of the others."""

    def total(extent):
        found = scoring.score(extent, jnp.asarray([0]), GYM)
        return jnp.nansum(found.steps) + jnp.nansum(found.tiers)

    assert np.isfinite(jax.grad(total)(jnp.full((1, E), 0.5))).all()


def test_hard_labels_are_exact():
    """Whole penalties below 2²⁴ are exact in float32; only the final quotient is rounded."""
    for action, made in itertools.product(range(A), itertools.product((0, 1), repeat=4)):
        extent = np.zeros(E, np.float32)
        extent[:4] = made
        weight = GYM.weight[action].astype(int)
        lost = int((weight * extent).sum())
        assert of(action, extent) == pytest.approx(100 * (1 - lost / weight.sum()), abs=2e-5)
