"""Files that are written whole or not at all."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from video2emg.core.errors import UserError

_CHUNK = 2**22


def folder(path: str | os.PathLike[str], field: str) -> pathlib.Path:
    """The local folder that the user gave in `field`.

    Raises:
      UserError: an address such as gs://…, which pathlib would take for a folder called `gs:`.
    """
    if re.match(r"[a-z][a-z0-9]+:/", str(path)):
        raise UserError(
            f"{field}={path}: not a folder; gs:// is for --workdir of one process and "
            "config.data.dir; else mount the bucket (docs/scaling.md)"
        )
    return pathlib.Path(path).expanduser()


def write_atomically(path: str | os.PathLike[str], write: Callable[[Any], Any]) -> None:
    """Calls `write` with a binary file beside `path`, then renames it to `path`.

    Raises:
      UserError: the file cannot be written, e.g. because the disk is full.
    """
    path = pathlib.Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = pathlib.Path(file.name)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `path` to write into; renamed to `path` at the end, deleted after an error.

    Raises:
      UserError: `path` exists and is not an empty folder, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} is not empty; choose another folder")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        temporary.chmod(0o755)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_atomically` for UTF-8 text."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """`write_atomically` for JSON."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def checksum(path: pathlib.Path) -> list[int]:
    """Size of a file in bytes, and its CRC-32."""
    size = value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size, value = size + len(chunk), zlib.crc32(chunk, value)
    return [size, value]


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """`write_atomically` for an npz file."""
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


@contextlib.contextmanager
def arrays_of(path: str | os.PathLike[str], what: str) -> Iterator[dict[str, dict[str, Any]]]:
    """The arrays of an npz file whose names are `part/name`, by part and name.

    Args:
      path: of the file.
      what: the file should be, for the message.

    Raises:
      UserError: there is no such file, or reading its arrays fails in the `with` block.
    """
    try:
        parts: dict[str, dict[str, Any]] = {}
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                part, name = key.split("/")
                parts.setdefault(part, {})[name] = arrays[key]
        yield parts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not {what} ({error})") from None
