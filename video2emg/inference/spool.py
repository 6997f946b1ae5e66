"""Outputs of the windows of single repetitions, which wait on disk."""

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any


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
