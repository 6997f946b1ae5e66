"""Files that are never seen half-written."""

import json
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

from video2emg.errors import UserError


def write_atomically(path: str | os.PathLike[str], write: Callable[[Any], Any]) -> None:
    """Calls `write` with a binary file beside `path`, then renames it to `path`.

    Raises:
      UserError: the folder is missing or full, …
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


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text in one step, see `write_atomically`."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes JSON in one step, see `write_atomically`."""
    write_text(path, json.dumps(value, indent=1) + "\n")
