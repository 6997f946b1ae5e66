"""Windows of single repetitions: their EMG joins the recording's, their outputs wait on disk."""

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float


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
