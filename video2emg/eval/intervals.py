"""Intervals of predicted EMG: fitted on validation people, tested on others.

Pose or video to EMG is one-to-many, so a prediction should come with an interval. Errors of the
validation people, as multiples of the mean absolute error that the model predicts, give the bounds
(locally weighted split conformal prediction: Lei et al., JASA 2018), muscle by muscle and at
several levels of predicted EMG. Samples of one person are not exchangeable with those of the next:
the nominal coverage is reached for people left out of the fit, and must be measured for others.
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
_BINS = 6  # levels of predicted EMG
_MIN_SAMPLES = 200  # of each level
# Candidates for how much of the share outside the interval is added to the share inside.
_RAISED = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
_FOLDS = 10  # of people

# Predicted EMG, lower and upper error.
TableOfErrors = tuple[np.ndarray, np.ndarray, np.ndarray]
Predictions = tuple[Sequence[np.ndarray], Sequence[np.ndarray] | None]


@dataclasses.dataclass(frozen=True)
class Samples:
    """What intervals are fitted on: K samples of all clips and channels.

    Attributes:
      predicted: EMG.
      error: measured minus predicted, in the unit of the bounds.
      muscle: index in the vocabulary.
      person: number of the person.
    """

    predicted: Float[np.ndarray, " K"]
    error: Float[np.ndarray, " K"]
    muscle: Int[np.ndarray, " K"]
    person: Int[np.ndarray, " K"]

    def select(self, rows: Bool[np.ndarray, " K"]) -> "Samples":
        """Some of the samples."""
        return Samples(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))

    @classmethod
    def join(cls, parts: Sequence["Samples"]) -> "Samples":
        """All samples of `parts`."""
        names = (field.name for field in dataclasses.fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def tabulate(samples: Samples, level: float) -> TableOfErrors:
    """Quantiles of errors at several levels of predicted EMG, muscle by muscle.

    Errors grow with activity, so one quantile for all levels would be too wide at rest and too
    narrow at the peak. Quantiles of the fitted people are too narrow for new people. So the share
    between the quantiles is raised until it is the nominal one for people left out of the fit,
    in several folds.

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
        levels, low, high = _quantiles(samples.select(~out), shares)
        new = samples.select(out)
        for row in np.unique(new.muscle):
            own = new.select(new.muscle == row)
            if np.isnan(levels[row]).any():
                continue
            count += len(own.error)
            for i in range(len(shares)):
                below, above = (
                    np.interp(own.predicted, levels[row], end[i, row]) for end in (low, high)
                )
                # As in `bounds`, a prediction lies in its own interval.
                inside = (own.error >= np.minimum(below, 0)) & (own.error <= np.maximum(above, 0))
                hits[i] += inside.sum()
    share = level if not count else float(np.interp(level, hits / count, shares))
    levels, low, high = _quantiles(samples, np.array([share]))
    return levels, low[0], high[0]


def _quantiles(samples: Samples, shares: Float[np.ndarray, " S"]) -> TableOfErrors:
    """As `tabulate`, for each share of these samples; errors are [S, muscles, 6]."""
    size = (len(vocabulary.MUSCLES), _BINS)
    levels = np.full(size, np.nan, np.float32)
    low, high = (np.full((len(shares), *size), np.nan, np.float32) for _ in range(2))
    tail = (1 - shares) / 2
    for row in np.unique(samples.muscle):
        own = np.flatnonzero(samples.muscle == row)
        if len(own) < _MIN_SAMPLES * _BINS:
            continue
        own = own[np.argsort(samples.predicted[own], kind="stable")]
        for b, part in enumerate(np.array_split(own, _BINS)):
            levels[row, b] = np.median(samples.predicted[part])
            ends = np.quantile(samples.error[part], np.concatenate([tail, 1 - tail]))
            low[:, row, b], high[:, row, b] = np.split(ends, 2)
    return levels, low, high


def bounds(
    table: TableOfErrors,
    emg: Float[np.ndarray, "N C"],
    predicted_mae: Float[np.ndarray, "N C"] | None,
    muscles: Sequence[str],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper bound [N, C] by a table of `tabulate`; None if it lacks one of the muscles.

    Args:
      table: of errors as multiples of `predicted_mae`.
      emg: predicted.
      predicted_mae: predicted mean absolute error; 1 everywhere if None.
      muscles: names of the channels, `side_muscle`.
    """
    rows = [vocabulary.MUSCLES.index(vocabulary.split_channel(m)[1]) for m in muscles]
    levels, *ends = table
    if not rows or np.isnan(levels[rows]).any():
        return None
    low, high = np.empty_like(emg), np.empty_like(emg)
    for c, row in enumerate(rows):  # channel by channel: recordings of an hour are large
        unit = np.float32(1) if predicted_mae is None else predicted_mae[:, c]
        below, above = (
            emg[:, c] + unit * np.interp(emg[:, c], levels[row], end[row]).astype(np.float32)
            for end in ends
        )
        # The interval contains the prediction, and EMG is not negative.
        low[:, c], high[:, c] = np.clip(below, 0, emg[:, c]), np.maximum(above, emg[:, c])
    return low, high


def calibrate(
    validation: Sequence[ClipSeries],
    validation_predictions: Predictions,
    test: Sequence[ClipSeries],
    test_predictions: Predictions,
    samples: int = 1000,
) -> dict[str, Any]:
    """Coverage of the intervals for measured EMG of unseen people, and their width.

    Predictions are one [N, C] per clip: EMG, and its predicted mean absolute error or None.

    Args:
      validation: clips on whose errors the intervals are fitted.
      validation_predictions: for these clips.
      test: clips of other people.
      test_predictions: for these clips.
      samples: bootstrap draws of test people.

    Returns:
      By level, `0.8` for instance: `coverage` and `coverage_ci95`, mean `width` in units of the
      normalisation, `by_muscle` and `by_action` coverage; and `without_predicted_mae`, the same
      with intervals that depend on the level of predicted EMG only. Empty if there are too few
      samples to fit.
    """
    emg, mae = validation_predictions
    plain = _errors(validation, (emg, None))
    scaled = None if mae is None else _errors(validation, validation_predictions)
    calibration: dict[str, Any] = {}
    for level in LEVELS:
        without = _coverage(test, (test_predictions[0], None), tabulate(plain, level), samples)
        if not without:
            return {}
        best = without
        if scaled is not None:
            best = _coverage(test, test_predictions, tabulate(scaled, level), samples) or without
        calibration[f"{level:g}"] = best | {"without_predicted_mae": without}
    return calibration


def _errors(series: Sequence[ClipSeries], predictions: Predictions) -> Samples:
    """Errors of all measured samples, as multiples of the predicted mean absolute error if any."""
    emg, mae = predictions
    people = sorted({clip.subject for clip in series})
    parts: list[Samples] = []
    for i, clip in enumerate(series):
        unit = np.ones_like(emg[i]) if mae is None else mae[i]
        for c, name in enumerate(clip.muscles):
            known = clip.mask[:, c]
            error = (clip.target[known, c] - emg[i][known, c]) / unit[known, c]
            muscle = vocabulary.MUSCLES.index(vocabulary.split_channel(name)[1])
            parts.append(
                Samples(
                    predicted=emg[i][known, c],
                    error=error,
                    muscle=np.full(len(error), muscle),
                    person=np.full(len(error), people.index(clip.subject)),
                )
            )
    return Samples.join(parts)


def _coverage(
    series: Sequence[ClipSeries], predictions: Predictions, table: TableOfErrors, samples: int
) -> dict[str, Any]:
    """Coverage and width; empty if no clip has intervals."""
    emg, mae = predictions
    rows: list[tuple[str, str, str, int, int, float]] = []
    for i, clip in enumerate(series):
        ends = bounds(table, emg[i], None if mae is None else mae[i], clip.muscles)
        if ends is None:
            continue
        for c, name in enumerate(clip.muscles):
            known = clip.mask[:, c]
            low, high = (end[known, c] for end in ends)
            inside = (clip.target[known, c] >= low) & (clip.target[known, c] <= high)
            muscle, width = vocabulary.split_channel(name)[1], float((high - low).sum())
            counts = len(inside), int(inside.sum())
            rows.append((clip.subject, muscle, clip.action, *counts, width))
    if not rows:
        return {}
    subject, muscle, action, count, hits, width = map(np.array, zip(*rows, strict=True))
    people, owner = np.unique(subject, return_inverse=True)
    own_hits, own_count = (np.bincount(owner, x, len(people)) for x in (hits, count))
    weights = subject_weights(len(people), samples, seed=0)
    drawn = (weights @ own_hits) / np.maximum(weights @ own_count, 1)

    def by_group(group: np.ndarray) -> dict[str, float]:
        return {
            str(name): float(hits[group == name].sum() / count[group == name].sum())
            for name in np.unique(group)
        }

    return {
        "coverage": float(hits.sum() / count.sum()),
        "coverage_ci95": interval(drawn if len(people) > 1 else None),
        "width": float(width.sum() / count.sum()),
        "by_muscle": by_group(muscle),
        "by_action": by_group(action),
    }


def coverage_text(calibration: Mapping[str, Any]) -> str:
    """One line about the 80 % intervals; empty if there are none."""
    if "0.8" not in calibration:
        return ""
    level = calibration["0.8"]
    text = f"80 % intervals cover {100 * level['coverage']:.1f} %"
    ends = level.get("coverage_ci95")
    if ends and None not in ends:
        text += f" ({100 * ends[0]:.0f}–{100 * ends[1]:.0f})"
    return f"{text} of the measured samples; mean width {level['width']:.3f}"
