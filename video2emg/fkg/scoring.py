"""The compositional score of a repetition, S = 100 · (1 − Σ w·p / Σ w), in JAX.

The sums run over the (key step, error) pairs of the action, so an error that may occur at two key
steps counts twice (FLEX, arXiv 2506.03198). p is the severity of an error, from 0 (absent) to 1.
S is linear in p, so the expected severity (probability times severity) gives the expected score.

Letters: B repetitions of mixed actions, E pairs and P key steps (padded), T tiers.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from video2emg.fkg.rubric import Rubric


@flax.struct.dataclass
class Scores:
    """Scores of repetitions, and their parts.

    Attributes:
      score: [*B] 0-100.
      penalty: [*B, E] points of 100 lost by each pair; they add up to 100 − score.
      steps: [*B, P] the score within each key step; NaN if no error may occur there.
      tiers: [*B, T] the score within each tier of `Rubric.tier_names`; NaN if the action has no
        error of this tier.
    """

    score: jax.Array
    penalty: jax.Array
    steps: jax.Array
    tiers: jax.Array


def compositional_score(
    severity: Float[Array, "*B E"], weight: Float[Array, "*B E"]
) -> Float[Array, "*B"]:
    """The score alone.

    Args:
      severity: of each error, 0-1, or its expected value; any value on padding.
      weight: penalties; 0 on padding.
    """
    return 100 * (1 - (weight * severity).sum(-1) / jnp.maximum(weight.sum(-1), 1e-9))


def score(severity: Float[Array, "*B E"], action: Int[Array, "*B"], rubric: Rubric) -> Scores:
    """The score with its parts.

    Args:
      severity: of each error of the repetition's action, 0-1, or its expected value, in the order
        of `rubric.pairs`; any value on padding.
      action: index in `rubric.actions`.
      rubric: of the graph.
    """
    lost = jnp.asarray(rubric.weight)[action] * severity
    total = rubric.weight.sum(1)
    score = 100 * (1 - lost.sum(-1) / jnp.asarray(total)[action])
    return Scores(
        score=score,
        penalty=100 * lost / jnp.asarray(total)[action][..., None],
        steps=_within(lost, action, rubric.weight, rubric.step_position, rubric.step.shape[1]),
        tiers=_within(lost, action, rubric.weight, rubric.pair_tier, len(rubric.tier_names)),
    )


def _within(
    lost: Float[Array, "*B E"],
    action: Int[Array, "*B"],
    weight: Float[np.ndarray, "A E"],
    group: Int[np.ndarray, "A E"],
    count: int,
) -> Float[Array, "*B {count}"]:
    """The score over the pairs of each group; NaN for groups without pairs."""
    member = group[..., None] == np.arange(count)
    total = (weight[..., None] * member).sum(1)
    # The NaN of an empty group comes from this constant table, so it has no gradient.
    share = np.where(total > 0, 100 / np.maximum(total, 1e-9), np.nan)
    pair_group = jnp.asarray(group)[action]
    # The loop is compiled into one pass. A membership table would need E × count per repetition.
    lost_by_group = [jnp.where(pair_group == i, lost, 0.0).sum(-1) for i in range(count)]
    return 100 - jnp.stack(lost_by_group, axis=-1) * jnp.asarray(share, jnp.float32)[action]
