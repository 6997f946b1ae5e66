"""By how much the EMG of a person comes after the movement, over several short recordings."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError
from video2emg.core.text_table import cell, with_interval
from video2emg.data.sync import Recording, pooled_offset

LARGEST = 1.5  # s, tried in both directions
LEAST_R = 0.3  # below this correlation a delay means nothing
WIDE = 0.3  # s, an interval that is wider says little
# s by which EMG may be early: muscles act some 50 ms before a movement, and recording makes EMG
# late. Of shifts that fit nearly as well, earlier ones are taken only if there is no other.
_EARLY = 0.2


@dataclasses.dataclass(frozen=True)
class Delay:
    """How late the EMG is; muscles act some 50 ms before a movement, more comes from recording.

    Attributes:
      seconds: positive if the EMG is late against the movement; 0 if no delay was found.
      low, high: 95 % bootstrap interval, s.
      r: pooled correlation within recordings after the shift.
      remark: why not to trust it; empty if nothing speaks against it.
    """

    seconds: float
    low: float
    high: float
    r: float
    remark: str = ""

    @property
    def fits(self) -> bool:
        """Whether EMG and movement fit at some shift."""
        return self.r >= LEAST_R


def estimate(
    recordings: Sequence[Recording], weights: Sequence[Float[np.ndarray, " C"]] | None = None
) -> Delay:
    """One delay for all recordings and columns together.

    Args:
      recordings: what the movement says of each muscle, e.g. a prediction, and its EMG.
      weights: how much each column of each recording counts; by default all the same.
    """
    try:
        offset = pooled_offset(recordings, weights, LARGEST)
    except UserError as error:
        return Delay(0.0, np.nan, np.nan, np.nan, f"no delay: {error}")
    # An offset is added to the times of the EMG, which makes a late EMG earlier.
    seconds, low, high = -offset.seconds, -offset.high, -offset.low
    if offset.correlation < LEAST_R:
        return Delay(0.0, low, high, offset.correlation, "no delay: EMG and movement do not fit")
    r, remarks = offset.correlation, []
    if offset.rivals:
        shifts = [seconds, *(-shift for shift in offset.rivals)]
        chosen = next((shift for shift in shifts if shift >= -_EARLY), seconds)
        others = [shift for shift in shifts if shift != chosen]
        fits = ", ".join(f"{shift:+.2f} s" for shift in others)
        remarks.append(f"ambiguous: the movement is periodic, {fits} fits as well or nearly so")
        reach = min(abs(shift - chosen) for shift in others) / 2
        near = _near(recordings, weights, chosen, reach)
        seconds, low, high, r = near.seconds, near.low, near.high, near.r
    if high - low > WIDE:
        remarks.append("wide interval")
    if abs(seconds) > LARGEST - 0.1:
        remarks.append("at the end of the search")
    return Delay(seconds, low, high, r, "; ".join(remarks))


def _near(
    recordings: Sequence[Recording],
    weights: Sequence[Float[np.ndarray, " C"]] | None,
    seconds: float,
    reach: float,
) -> Delay:
    """The best delay within `reach` s of a given one."""
    moved = [(x, time, emg, emg_time - seconds) for x, time, emg, emg_time in recordings]
    offset = pooled_offset(moved, weights, reach)
    return Delay(
        seconds - offset.seconds, seconds - offset.high, seconds - offset.low, offset.correlation
    )


def lines_about(delays: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A heading and a line for each person, of delays as they are written to JSON."""
    lines = []
    for person, delay in delays.items():
        value = with_interval(delay["seconds"], [delay["low"], delay["high"]], "{:+.2f}")
        line = f"  {person}: {value}, r {cell(delay['r'], '{:.2f}')}  {delay['remark']}"
        lines.append(line.rstrip())
    return ["delay of the EMG after the movement, s (95 %):", *lines] if lines else []
