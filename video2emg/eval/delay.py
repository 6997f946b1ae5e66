"""The delay of a person's EMG after what is predicted from the movement."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from video2emg.data import delay
from video2emg.data.delay import Delay
from video2emg.eval.series import ClipSeries


def estimate(series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> Delay:
    """The delay of one person, over all muscles and repetitions together.

    A muscle counts by how much it is predicted to vary, so that muscles that hardly work, whose
    EMG is noise, do not hide the delay of the others.

    Args:
      series: measured repetitions of the person.
      predictions: [N, C] for each, from the movement, in one unit; NaN where unknown.
    """
    recordings, weights = [], []
    for one, predicted in zip(series, predictions, strict=True):
        known = one.mask.all(0) & np.isfinite(predicted).all(0)
        recordings.append((predicted[:, known], one.time, one.target[:, known], one.time))
        weights.append(predicted[:, known].std(0))
    return delay.estimate(recordings, weights)


def shifted(series: ClipSeries, seconds: float) -> ClipSeries:
    """The series with its EMG so many seconds earlier; what was not measured is masked."""
    if not seconds:
        return series
    time, then = series.time, series.time + seconds
    inside = (then >= time[0]) & (then <= time[-1])
    target, mask = (np.zeros(series.target.shape, series.target.dtype) for _ in range(2))
    for c in range(len(series.muscles)):
        values = np.where(series.mask[:, c], series.target[:, c], np.nan)
        target[:, c] = np.interp(then, time, values)
        mask[:, c] = inside & np.isfinite(target[:, c])
    return dataclasses.replace(series, target=np.nan_to_num(target), mask=mask.astype(bool))
