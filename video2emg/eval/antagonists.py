"""Whether a muscle is predicted by its own curve, or as well by that of its antagonist.

In a squat all muscles move together, so that a model could predict the hamstrings by the quadriceps
and still have a high r. Here both curves of the model are compared with what was measured.
"""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.eval import metrics
from video2emg.eval.bootstrap import interval, subject_weights
from video2emg.eval.metrics import Moments
from video2emg.eval.series import ClipSeries

# A muscle, and the one on the other side of its joint.
PAIRS = {
    "biceps_femoris": "vastus_lateralis",
    "semitendinosus": "vastus_lateralis",
    "hamstrings": "quadriceps",
    "triceps_brachii": "biceps_brachii",
}


def course_r(series: ClipSeries, prediction: Float[np.ndarray, "N C"]) -> Float[np.ndarray, " C"]:
    """Pearson's r over time of each channel; 0 for a flat prediction, NaN for a quiet channel."""
    moments = Moments.of(series.target, prediction, series.mask)
    r = np.where(moments.m2_prediction > 0, metrics.pcc(moments), 0.0)
    return np.where((moments.m2_target > 0) & (moments.high >= metrics.QUIET), r, np.nan)


def compare(
    series: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Mean r of measured muscles with their own prediction and with that of their antagonist.

    Args:
      series: R repetitions, measured.
      predictions: [R] arrays [N, C] of the same channels.
      samples: bootstrap draws of people.
      seed: of the draws.

    Returns:
      By muscle of `PAIRS` with both channels of a side: `antagonist`, `own`, `others` (r with the
      curve of the antagonist), `difference` and `difference_ci95` over people.
    """
    by_muscle = {}
    for muscle, antagonist in PAIRS.items():
        sums: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
        for one, predicted in zip(series, predictions, strict=True):
            sums[one.subject] += _sides(one, predicted, muscle, antagonist)
        people = [np.array(values) for _, values in sorted(sums.items()) if values]
        if not people:
            continue
        totals = np.array([values.sum(0) for values in people])
        counts = np.array([len(values) for values in people], float)
        own, others = totals.sum(0) / counts.sum()
        draws = None
        if len(people) > 1:
            weights = subject_weights(len(people), samples, seed)
            draws = metrics.divide(weights @ (totals[:, 0] - totals[:, 1]), weights @ counts)
        by_muscle[muscle] = {
            "antagonist": antagonist,
            "own": float(own),
            "others": float(others),
            "difference": float(own - others),
            "difference_ci95": interval(draws),
        }
    return by_muscle


def _sides(
    series: ClipSeries, predicted: np.ndarray, muscle: str, antagonist: str
) -> list[tuple[float, float]]:
    """(r with the own curve, r with that of the antagonist) of each side that has both."""
    pairs = []
    for side in vocabulary.SIDES:
        names = [f"{side}_{name}" for name in (muscle, antagonist)]
        if not set(names) <= set(series.muscles):
            continue
        own, other = (series.muscles.index(name) for name in names)
        exchanged = predicted.copy()
        exchanged[:, own] = predicted[:, other]
        pair = course_r(series, predicted)[own], course_r(series, exchanged)[own]
        if np.isfinite(pair).all():
            pairs.append((float(pair[0]), float(pair[1])))
    return pairs
