"""Intervals of predicted EMG: fitted on validation people, tested on others.

Pose or video to EMG is one-to-many, so a prediction should say how far off it may be. Errors of the
validation people, as multiples of the spread that the model predicts, give the bounds (locally
weighted split conformal prediction: Lei et al., JASA 2018), muscle by muscle and at several levels
of predicted EMG. Samples of one person are not exchangeable with those of the next; so the promise
is kept for people who are left out of the fit, and what it is worth on others has to be measured.
K samples, N of a clip, C channels.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.eval.bootstrap import interval, subject_weights
from video2emg.eval.series import ClipSeries

LEVELS = (0.5, 0.8, 0.9, 0.95)
_BINS = 6  # of predicted EMG at which errors are tabulated
_LEAST = 200  # samples at each of them
_RAISED = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])  # of what would lie outside
_FOLDS = 10  # in which people are left out

# Predicted EMG, lower and upper error.
TableOfErrors = tuple[np.ndarray, np.ndarray, np.ndarray]
Predictions = Sequence[np.ndarray]  # [N, C] per clip


@dataclasses.dataclass(frozen=True)
class Samples:
    """What intervals are fitted on. K samples of all clips and channels.

    Attributes:
      predicted: EMG.
      error: measured minus predicted, in whatever unit the bounds are wanted.
      muscle: place in the vocabulary.
      person: a number for each.
    """

    predicted: Float[np.ndarray, " K"]
    error: Float[np.ndarray, " K"]
    muscle: Int[np.ndarray, " K"]
    person: Int[np.ndarray, " K"]

    def of(self, which: Bool[np.ndarray, " K"]) -> "Samples":
        """Some of them."""
        return Samples(*(getattr(self, f.name)[which] for f in dataclasses.fields(self)))


def tabulate(samples: Samples, level: float) -> TableOfErrors:
    """Quantiles of errors at several levels of predicted EMG, muscle by muscle.

    Errors grow with activity, so one quantile for all of it would be too wide at rest and too
    narrow at the peak. People differ, and a few of them differ less from each other than from the
    next: the share between the quantiles is raised until people who are left out, some at a time,
    are covered as promised.

    Args:
      samples: of validation people.
      level: share of a new person's samples that should lie between the bounds.

    Returns:
      Predicted EMG and lower and upper error there, each [muscles of the vocabulary, 6]; NaN for
      muscles of which there are too few samples.
    """
    shares = level + (1 - level) * _RAISED
    hits, count = np.zeros(len(shares)), 0
    people = np.unique(samples.person)
    for left_out in np.array_split(people, min(len(people), _FOLDS)) if len(people) > 1 else ():
        out = np.isin(samples.person, left_out)
        at, low, high = _quantiles(samples.of(~out), shares)
        new = samples.of(out)
        for row in np.unique(new.muscle):
            own = new.of(new.muscle == row)
            if np.isnan(at[row]).any():
                continue
            count += len(own.error)
            for i in range(len(shares)):
                below, above = (
                    np.interp(own.predicted, at[row], end[i, row]) for end in (low, high)
                )
                # As in `bounds`, a prediction lies in its own interval.
                inside = (own.error >= np.minimum(below, 0)) & (own.error <= np.maximum(above, 0))
                hits[i] += inside.sum()
    share = level if not count else float(np.interp(level, hits / count, shares))
    at, low, high = _quantiles(samples, np.array([share]))
    return at, low[0], high[0]


def _quantiles(samples: Samples, shares: Float[np.ndarray, " S"]) -> TableOfErrors:
    """As `tabulate`, for each share of these samples; errors are [S, muscles, 6]."""
    size = (len(vocabulary.MUSCLES), _BINS)
    at = np.full(size, np.nan, np.float32)
    low, high = (np.full((len(shares), *size), np.nan, np.float32) for _ in range(2))
    tail = (1 - shares) / 2
    for row in np.unique(samples.muscle):
        own = np.flatnonzero(samples.muscle == row)
        if len(own) < _LEAST * _BINS:
            continue
        own = own[np.argsort(samples.predicted[own], kind="stable")]
        for b, part in enumerate(np.array_split(own, _BINS)):
            at[row, b] = np.median(samples.predicted[part])
            ends = np.quantile(samples.error[part], np.concatenate([tail, 1 - tail]))
            low[:, row, b], high[:, row, b] = np.split(ends, 2)
    return at, low, high


def bounds(
    table: TableOfErrors,
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
      normalisation, `by_muscle` and `by_action` coverage;
      and `without_predicted_mae`, the same with intervals
      that know the level of predicted EMG only. Empty if there are too few samples to fit.
    """
    plain = _errors(validation, said[0], None)
    scaled = None if said[1] is None else _errors(validation, *said)
    found: dict[str, Any] = {}
    for level in LEVELS:
        without = _measure(test, said_of_test[0], None, tabulate(plain, level), samples)
        if not without:
            return {}
        best = without
        if scaled is not None:
            best = _measure(test, *said_of_test, tabulate(scaled, level), samples) or without
        found[f"{level:g}"] = best | {"without_predicted_mae": without}
    return found


def _errors(series: Sequence[ClipSeries], emg: Predictions, spread: Predictions | None) -> Samples:
    """All that was measured in some clips."""
    people = sorted({clip.subject for clip in series})
    columns: list[tuple[np.ndarray, ...]] = []
    for i, clip in enumerate(series):
        width = np.ones_like(emg[i]) if spread is None else spread[i]
        for c, name in enumerate(clip.muscles):
            known = clip.mask[:, c]
            row = vocabulary.MUSCLES.index(vocabulary.split_channel(name)[1])
            off = (clip.target[known, c] - emg[i][known, c]) / width[known, c]
            who = people.index(clip.subject)
            columns.append((emg[i][known, c], off, *(np.full(len(off), x) for x in (row, who))))
    return Samples(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _measure(
    series: Sequence[ClipSeries],
    emg: Predictions,
    spread: Predictions | None,
    table: TableOfErrors,
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
    weights = subject_weights(len(people), samples, seed=0)
    drawn = (weights @ own[0]) / np.maximum(weights @ own[1], 1)

    def by(group: np.ndarray) -> dict[str, float]:
        return {
            str(name): float(hits[group == name].sum() / count[group == name].sum())
            for name in np.unique(group)
        }

    return {
        "coverage": float(hits.sum() / count.sum()),
        "coverage_ci95": interval(drawn if len(people) > 1 else None),
        "width": float(width.sum() / count.sum()),
        "by_muscle": by(muscle),
        "by_action": by(action),
    }


def coverage_text(calibration: Mapping[str, Any]) -> str:
    """One line about the 80 % intervals; empty if there are none."""
    if "0.8" not in calibration:
        return ""
    found = calibration["0.8"]
    text = f"80 % intervals cover {100 * found['coverage']:.1f} %"
    ends = found.get("coverage_ci95")
    if ends and None not in ends:
        text += f" ({100 * ends[0]:.0f}–{100 * ends[1]:.0f})"
    return f"{text} of the measured samples; mean width {found['width']:.3f}"
