"""By how much the EMG of a person comes after the movement, from a few measured repetitions."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.sync import pooled_offset
from video2emg.eval.series import ClipSeries

LARGEST = 1.5  # s, tried in both directions
_LEAST_R = 0.3  # below this correlation a delay means nothing
_WIDE = 0.3  # s, an interval that is wider says little


@dataclasses.dataclass(frozen=True)
class Delay:
    """How late the EMG is; muscles act some 50 ms before a movement, more comes from recording.

    Attributes:
      seconds: positive if the EMG is late against what is predicted from the movement; 0 if no
        delay was found.
      low, high: 95 % bootstrap interval, s.
      r: pooled correlation within repetitions after the shift.
      remark: why not to trust it; empty if nothing speaks against it.
    """

    seconds: float
    low: float
    high: float
    r: float
    remark: str = ""


def estimate(series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> Delay:
    """The delay of one person, over all muscles and repetitions together.

    Args:
      series: measured repetitions of the person.
      predictions: [N, C] for each, from the movement; NaN where unknown.
    """
    recordings = []
    for one, predicted in zip(series, predictions, strict=True):
        known = one.mask.all(0) & np.isfinite(predicted).all(0)
        recordings.append((predicted[:, known], one.time, one.target[:, known], one.time))
    try:
        found = pooled_offset(recordings, LARGEST)
    except UserError as error:
        return Delay(0.0, np.nan, np.nan, np.nan, f"no delay: {error}")
    # An offset is added to the times of the EMG, which makes a late EMG earlier.
    seconds, low, high = -found.seconds, -found.high, -found.low
    if found.correlation < _LEAST_R:
        return Delay(0.0, low, high, found.correlation, "no delay: EMG and prediction do not fit")
    remarks = []
    if found.rivals:
        fits = ", ".join(f"{-shift:+.2f} s" for shift in found.rivals)
        remarks.append(f"ambiguous: the movement is periodic, {fits} fits nearly as well")
    if high - low > _WIDE:
        remarks.append("wide interval")
    if abs(seconds) > LARGEST - 0.1:
        remarks.append("at the end of the search")
    return Delay(seconds, low, high, found.correlation, "; ".join(remarks))


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
