"""Intervals of predicted EMG: fitted on validation people, tested on others.

Pose or video to EMG is one-to-many, so a prediction should say how far off it may be. Errors of the
validation people, as multiples of the spread that the model predicts, give the bounds (locally
weighted split conformal prediction: Lei et al., JASA 2018), muscle by muscle and at several levels
of predicted EMG. Samples of one person are not exchangeable with those of the next; so what is
promised for exchangeable data has to be measured here. K samples, N of a clip, C channels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from video2emg import vocabulary
from video2emg.eval import scores
from video2emg.eval.series import ClipSeries

LEVELS = (0.5, 0.8, 0.9, 0.95)
_BINS = 6  # of predicted EMG at which errors are tabulated
_LEAST = 200  # samples at each of them

Predictions = Sequence[np.ndarray]  # [N, C] per clip


def tabulate(
    predicted: Float[np.ndarray, " K"],
    error: Float[np.ndarray, " K"],
    muscle: Int[np.ndarray, " K"],
    level: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantiles of errors at several levels of predicted EMG, muscle by muscle.

    Errors grow with activity, so one quantile for all of it would be too wide at rest and too
    narrow at the peak.

    Args:
      predicted: samples of all clips.
      error: measured minus predicted, in whatever unit the bounds are wanted.
      muscle: place in the vocabulary.
      level: share of the samples that should lie between the bounds.

    Returns:
      Predicted EMG and lower and upper error there, each [muscles of the vocabulary, 6]; NaN for
      muscles of which there are too few samples.
    """
    at, low, high = (
        np.full((len(vocabulary.MUSCLES), _BINS), np.nan, np.float32) for _ in range(3)
    )
    tail = (1 - level) / 2
    for row in np.unique(muscle):
        own = np.flatnonzero(muscle == row)
        if len(own) < _LEAST * _BINS:
            continue
        own = own[np.argsort(predicted[own], kind="stable")]
        for b, part in enumerate(np.array_split(own, _BINS)):
            at[row, b] = np.median(predicted[part])
            low[row, b], high[row, b] = np.quantile(error[part], [tail, 1 - tail])
    return at, low, high


def bounds(
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
    emg: Float[np.ndarray, "N C"],
    spread: Float[np.ndarray, "N C"] | None,
    muscles: Sequence[str],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper bound [N, C] by a table of `tabulate`; None if it lacks one of the muscles.

    Args:
      table: of errors as multiples of `spread`.
      emg: predicted.
      spread: predicted mean absolute error; 1 everywhere if None.
      muscles: names of the channels, `side_muscle`.
    """
    rows = [vocabulary.MUSCLES.index(vocabulary.split_channel(m)[1]) for m in muscles]
    at, *ends = table
    if not rows or np.isnan(at[rows]).any():
        return None
    width = np.ones_like(emg) if spread is None else spread
    low, high = (
        np.stack(
            [
                emg[:, c] + width[:, c] * np.interp(emg[:, c], at[row], end[row]).astype(np.float32)
                for c, row in enumerate(rows)
            ],
            axis=1,
        )
        for end in ends
    )
    # A prediction beyond its own interval would help nobody; EMG is not negative.
    return np.clip(low, 0, emg), np.maximum(high, emg)


def calibrate(
    validation: Sequence[ClipSeries],
    said: tuple[Predictions, Predictions | None],
    test: Sequence[ClipSeries],
    said_of_test: tuple[Predictions, Predictions | None],
    samples: int = 1000,
) -> dict[str, Any]:
    """How often measured EMG of unseen people lies within the intervals, and how wide these are.

    Args:
      validation: clips on whose errors the intervals are fitted.
      said: predicted EMG of these and its spread, if the model has one.
      test: clips of other people.
      said_of_test: the same of these.
      samples: bootstrap draws of test people.

    Returns:
      By level, `0.8` for instance: `coverage` and `coverage_ci95`, mean `width` in units of the
      reference, `by_muscle` and `by_action` coverage; and `without_spread`, the same with intervals
      that know the level of predicted EMG only. Empty if there are too few samples to fit.
    """
    plain = _errors(validation, said[0], None)
    scaled = None if said[1] is None else _errors(validation, *said)
    found: dict[str, Any] = {}
    for level in LEVELS:
        without = _measure(test, said_of_test[0], None, tabulate(*plain, level), samples)
        if not without:
            return {}
        best = without
        if scaled is not None:
            best = _measure(test, *said_of_test, tabulate(*scaled, level), samples) or without
        found[f"{level:g}"] = best | {"without_spread": without}
    return found


def _errors(
    series: Sequence[ClipSeries], emg: Predictions, spread: Predictions | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, errors and muscles of all clips, as `tabulate` takes them."""
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i, clip in enumerate(series):
        width = np.ones_like(emg[i]) if spread is None else spread[i]
        for c, name in enumerate(clip.muscles):
            known = clip.mask[:, c]
            row = vocabulary.MUSCLES.index(vocabulary.split_channel(name)[1])
            off = (clip.target[known, c] - emg[i][known, c]) / width[known, c]
            columns.append((emg[i][known, c], off, np.full(len(off), row)))
    predicted, error, muscle = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return predicted, error, muscle


def _measure(
    series: Sequence[ClipSeries],
    emg: Predictions,
    spread: Predictions | None,
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
    samples: int,
) -> dict[str, Any]:
    """Coverage and width; empty if a muscle is unknown everywhere."""
    rows: list[tuple[str, str, str, int, int, float]] = []
    for i, clip in enumerate(series):
        ends = bounds(table, emg[i], None if spread is None else spread[i], clip.muscles)
        if ends is None:
            continue
        for c, name in enumerate(clip.muscles):
            known = clip.mask[:, c]
            low, high = (end[known, c] for end in ends)
            inside = (clip.target[known, c] >= low) & (clip.target[known, c] <= high)
            muscle = vocabulary.split_channel(name)[1]
            rows.append((clip.subject, muscle, clip.action, len(inside), int(inside.sum()),
                         float((high - low).sum())))  # fmt: skip
    if not rows:
        return {}
    subject, muscle, action, count, hits, width = map(np.array, zip(*rows, strict=True))
    people, owner = np.unique(subject, return_inverse=True)
    own = np.stack([np.bincount(owner, of, len(people)) for of in (hits, count)])
    weights = scores.subject_weights(len(people), samples, seed=0)
    drawn = (weights @ own[0]) / np.maximum(weights @ own[1], 1)

    def by(group: np.ndarray) -> dict[str, float]:
        return {
            str(name): float(hits[group == name].sum() / count[group == name].sum())
            for name in np.unique(group)
        }

    return {
        "coverage": float(hits.sum() / count.sum()),
        "coverage_ci95": scores.interval(drawn) if len(people) > 1 else [float("nan")] * 2,
        "width": float(width.sum() / count.sum()),
        "by_muscle": by(muscle),
        "by_action": by(action),
    }


def in_words(calibration: Mapping[str, Any]) -> str:
    """One line about the 80 % intervals; empty if there are none."""
    if "0.8" not in calibration:
        return ""
    found = calibration["0.8"]
    text = f"80 % intervals cover {100 * found['coverage']:.1f} %"
    ends = found.get("coverage_ci95")
    if ends and None not in ends:
        text += f" ({100 * ends[0]:.0f}–{100 * ends[1]:.0f})"
    return f"{text} of the measured samples; mean width {found['width']:.3f}"
