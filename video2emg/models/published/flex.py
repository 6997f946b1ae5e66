"""Parts of FLEX's AQA system: contributions of the two sides' muscles, and the scale of scores.

What is wrong in FLEX's code is corrected unless `Choices` says otherwise; every result must state
its choices.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.core.errors import UserError

MODALITIES = ("video", "pose", "emg")


@dataclasses.dataclass(frozen=True)
class Choices:
    """Where FLEX's code differs from a correct method; by default the correct method is used.

    Attributes:
      leaves_as_published: see `core.Intervals`.
      skeleton_per_frame: see `stgcn.normalise_skeleton`.
      ranges_of_whole_dataset: the ranges that scale the scores include the test set.
      scores_beyond_range: predicted scores may lie outside 0-100.
    """

    leaves_as_published: bool = False
    skeleton_per_frame: bool = False
    ranges_of_whole_dataset: bool = False
    scores_beyond_range: bool = False


def contribution(
    emg: Float[Array, "B N M"],
    mask: Bool[Array, "B N M"],
    side: Int[Array, "B M"],
    percentile: float = 95.0,
) -> Float[Array, "B 2"]:
    """How much the muscles of the left and of the right side contribute; the sum is one.

    FLEX's code uses the largest absolute raw sample, which a single artefact decides; here it is a
    percentile of the envelope.

    Args:
      emg: envelope.
      mask: where it was measured.
      side: index of each channel in `vocabulary.SIDES`.
      percentile: of each channel over time; the level of a side is the mean over its channels.

    Returns:
      Contributions; one half each where nothing was measured on either side.
    """
    level = jnp.nanpercentile(jnp.where(mask, emg, jnp.nan), percentile, axis=1)
    known = mask.any(1)
    level = jnp.where(known, level, 0.0)
    own = (side[..., None] == jnp.arange(len(vocabulary.SIDES))) & known[..., None]
    sides = (level[..., None] * own).sum(1) / jnp.maximum(own.sum(1), 1)
    total = sides.sum(-1, keepdims=True)
    return jnp.where(total > 0, sides / jnp.where(total > 0, total, 1.0), 0.5)


@dataclasses.dataclass(frozen=True)
class ScoreScale:
    """Maps the range of each action's scores to 0-100.

    Attributes:
      low, high: [A], lowest and highest score of each action.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(
        cls, score: Float[np.ndarray, " K"], action: Int[np.ndarray, " K"], actions: int
    ) -> "ScoreScale":
        """Fits the ranges to training repetitions; test scores may fall outside 0-100.

        Actions without repetitions get the range 0-100.

        Raises:
          UserError: an action with a single score.
        """
        low, high = np.full(actions, np.inf), np.full(actions, -np.inf)
        np.minimum.at(low, action, score)
        np.maximum.at(high, action, score)
        known = np.isfinite(low)
        if (low[known] >= high[known]).any():
            raise UserError("scores: an action has a single score in training; it has no range")
        return cls(np.where(known, low, 0.0), np.where(known, high, 100.0))

    def normalise(self, score: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Scores → 0-100."""
        return (score - self.low[action]) / (self.high - self.low)[action] * 100.0
