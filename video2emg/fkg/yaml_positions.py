"""Reads YAML with the line number of every value, and refuses what plain loaders accept.

Duplicate keys, tags and aliases are errors. Duplicate keys lose data silently. Tags and aliases are
useless in a data file, and aliases let a small file grow without bounds.
"""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class YamlValue:
    """A YAML value with its position.

    The accessors raise `UserError` with file, line and field if the value has another type.

    Attributes:
      value: scalar (str, int, float, bool, None), list of YamlValue, or dict of str to YamlValue.
      path: file.
      line: from 1.
      field: keys from the root to the value, joined by dots.
    """

    value: Any
    path: Path
    line: int
    field: str

    def error(self, message: str) -> UserError:
        """Returns the error to raise: file, line, field and `message`."""
        field = f", {self.field}" if self.field else ""
        return UserError(f"{self.path}, line {self.line}{field}: {message}")

    def mapping(
        self, required: tuple[str, ...], optional: tuple[str, ...]
    ) -> dict[str, "YamlValue"]:
        """The entries of a mapping with known keys."""
        entries = self.entries()
        for key, value in entries.items():
            if key not in required + optional:
                raise value.error(f"unknown field; known: {', '.join(required + optional)}")
        for key in required:
            if key not in entries:
                raise self.error(f"{key!r} is missing")
        return entries

    def entries(self) -> dict[str, "YamlValue"]:
        """The entries of a mapping with any keys; none if empty."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error(f"expected a mapping, found {self._kind()}")
        return self.value

    def items(self) -> list["YamlValue"]:
        """The items of a list; none if empty."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.error(f"expected a list, found {self._kind()}")
        return self.value

    def text(self) -> str:
        """A text, without white space at its ends."""
        if not isinstance(self.value, str):
            raise self.error(f"expected text, found {self._kind()}")
        return self.value.strip()

    def texts(self) -> tuple[str, ...]:
        """A list of distinct texts."""
        texts: list[str] = []
        for item in self.items():
            if item.text() in texts:
                raise item.error(f"{item.text()!r} is listed twice")
            texts.append(item.text())
        return tuple(texts)

    def integer(self) -> int:
        """An integer."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error(f"expected a whole number, found {self._kind()}")
        return self.value

    def _kind(self) -> str:
        names = {dict: "a mapping", list: "a list", type(None): "nothing"}
        return names.get(type(self.value), repr(self.value))


def read(path: Path) -> YamlValue:
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
    return _with_positions(node, path, "")


def _with_positions(node: yaml.Node, path: Path, field: str) -> YamlValue:
    empty = YamlValue(None, path, node.start_mark.line + 1, field)
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, YamlValue] = {}
        for key, value in node.value:
            name = key.value
            if not isinstance(key, yaml.ScalarNode) or not isinstance(name, str):
                raise empty.error("a key is not a text")
            line = key.start_mark.line + 1
            entry = _with_positions(value, path, f"{field}.{name}" if field else name)
            if name in entries:
                raise dataclasses.replace(entry, line=line).error(
                    f"is there twice; first in line {entries[name].line}"
                )
            entries[name] = dataclasses.replace(entry, line=line)
        return dataclasses.replace(empty, value=entries)
    if isinstance(node, yaml.SequenceNode):
        items = [_with_positions(item, path, f"{field}[{n}]") for n, item in enumerate(node.value)]
        return dataclasses.replace(empty, value=items)
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise empty.error(f"not a plain value: {error}") from None
    if not isinstance(value, str | int | float | bool | None):
        value = node.value  # other types, such as dates, stay text
    return dataclasses.replace(empty, value=value)
