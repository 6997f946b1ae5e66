"""Averaging overlapping windows over a recording of any length."""

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float


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
        """Adds a window that begins at `start` s; samples beyond the recording are dropped."""
        length = len(self._weight)
        if not self._sum.size:
            self._sum = np.zeros((length, values.shape[1]), np.float32)
        first = round(start * self._rate)
        n = min(len(values), length - first)
        ramp = np.minimum(np.arange(len(values)) + 1, len(values) - np.arange(len(values)))[:n]
        self._sum[first : first + n] += ramp[:, None] * values[:n]
        self._weight[first : first + n] += ramp

    def finish(self) -> Float[np.ndarray, "N D"]:
        """Returns the average, in the memory of the sum; call it once, after the last `add`."""
        self._sum /= np.maximum(self._weight, 1e-9)[:, None]
        return self._sum


def cross_fade(
    emg: Float[np.ndarray, "N D"],
    window_emg: Float[np.ndarray, "n D"],
    time: Float[np.ndarray, " N"],
    span: tuple[float, float],
    fade_s: float,
) -> None:
    """Replaces the EMG of one repetition by that of its own window, in place.

    Args:
      emg: EMG of the recording.
      window_emg: EMG of a window that begins at the start of the repetition.
      time: times of `emg`, s, evenly spaced from 0.
      span: start and end of the repetition, s.
      fade_s: duration of the cross-fade at both ends, s.
    """
    # The window is used a little beyond the end of the repetition. If the next repetition follows
    # without a gap, the two windows are cross-faded and no other prediction remains between them.
    fade_end = span[1] + 2 * fade_s
    first, end = np.searchsorted(time, [span[0] - 1e-9, fade_end - 1e-9])
    within = slice(first, min(end, first + len(window_emg)))
    edge_distance = np.minimum(time[within] - span[0], fade_end - time[within])
    weight = np.clip(edge_distance / fade_s, 0, 1)[:, None].astype(np.float32)
    emg[within] += weight * (window_emg[: len(edge_distance)] - emg[within])


class Spool:
    """A queue of values on disk; iterating gives them in the order in which they were appended."""

    def __init__(self) -> None:
        """Opens a temporary file. It is deleted with the object."""
        self._file = tempfile.TemporaryFile(prefix="video2emg_")  # noqa: SIM115

    def append(self, value: Any) -> None:
        """Writes one value."""
        pickle.dump(value, self._file)

    def __iter__(self) -> Iterator[Any]:
        end = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < end:
            yield pickle.load(self._file)
