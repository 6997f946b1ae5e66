"""What windows say, gathered over a recording that may be long."""

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float


class OverlapAdd:
    """Averages overlapping windows, each weighted by its distance from the window's ends."""

    def __init__(self, length: int, rate: float) -> None:
        """Of so many samples at `rate` Hz."""
        self._sum = np.zeros((length, 0), np.float32)
        self._weight = np.zeros(length, np.float32)
        self._rate = rate

    def add(self, start: float, values: Float[np.ndarray, "n D"]) -> None:
        """Adds a window that begins at `start` s."""
        length = len(self._weight)
        if not self._sum.size:
            self._sum = np.zeros((length, values.shape[1]), np.float32)
        first = round(start * self._rate)
        n = min(len(values), length - first)
        ramp = np.minimum(np.arange(len(values)) + 1, len(values) - np.arange(len(values)))[:n]
        self._sum[first : first + n] += ramp[:, None] * values[:n]
        self._weight[first : first + n] += ramp

    def finish(self) -> Float[np.ndarray, "N D"]:
        """The average, in the memory of the sum; nothing can be added after it."""
        self._sum /= np.maximum(self._weight, 1e-9)[:, None]
        return self._sum


def blend(
    emg: Float[np.ndarray, "N D"],
    own: Float[np.ndarray, "n D"],
    time: Float[np.ndarray, " N"],
    span: tuple[float, float],
    fade_s: float,
) -> None:
    """Lets a repetition's own window take over between its ends, in place.

    Args:
      emg: of the recording.
      own: of the window that begins where the repetition does.
      time: of `emg`, s, evenly spaced from 0.
      span: beginning and end of the repetition, s.
      fade_s: how long taking over lasts.
    """
    # Its own window knows a little more than the repetition: where the next one begins at once, the
    # two are cross-faded there, and what the sliding windows say shows through nowhere.
    beyond = span[1] + 2 * fade_s
    first, end = np.searchsorted(time, [span[0] - 1e-9, beyond - 1e-9])
    within = slice(first, min(end, first + len(own)))
    edge = np.minimum(time[within] - span[0], beyond - time[within])
    share = np.clip(edge / fade_s, 0, 1)[:, None].astype(np.float32)
    emg[within] += share * (own[: len(edge)] - emg[within])


class Spool:
    """Values put aside on disk until they are wanted, in the same order."""

    def __init__(self) -> None:
        """Makes a temporary file, which goes with the object."""
        self._file = tempfile.TemporaryFile(prefix="video2emg_")  # noqa: SIM115

    def put(self, value: Any) -> None:
        """Puts one value aside."""
        pickle.dump(value, self._file)

    def __iter__(self) -> Iterator[Any]:
        end = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < end:
            yield pickle.load(self._file)
