"""CSV and TSV files of loggers, and tables written by hand.

Handles separators (comma, semicolon, tab), decimal commas (with another separator), UTF-8 with or
without byte-order mark, UTF-16 and Latin-1, lines of text above the header, and tables in which
each signal has its own time column (as exported by Delsys) and its own length.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel, rate_of

_TIME = re.compile(r"(^|[^a-z])(time|x)\s*[\[(]?\s*(s|sec|seconds|ms)?\s*[\])]?\s*(\.\d+)?$", re.I)
_UNIT = re.compile(r"[\[(]\s*([^\])\d]{1,8}?)\s*[\])]\s*$")
_LONGEST_HEADER = 400  # lines; Delsys writes some hundred if there are many sensors


def read(path: Path) -> list[Channel]:
    """Reads the columns of a table; see the module."""
    return parse(decode(path.read_bytes(), path), str(path))


def decode(content: bytes, path: Path | str) -> str:
    """Text of a file of unknown encoding.

    Raises:
      UserError: the file is not text.
    """
    if b"\0" in content[:4] or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise UserError(f"{path}: not a text file") from None
    if b"\0" in content:
        raise UserError(f"{path}: not a text file (it has zero bytes)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse(text: str, where: str) -> list[Channel]:
    """Table → channels.

    A column named `time` (or `X`, by Delsys) holds the times of the columns after it, up to the
    next such column. Columns before the first have an unknown rate.
    """
    return _columns(*_table(text, where), where)


def events(path: Path) -> list[tuple[Channel, np.ndarray]]:
    """Columns of a log whose entries need not be evenly spaced, each with its times [N] s.

    Raises:
      UserError: no table, no column named `time`, or times that do not increase.
    """
    names, units, table = _table(decode(path.read_bytes(), path), str(path))
    channels, time = [], None
    for c, name in enumerate(names):
        label, unit = _label(name, units[c])
        if _TIME.search(name):
            time = table[:, c] * (1e-3 if unit.lower() == "ms" else 1.0)
            continue
        if time is None:
            raise UserError(f"{path}: no column `time` (s) before {name!r}")
        filled = np.isfinite(table[:, c]) & np.isfinite(time)
        if filled.any() and not (np.diff(time[filled]) > 0).all():
            raise UserError(f"{path}, column {name!r}: times must increase")
        if filled.any():
            channels.append((Channel(label, table[filled, c], unit=unit), time[filled]))
    return channels


def _table(text: str, where: str) -> tuple[list[str], list[str], np.ndarray]:
    """Names, units and [rows, columns] numbers (NaN where empty)."""
    separator = _separator(text.splitlines())
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    first = _first_row_of_numbers(rows, separator)
    if first is None:
        raise UserError(f"{where}: no rows of numbers in the first {_LONGEST_HEADER} lines")
    width = len(rows[first])
    names, units = _header(rows[:first], width)
    table = np.full((len(rows) - first, width), np.nan)
    for r, row in enumerate(rows[first:]):
        if not any(cell.strip() for cell in row):
            continue
        numbers = _numbers(row, separator)
        if numbers is None or (len(row) > width and any(cell.strip() for cell in row[width:])):
            raise UserError(
                f"{where}, line {first + r + 1}: expected {width} numbers, found "
                f"{separator.join(row)[:60]!r}"
            )
        table[r, : min(len(numbers), width)] = numbers[:width]
    return names, units, table


def _first_row_of_numbers(rows: list[list[str]], separator: str) -> int | None:
    """Index of the first row of numbers with another one after it; a single one may be a remark."""
    previous = None
    for i, row in enumerate(rows[: _LONGEST_HEADER + 1]):
        if not any(cell.strip() for cell in row):
            continue
        if _numbers(row, separator) is None:
            previous = None
        elif previous is not None:
            return previous
        else:
            previous = i
    return previous


def _header(above: list[list[str]], width: int) -> tuple[list[str], list[str]]:
    """Names and units of the columns.

    The names are the nearest row above the numbers whose cells differ. Some programs write a row of
    units, which are all the same, between names and numbers.
    """
    units = [""] * width
    for row in reversed(above):
        cells = [cell.strip() for cell in row[:width]] + [""] * (width - len(row))
        filled = [cell for cell in cells if cell]
        if 2 * len(filled) < width:
            continue
        if len(filled) == 1 or 2 * len(set(filled)) > len(filled):
            names = [cell or f"column {i + 1}" for i, cell in enumerate(cells)]
            return names, units
        units = cells
    return [f"column {i + 1}" for i in range(width)], units


def _separator(lines: list[str]) -> str:
    """Tab or semicolon if most lines contain it, else comma, as commas may be decimal points."""
    sample = lines[:_LONGEST_HEADER]
    for mark in ("\t", ";"):
        if sum(mark in line for line in sample) > 0.5 * sum(bool(line.strip()) for line in sample):
            return mark
    return ","


def _numbers(row: list[str], separator: str) -> list[float] | None:
    """The row as numbers, NaN for empty cells; None if a cell is not a number or all are empty."""
    numbers = []
    for cell in row:
        cell = cell.strip()
        if separator != "," and cell.count(",") == 1:
            cell = cell.replace(",", ".")
        if not cell or cell.lower() in ("nan", "na", "null"):
            numbers.append(np.nan)
            continue
        try:
            numbers.append(float(cell))
        except ValueError:
            return None
    return numbers if np.isfinite(numbers).any() else None


def _label(name: str, unit: str) -> tuple[str, str]:
    """Splits `EMG 1 [mV]` into name and unit; without brackets the unit is `unit`."""
    brackets = _UNIT.search(name)
    if not brackets:
        return name, unit
    return name[: brackets.start()].strip() or name, brackets[1]


def _columns(names: list[str], units: list[str], table: np.ndarray, where: str) -> list[Channel]:
    channels: list[Channel] = []
    time: np.ndarray | None = None
    for c, name in enumerate(names):
        column = table[:, c]
        filled = np.flatnonzero(np.isfinite(column))
        if not len(filled):
            continue
        label, unit = _label(name, units[c])
        if _TIME.search(name):
            scale = 1e-3 if unit.lower() == "ms" else 1.0
            time = column[: filled[-1] + 1] * scale
            continue
        length = filled[-1] + 1
        if time is None:
            channels.append(Channel(label, column[:length], unit=unit))
            continue
        # Times and values may end at different rows.
        length = min(length, len(time))
        rate = rate_of(time[:length], f"{where}, column {name!r}")
        channels.append(Channel(label, column[:length], rate, float(time[0]), unit))
    return channels
