"""The compositional score of a repetition, S = 100 · (1 − Σ w·p / Σ w), in JAX.

The sums run over the (key step, error) pairs of the action, so an error that may occur at two key
steps counts twice (FLEX, arXiv 2506.03198). p is 0 or 1 if annotated, or anything between:
probability times severity gives the expected score, since S is linear in p.

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
    """What repetitions are worth, and why.

    Attributes:
      score: [*B] 0-100.
      penalty: [*B, E] points of 100 that each pair costs; they add up to 100 − score.
      steps: [*B, P] the score within each key step; NaN where no error may occur.
      tiers: [*B, T] the score within each tier of `Rubric.tier_names`; NaN where the action has no
        error of it.
    """

    score: jax.Array
    penalty: jax.Array
    steps: jax.Array
    tiers: jax.Array


def compositional_score(
    extent: Float[Array, "*B E"], weight: Float[Array, "*B E"]
) -> Float[Array, "*B"]:
    """The score alone.

    Args:
      extent: of each error, 0 not made, 1 made; anything on padding.
      weight: penalties; 0 on padding.
    """
    return 100 * (1 - (weight * extent).sum(-1) / jnp.maximum(weight.sum(-1), 1e-9))


def score(extent: Float[Array, "*B E"], action: Int[Array, "*B"], rubric: Rubric) -> Scores:
    """The score with its parts.

    Args:
      extent: of each error of the repetition's action, in the order of `rubric.pairs`: 0 not made,
        1 made; anything on padding.
      action: place in `rubric.actions`.
      rubric: of the graph.
    """
    lost = jnp.asarray(rubric.weight)[action] * extent
    total = rubric.weight.sum(1)
    score = 100 * (1 - lost.sum(-1) / jnp.asarray(total)[action])
    return Scores(
        score=score,
        penalty=100 * lost / jnp.asarray(total)[action][..., None],
        steps=_within(lost, action, rubric.weight, rubric.place, rubric.step.shape[1]),
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
    # Nothing can be lost in an empty group: its NaN comes from the table and has no gradient.
    share = np.where(total > 0, 100 / np.maximum(total, 1e-9), np.nan)
    own = jnp.asarray(group)[action]
    # A loop fuses into one pass; a table of members of every repetition would be E × count large.
    gone = [jnp.where(own == i, lost, 0.0).sum(-1) for i in range(count)]
    return 100 - jnp.stack(gone, axis=-1) * jnp.asarray(share, jnp.float32)[action]
