"""Metrics of action quality assessment, each with its definition and its trap.

Pure functions of arrays. K repetitions, R bootstrap draws, P key steps. A weight [R, K] says how
often each repetition counts in each draw; the result is then [R], without it a float. Whole-number
weights give exactly what repeating the repetitions would.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

# arctanh(1) is infinite: a single perfectly ranked action would outweigh all others.
LARGEST_RHO = 1 - 1e-6

Weight = Shaped[np.ndarray, "R K"] | None
Metric = float | Float[np.ndarray, " R"]


def srcc(
    predicted: Shaped[np.ndarray, " K"], true: Shaped[np.ndarray, " K"], weight: Weight = None
) -> Metric:
    """Spearman's rank correlation: Pearson's r of the ranks, ties at their mean rank.

    Undefined, so NaN, for fewer than two repetitions or where either side is constant: a predictor
    that gives everybody the same score has no ranking. Traps: code that turns this NaN into 0 makes
    such a predictor look merely bad; and pooled over actions a predictor gets a high SRCC just for
    knowing which exercises are done badly. Compute it per action, then `fisher_mean`.
    """
    w, scalar = _weights(weight, len(true))
    count = w.sum(-1, keepdims=True)

    def centred_ranks(x: np.ndarray) -> np.ndarray:
        values, place = np.unique(x, return_inverse=True)
        size = w @ (place[:, None] == np.arange(len(values)))
        rank = size.cumsum(-1) - (size - 1) / 2
        # In whole halves around the middle rank, so that constants are exactly zero.
        return rank[:, place] - (count + 1) / 2

    p, t = centred_ranks(np.asarray(predicted)), centred_ranks(np.asarray(true))
    scale = np.sqrt((w * p * p).sum(-1) * (w * t * t).sum(-1))
    return _unwrap(np.clip(ratio((w * p * t).sum(-1), scale), -1, 1), scalar)


def fisher_mean(rho: Shaped[np.ndarray, "A *R"]) -> Metric:
    """Mean of correlations in Fisher's z over the first axis: tanh(mean(arctanh ρ)).

    The convention of AQA-7. Traps: it is not the plain mean (0.9 and 0.5 give 0.766, not 0.7);
    |ρ| = 1 has infinite z and is clipped at `LARGEST_RHO`, so a perfect action counts as z = 7.25
    and perfect actions alone give 0.999999. An undefined ρ (NaN) makes the mean undefined: leaving
    it out would reward a predictor for being constant on the hard actions.
    """
    rho = np.asarray(rho, np.float64)
    z = np.arctanh(np.clip(rho, -LARGEST_RHO, LARGEST_RHO))
    return _unwrap(np.asarray(np.tanh(z.mean(0))), rho.ndim == 1)


def relative_l2(
    predicted: Shaped[np.ndarray, " K"],
    true: Shaped[np.ndarray, " K"],
    span: tuple[float, float],
    weight: Weight = None,
) -> Metric:
    """R-ℓ2 × 100 of CoRe (Yu et al., ICCV 2021): 100 · mean(((p − t) / (high − low))²).

    Traps: papers print it × 100, FLEX's code does not multiply; and the range decides the number.
    CoRe takes it from the test labels of each action. Here it is an argument, to be taken from the
    training labels (of each action) and stated.
    """
    low, high = span
    if not high > low:
        return undefined(weight)
    return 100 * weighted_mean(((predicted - true) / (high - low)) ** 2, weight)


def mae(
    predicted: Shaped[np.ndarray, " K"], true: Shaped[np.ndarray, " K"], weight: Weight = None
) -> Metric:
    """Mean absolute error, points of 100. Trap: not comparable where labels were min-max scaled."""
    return weighted_mean(np.abs(predicted - true), weight)


def average_precision(
    probability: Shaped[np.ndarray, " K"], made: Shaped[np.ndarray, " K"], weight: Weight = None
) -> Metric:
    """Area under the precision-recall steps: Σ (recallₙ − recallₙ₋₁) · precisionₙ.

    NaN without a positive. Ties form one step, as in scikit-learn. Traps: interpolated variants
    are higher; a random predictor gets the prevalence, so a mean over errors ("mAP") depends on
    which rare errors are in it; "best epoch per metric on test" raises it most of all metrics.
    """
    w, scalar = _weights(weight, len(made))
    order = np.argsort(-probability, kind="stable")
    ranked, w, positive = probability[order], w[:, order], np.asarray(made, np.float64)[order]
    last_of_tie = np.append(np.diff(ranked) != 0, True)
    hits = (w * positive).cumsum(-1)[:, last_of_tie]
    claimed = w.cumsum(-1)[:, last_of_tie]
    precision = hits / np.maximum(claimed, 1e-12)
    gained = np.diff(hits, prepend=0.0, axis=-1)
    return _unwrap(ratio((gained * precision).sum(-1), hits[:, -1]), scalar)


def f1(
    predicted: Shaped[np.ndarray, " K"], made: Shaped[np.ndarray, " K"], weight: Weight = None
) -> Metric:
    """2·TP / (2·TP + FP + FN); NaN if the error is neither made nor predicted.

    Trap: it depends on the threshold behind `predicted`. Choosing the best one on the test set, as
    many do for every metric by itself, makes it optimistic; see `best_threshold`.
    """
    w, scalar = _weights(weight, len(made))
    hits, wrong = (w * (predicted & made)).sum(-1), (w * (predicted != made)).sum(-1)
    return _unwrap(ratio(2 * hits, 2 * hits + wrong), scalar)


def best_threshold(probability: Shaped[np.ndarray, " K"], made: Shaped[np.ndarray, " K"]) -> float:
    """The threshold with the best F1, for a validation set, never for test; 0.5 without errors."""
    if not np.any(made):
        return 0.5
    candidates = np.unique(probability)
    return float(candidates[np.argmax(np.array([f1(probability >= t, made) for t in candidates]))])


def expected_calibration_error(
    probability: Shaped[np.ndarray, " K"],
    made: Shaped[np.ndarray, " K"],
    weight: Weight = None,
    bins: int = 10,
) -> Metric:
    """ECE: Σ (nᵦ / n) · |share made − mean probability| over equal-width bins of probability.

    Traps: with rare errors nearly all mass lies in the first bin, so predicting the prevalence
    every time is almost perfectly calibrated; the value depends on the number of bins. Read it
    beside AP.
    """
    w, scalar = _weights(weight, len(made))
    place = np.minimum((probability * bins).astype(int), bins - 1)
    member = (place[:, None] == np.arange(bins)).astype(np.float64)
    gap = np.abs((w * (made - probability)) @ member).sum(-1)
    return _unwrap(gap / w.sum(-1), scalar)


def boundary_error_ms(
    predicted: Shaped[np.ndarray, "K P"], true: Shaped[np.ndarray, "K P"], weight: Weight = None
) -> Metric:
    """Mean |error| of the key steps' beginnings, ms.

    The first step's beginning (the start of the clip) is left out. Traps: it is known, and counting
    it and the end of the clip would halve the error; and a mean hides how many are far off.

    Args:
      predicted: s.
      true: s; NaN marks steps that the action does not have.
      weight: see the module.
    """
    error = np.abs(predicted - true)[:, 1:]
    w, scalar = _weights(weight, len(true))
    known = np.isfinite(error)
    total, count = w @ np.where(known, error, 0).sum(1), w @ known.sum(1)
    return _unwrap(ratio(1e3 * total, count), scalar)


def segment(log_probability: Shaped[np.ndarray, "Q P"]) -> Int[np.ndarray, " P"]:
    """The most probable segmentation of Q instants into P key steps in their known order.

    Args:
      log_probability: of each step at each instant.

    Returns:
      [P] first instant of each step; the first is 0, a later one may be Q (the step is empty).
    """
    n, steps = log_probability.shape
    total = np.concatenate([np.zeros((1, steps)), log_probability.cumsum(0)]).astype(np.float64)
    # best[q]: of the first q instants with the steps so far; back: where the last step began.
    best, back = total[:, 0], np.zeros((n + 1, steps), int)
    for step in range(1, steps):
        gain = best - total[:, step]
        back[:, step] = [int(np.argmax(gain[: q + 1])) for q in range(n + 1)]
        best = gain[back[:, step]] + total[:, step]
    starts, end = np.zeros(steps, int), n
    for step in range(steps - 1, 0, -1):
        end = back[end, step]
        starts[step] = end
    return starts


def weighted_mean(values: Shaped[np.ndarray, " K"], weight: Weight = None) -> Metric:
    """Mean of values; NaN without values, and in draws in which none counts."""
    w, scalar = _weights(weight, len(values))
    return _unwrap(ratio(w @ values, w.sum(-1)), scalar)


def undefined(weight: Weight) -> Metric:
    """An undefined metric: NaN, or NaN in each draw."""
    return float("nan") if weight is None else np.full(len(weight), np.nan)


def nan_mean(values: Sequence[Metric]) -> Metric:
    """Mean over the first axis without NaN; NaN where all are NaN, or without values."""
    if not len(values):
        return float("nan")
    stacked = np.array(values, np.float64)
    known = np.isfinite(stacked)
    total, count = np.where(known, stacked, 0.0).sum(0), known.sum(0)
    return _unwrap(ratio(np.atleast_1d(total), np.atleast_1d(count)), stacked.ndim == 1)


def ratio(
    part: Shaped[np.ndarray, " R"], whole: Shaped[np.ndarray, " R"]
) -> Float[np.ndarray, " R"]:
    """`part / whole`; NaN where `whole` is not positive."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _weights(weight: np.ndarray | None, count: int) -> tuple[np.ndarray, bool]:
    if weight is None:
        return np.ones((1, count)), True
    return np.asarray(weight, np.float64), False


def _unwrap(value: np.ndarray, scalar: bool) -> Metric:
    return float(np.ravel(value)[0]) if scalar else value
