"""Files of laboratory devices → `Channel`s with their own clock and unit.

`read(path)` chooses the reader by the file's ending. Libraries other than NumPy and SciPy are
imported when they are needed: `pip install ".[recordings]"`.
"""

import contextlib
import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel, select

# File ending → module that reads it.
_MODULES = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".sto": "opensim",
    ".mot": "opensim",
    ".trc": "opensim",
    ".edf": "edf",
    ".bdf": "edf",
    ".c3d": "c3d",
    ".mat": "containers",
    ".h5": "containers",
    ".hdf5": "containers",
    ".parquet": "containers",
}
KNOWN = tuple(_MODULES)
_MOST_GIB = 1  # of a JSON file; a larger one does not hold the poses of a video


def read(path: str | Path, rate: float = math.nan) -> list[Channel]:
    """Reads every numeric channel of a file; `select` picks some and refuses those with a fault.

    Args:
      path: of the file.
      rate: Hz, as its user says; read with times that are coarse or come in packets. NaN if
        unknown.

    Raises:
      UserError: unknown ending, missing library, or a file that is not what its ending says.
    """
    path = Path(path)
    if path.suffix.lower() not in _MODULES:
        raise UserError(
            f"{path}: cannot read {path.suffix or 'a file without ending'!r}; known: "
            f"{', '.join(KNOWN)}"
        )
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    module = importlib.import_module(f"{__name__}.{_MODULES[path.suffix.lower()]}")
    with refused_if_damaged(path):
        channels = module.read(path, rate)
    if not channels:
        raise UserError(f"{path}: no numeric channel in it")
    return channels


@contextlib.contextmanager
def refused_if_damaged(path: Path) -> Iterator[None]:
    """Makes one sentence of the errors of a parser.

    Raises:
      UserError: instead of any other exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # parsers raise all kinds of errors on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: damaged, or not a {path.suffix} file ({text[:200]})") from error


def readings(path: str | Path) -> list[tuple[Channel, np.ndarray]]:
    """Reads a log whose entries need not be evenly spaced: channels, each with its times [N] s.

    Raises:
      UserError: as `read`, or the file has no times.
    """
    path = Path(path)
    if _MODULES.get(path.suffix.lower()) == "text" and path.is_file():
        from video2emg.data.readers import text

        return text.events(path)
    channels = read(path)
    if any(np.isnan(channel.rate) for channel in channels):
        raise UserError(f"{path}: does not say when its values were read")
    return [(channel, channel.time) for channel in channels]


def library(name: str, path: Path) -> ModuleType:
    """Imports an optional library.

    Raises:
      UserError: it is not installed; the message says what to install to read `path`.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f'{path}: reading it needs the package {name!r}: pip install ".[recordings]"'
        ) from None


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
      UserError: the file is too large, or not JSON.
    """
    if path.stat().st_size > _MOST_GIB << 30:
        raise UserError(f"{path}: larger than {_MOST_GIB} GiB")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({' '.join(str(error).split())[:120]})") from None


__all__ = [
    "KNOWN",
    "Channel",
    "library",
    "load_json",
    "read",
    "readings",
    "refused_if_damaged",
    "select",
]
