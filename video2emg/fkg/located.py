"""YAML whose every value knows its line, and which refuses what plain loaders let pass.

Duplicate keys, tags and aliases are errors: the first loses data silently, the others have no use
in a data file and let a small one grow without bounds.
"""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Located:
    """A YAML value and where it stands.

    Attributes:
      value: scalar (str, int, float, bool, None), list of Located, or dict of str to Located.
      path: file.
      line: from 1.
      field: keys that lead to it, joined by dots.
    """

    value: Any
    path: Path
    line: int
    field: str

    def fail(self, message: str) -> UserError:
        """The error to raise: file, line, field and `message`."""
        field = f", {self.field}" if self.field else ""
        return UserError(f"{self.path}, line {self.line}{field}: {message}")

    def mapping(self, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, "Located"]:
        """The entries of a mapping with known keys."""
        found = self.entries()
        for key, value in found.items():
            if key not in required + optional:
                raise value.fail(f"unknown field; known: {', '.join(required + optional)}")
        for key in required:
            if key not in found:
                raise self.fail(f"{key!r} is missing")
        return found

    def entries(self) -> dict[str, "Located"]:
        """The entries of a mapping with any keys; none if empty."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.fail(f"expected a mapping, found {self._kind()}")
        return self.value

    def items(self) -> list["Located"]:
        """The items of a list; none if empty."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.fail(f"expected a list, found {self._kind()}")
        return self.value

    def text(self) -> str:
        """A text, white space at its ends removed."""
        if not isinstance(self.value, str):
            raise self.fail(f"expected text, found {self._kind()}")
        return self.value.strip()

    def texts(self) -> tuple[str, ...]:
        """A list of distinct texts."""
        found: list[str] = []
        for item in self.items():
            if item.text() in found:
                raise item.fail(f"{item.text()!r} is listed twice")
            found.append(item.text())
        return tuple(found)

    def whole(self) -> int:
        """A whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fail(f"expected a whole number, found {self._kind()}")
        return self.value

    def _kind(self) -> str:
        names = {dict: "a mapping", list: "a list", type(None): "nothing"}
        return names.get(type(self.value), repr(self.value))


def read(path: Path) -> Located:
    """Reads a YAML file.

    Raises:
      UserError: it cannot be read, is not YAML, or holds a duplicate key, a tag or an alias.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise UserError(f"{path}: YAML aliases (*name) are not supported; write it out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise UserError(f"{path}{line}: not YAML: {problem}") from None
    if node is None:
        raise UserError(f"{path}: empty file")
    return _located(node, path, "")


def _located(node: yaml.Node, path: Path, field: str) -> Located:
    here = Located(None, path, node.start_mark.line + 1, field)
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, Located] = {}
        for key, value in node.value:
            name = key.value
            if not isinstance(key, yaml.ScalarNode) or not isinstance(name, str):
                raise here.fail("a key is not a text")
            line = key.start_mark.line + 1
            entry = _located(value, path, f"{field}.{name}" if field else name)
            if name in entries:
                raise dataclasses.replace(entry, line=line).fail(
                    f"is there twice; first in line {entries[name].line}"
                )
            entries[name] = dataclasses.replace(entry, line=line)
        return dataclasses.replace(here, value=entries)
    if isinstance(node, yaml.SequenceNode):
        items = [_located(item, path, f"{field}[{n}]") for n, item in enumerate(node.value)]
        return dataclasses.replace(here, value=items)
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise here.fail(f"not a plain value: {error}") from None
    if not isinstance(value, str | int | float | bool | None):
        value = node.value  # dates and the like stay text
    return dataclasses.replace(here, value=value)
