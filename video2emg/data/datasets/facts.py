"""Facts about a copy of a dataset, in a YAML file that the user writes beside it."""

import reprlib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from video2emg.core import strict_yaml, vocabulary
from video2emg.core.errors import UserError
from video2emg.data.readers.text import decode

T = TypeVar("T")


def read_facts(path: Path, kind: type[T]) -> T:
    """Reads a mapping into the dataclass `kind`; its defaults if there is no file.

    Raises:
      UserError: not YAML, an unknown key, or a value that does not fit its annotation.
    """
    if not path.exists():
        return kind()
    facts = strict_yaml.load(decode(path.read_bytes(), path), str(path)) or {}
    known = typing.get_type_hints(kind)
    if not isinstance(facts, dict) or set(facts) - known.keys():
        wrong = sorted(set(facts) - known.keys(), key=str)[0] if isinstance(facts, dict) else facts
        raise UserError(f"{path}: {reprlib.repr(wrong)}: expected the keys {', '.join(known)}")
    for name, value in facts.items():
        if not _fits(value, known[name]):
            expected = known[name].__name__ if isinstance(known[name], type) else known[name]
            raise UserError(f"{path}, {name}: {reprlib.repr(value)} is not a {expected}")
    return kind(**facts)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value from YAML fits a type annotation."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict) and all(
            _fits(k, parts[0]) and _fits(v, parts[1]) for k, v in value.items()
        )
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(v, parts[0]) for v in value)
    if parts:
        return any(_fits(value, part) for part in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def check_muscles(path: Path, muscles: Mapping[str, Sequence[str | None]]) -> None:
    """Checks that the names in `muscles` are channels, and that none occurs twice in a list.

    Raises:
      UserError: naming the file and the list.
    """
    for action, names in muscles.items():
        named = [name for name in names if name is not None]
        if len(set(named)) < len(named):
            raise UserError(f"{path}, muscles, {action}: a name occurs twice")
        for name in named:
            try:
                vocabulary.split_channel(name)
            except ValueError as error:
                raise UserError(f"{path}, muscles, {action}: {error}") from None
