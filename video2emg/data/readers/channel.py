"""One recorded signal with its own clock."""

import dataclasses

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Channel:
    """Samples at a fixed rate.

    Attributes:
      name: as in the file.
      values: [N] float64; NaN where the file has a gap.
      rate: Hz; NaN if the file does not contain it.
      start: of the first sample, s on the file's clock.
      unit: as in the file; empty if the file does not contain it.
    """

    name: str
    values: Float[np.ndarray, " N"]
    rate: float = float("nan")
    start: float = 0.0
    unit: str = ""

    @property
    def time(self) -> Float[np.ndarray, " N"]:
        """[N] s on the file's clock."""
        return self.start + np.arange(len(self.values)) / self.rate


def rate_of(time: np.ndarray, where: str) -> float:
    """Rate of a time column, Hz.

    Raises:
      UserError: times that do not increase evenly: the duration differs by more than 1 % from the
        number of steps times the median step.
    """
    step = np.diff(time)
    if len(time) < 2 or not np.isfinite(time).all() or not (step > 0).all():
        raise UserError(f"{where}: times must be finite and increase")
    median = float(np.median(step))
    if abs(time[-1] - time[0] - median * len(step)) > 0.01 * median * len(step):
        raise UserError(f"{where}: times are not evenly spaced; resample before, or split the file")
    return len(step) / float(time[-1] - time[0])
