"""Facts about one copy of a dataset's files, which its user writes beside them as YAML."""

import dataclasses
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml

from video2emg import vocabulary
from video2emg.data.readers.text import decode
from video2emg.errors import UserError

T = TypeVar("T")


def read_facts(path: Path, kind: type[T]) -> T:
    """Reads a mapping into a dataclass of defaults; the defaults if there is no file.

    Raises:
      UserError: not YAML, an unknown key, or a value of another type than the default's.
    """
    if not path.exists():
        return kind()
    try:
        found = yaml.safe_load(decode(path.read_bytes(), path)) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())[:120]})") from None
    known: dict[str, Any] = {
        field.name: field.default_factory()
        if field.default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING
        else field.default
        for field in dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    }
    if not isinstance(found, dict) or set(found) - known.keys():
        wrong = sorted(set(found) - known.keys(), key=str)[0] if isinstance(found, dict) else found
        raise UserError(f"{path}: {reprlib.repr(wrong)}: expected the keys {', '.join(known)}")
    for name, value in found.items():
        like = known[name]
        wanted = (int, float) if isinstance(like, float) else type(like)
        mixed = isinstance(value, bool) and not isinstance(like, bool)
        if like is not None and (mixed or not isinstance(value, wanted)):
            raise UserError(f"{path}, {name}: {reprlib.repr(value)} is not a {type(like).__name__}")
    return kind(**found)


def check_muscles(path: Path, muscles: dict[str, list[str]], gaps: bool = False) -> None:
    """Makes sure that `muscles` holds lists of channel names; with `gaps` also None."""
    for action, names in muscles.items():
        if not isinstance(names, list):
            raise UserError(f"{path}, muscles, {action}: expected a list of channel names")
        named = [str(name) for name in names if name is not None]
        if len(set(named)) < len(named):
            raise UserError(f"{path}, muscles, {action}: a name occurs twice")
        for name in names:
            if name is None and gaps:
                continue
            try:
                vocabulary.split_channel(str(name))
            except ValueError as error:
                raise UserError(f"{path}, muscles, {action}: {error}") from None
