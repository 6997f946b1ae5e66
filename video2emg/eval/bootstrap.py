"""Bootstrap over subjects: weights of the draws, intervals, paired differences.

Recordings of one person are not independent, so whole subjects are drawn. A metric that is a
function of weighted sums needs the weights only, not the drawn recordings. R draws, S subjects,
K recordings.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

_UNKNOWN = (math.nan, math.nan)


def subject_weights(n_subjects: int, samples: int, seed: int) -> Int[np.ndarray, "R S"]:
    """How often each subject occurs in each of `samples` draws with replacement."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=samples)


def recording_weights(
    subject: Shaped[np.ndarray, " K"], samples: int, seed: int
) -> Int[np.ndarray, "R K"] | None:
    """How often each recording occurs in each draw of whole subjects; None for a single subject.

    Args:
      subject: whose recording it is.
      samples: draws.
      seed: of the draws; the same seed draws the same subjects from any table of the same set.
    """
    subjects, owner = np.unique(subject, return_inverse=True)
    if len(subjects) < 2:
        return None
    return subject_weights(len(subjects), samples, seed)[:, owner]


def interval(draws: Float[np.ndarray, " R"] | None) -> list[float]:
    """95 % percentile interval [low, high]; NaN without draws or if over half are undefined."""
    if draws is None:
        return list(_UNKNOWN)
    defined = draws[np.isfinite(draws)]
    if len(defined) * 2 < len(draws):
        return list(_UNKNOWN)
    return [float(x) for x in np.percentile(defined, [2.5, 97.5])]


@dataclasses.dataclass(frozen=True)
class BootstrapScores:
    """All metrics of one system on one test set.

    Few subjects make percentile intervals too narrow (with 5 they hold the true value in clearly
    fewer than 95 % of cases), and a single one gives none.

    Attributes:
      values: by metric.
      draws: the same of every bootstrap draw, [R]; None for a single subject.
    """

    values: Mapping[str, float]
    draws: Mapping[str, Float[np.ndarray, " R"]] | None

    def with_intervals(self) -> dict[str, Any]:
        """Every metric, and its 95 % interval as `<metric>_ci95`."""
        scores: dict[str, Any] = dict(self.values)
        for metric in self.values:
            scores[f"{metric}_ci95"] = interval(None if self.draws is None else self.draws[metric])
        return scores

    def minus(self, other: "BootstrapScores", p_values: bool = False) -> dict[str, Any]:
        """Paired differences to `other`, which was scored on the same draws.

        What makes a subject hard for both systems cancels: an interval of the difference can
        exclude 0 where the intervals of the two overlap.

        Args:
          other: what is subtracted.
          p_values: whether to add the two-sided bootstrap `<metric>_p`: twice the share of draws on
            the other side of zero, never below 2 / (R + 1).

        Returns:
          Every metric's difference and `<metric>_ci95`.
        """
        differences: dict[str, Any] = {}
        for metric, value in self.values.items():
            gap = None
            if self.draws is not None and other.draws is not None:
                gap = self.draws[metric] - other.draws[metric]
            differences[metric] = value - other.values[metric]
            differences[f"{metric}_ci95"] = interval(gap)
            if p_values:
                differences[f"{metric}_p"] = _p_value(gap)
        return differences


def mean_over_seeds(runs: Sequence[BootstrapScores]) -> BootstrapScores:
    """The mean of runs that differ in their seed, value by value and draw by draw."""
    values = {m: float(np.mean([run.values[m] for run in runs])) for m in runs[0].values}
    if runs[0].draws is None:
        return BootstrapScores(values, None)
    draws = {m: np.mean([run.draws[m] for run in runs], axis=0) for m in values}  # pyright: ignore
    return BootstrapScores(values, draws)


def _p_value(gap: np.ndarray | None) -> float:
    gap = np.zeros(0) if gap is None else gap[np.isfinite(gap)]
    if not len(gap):
        return math.nan
    other_side = min((gap <= 0).sum(), (gap >= 0).sum())
    return float(min(1.0, 2 * (other_side + 1) / (len(gap) + 1)))
