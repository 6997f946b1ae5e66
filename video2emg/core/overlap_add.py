"""Overlapping windows that cover a recording, and the average of what is predicted in them."""

import math

import numpy as np
from jaxtyping import Float


def window_starts(
    seconds: float, length: float, stride: float, tolerance: float = 0.0
) -> list[float]:
    """Starts of windows that cover a recording; the last window ends with it.

    Args:
      seconds: duration of the recording, s.
      length: of a window, s. A shorter recording gets one window, from 0 on.
      stride: from one window to the next, s; the last may be nearer.
      tolerance: a recording that is so much longer than a window still gets one only, s.
    """
    latest = seconds - length
    if latest <= tolerance + 1e-6:
        return [0.0]
    return [k * stride for k in range(math.ceil(latest / stride - 1e-9))] + [latest]


class OverlapAdd:
    """Weighted average of overlapping windows; weights fall off linearly towards window edges."""

    def __init__(self, length: int, rate: float) -> None:
        """Starts an empty sum.

        Args:
          length: samples of the recording.
          rate: Hz.
        """
        self._sum = np.zeros((length, 0), np.float32)
        self._weight = np.zeros(length, np.float32)
        self._rate = rate

    def add(self, start: float, values: Float[np.ndarray, "n D"]) -> None:
        """Adds a window that begins at `start` s; samples beyond the recording are dropped.

        A window that begins between two samples of the recording is interpolated linearly.
        """
        if not self._sum.size:
            self._sum = np.zeros((len(self._weight), values.shape[1]), np.float32)
        place = start * self._rate
        late = math.ceil(place - 1e-3) - place  # of the recording's clock, in samples
        if late > 1e-3:
            values = (1 - late) * values[:-1] + late * values[1:]
        first = math.ceil(place - 1e-3)
        n = len(values)
        ramp = np.minimum(np.arange(n) + 1, n - np.arange(n)).astype(np.float32)
        inside = slice(max(-first, 0), max(min(n, len(self._weight) - first), 0))
        rows = slice(first + inside.start, max(first + inside.stop, 0))
        self._sum[rows] += ramp[inside, None] * values[inside]
        self._weight[rows] += ramp[inside]

    @property
    def covered(self) -> np.ndarray:
        """[N] bool, the samples that lie in a window."""
        return self._weight > 0

    def finish(self) -> Float[np.ndarray, "N D"]:
        """Returns the average, in the memory of the sum; call it once, after the last `add`.

        Samples that no window covers are interpolated, and constant before the first window and
        after the last.
        """
        known = np.flatnonzero(self._weight)
        missing = np.flatnonzero(self._weight == 0)
        np.divide(self._sum, self._weight[:, None], self._sum, where=self._weight[:, None] > 0)
        if len(known) and len(missing):
            place = np.interp(missing, known, np.arange(len(known)))
            left = place.astype(int)
            right = np.minimum(left + 1, len(known) - 1)
            share = (place - left)[:, None].astype(np.float32)
            before, after = self._sum[known[left]], self._sum[known[right]]
            self._sum[missing] = before + share * (after - before)
        return self._sum
