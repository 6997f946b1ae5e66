"""CSV and TSV files of loggers, and tables written by hand.

Handles separators (comma, semicolon, tab, blanks), decimal commas (with another separator, or in
quotes), UTF-8 with or without byte-order mark, UTF-16 and Latin-1, several lines of header, columns
of text, times of day as the clock, tables in which each signal has its own time column (as exported
by Delsys) and its own length, and several tables in one file, with an empty line between (as
exported by Vicon).
"""

import csv
import dataclasses
import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.readers import columns as columns_lib
from video2emg.data.readers.channel import Channel
from video2emg.data.readers.columns import Column
from video2emg.data.readers.header import read_header
from video2emg.data.readers.times_of_day import times_of_day

_LONGEST_HEADER = 400  # lines; Delsys writes some hundred if there are many sensors
_SHORT_RUN = 8  # rows of numbers that may stand above the names
_SAMPLE = 40  # lines from which the separator is guessed
_MISSING = ("", "nan", "na", "n/a", "null", "none", "-")

Rows = list[list[str]]


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """Reads the columns of a table; see the module and `readers.read`."""
    return parse(decode(path.read_bytes(), path), str(path), rate)


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


def parse(text: str, where: str, rate: float = math.nan) -> list[Channel]:
    """Text → channels; `columns.to_channels` says which columns are clocks of which others."""
    return [
        channel
        for table in _tables(text, where)
        for channel in columns_lib.to_channels(table, where, rate)
    ]


def tables(text: str, where: str) -> Iterator[list[Column]]:
    """The tables of a text, each as its columns of numbers, clocks included.

    Raises:
      UserError: there is no table.
    """
    yield from _tables(text, where)


def events(path: Path) -> list[tuple[Channel, np.ndarray]]:
    """Columns of a log whose entries need not be evenly spaced, each with its times [N] s.

    Raises:
      UserError: no table, no column named `time`, or times that do not increase.
    """
    channels, time = [], None
    for column in next(_tables(decode(path.read_bytes(), path), str(path))):
        if columns_lib.is_clock(column):
            if column.fault:
                raise UserError(column.fault)
            time = columns_lib.seconds(column)
            continue
        if time is None:
            raise UserError(f"{path}: no column `time` (s) before {column.name!r}")
        length = min(len(time), len(column.values))
        filled = np.isfinite(column.values[:length]) & np.isfinite(time[:length])
        entries = time[:length][filled]
        if (np.diff(entries) <= 0).any():
            raise UserError(f"{path}, column {column.name!r}: times must increase")
        if filled.any():
            values = column.values[:length][filled]
            channel = Channel(
                column.name, values, unit=column.unit, aliases=column.aliases, fault=column.fault
            )
            channels.append((channel, entries))
    return channels


def _tables(text: str, where: str) -> Iterator[list[Column]]:
    """The tables of a file, each as its columns of numbers."""
    lines = text.splitlines()
    rows = _split(text, lines)
    begin, tables = 0, 0
    while (first := _first_row(rows, begin)) is not None:
        end = _end(rows, first)
        tables += 1
        yield _columns(rows, begin, first, end, where)
        begin = end
    if not tables:
        look = next(
            (line.strip() for line in reversed(lines[:_LONGEST_HEADER]) if line.strip()), ""
        )
        seen = f"; its lines look like {look[:60]!r}" if look else ""
        raise UserError(f"{where}: no rows of numbers in the first {_LONGEST_HEADER} lines{seen}")


def _split(text: str, lines: list[str]) -> Rows:
    """The cells of each line, with the separator that gives most numbers."""
    filled = [line for line in lines[: _LONGEST_HEADER + _SAMPLE] if line.strip()][-_SAMPLE:]
    if _is_one_column(filled, lines[:_LONGEST_HEADER]):
        return [[line] for line in lines]
    best = max(("\t", ";", ",", " "), key=lambda mark: _numbers_gained(_cells(filled, mark)))
    return _cells(io.StringIO(text, newline="") if best != " " else lines, best)


def _is_one_column(sample: list[str], lines: list[str]) -> bool:
    """Whether the lines are numbers with a decimal comma, under a name without one."""
    number = re.compile(r"\s*[-+]?\d+,\d+\s*")
    if not sample or not number.fullmatch(sample[-1]):
        return False
    texts = [line for line in lines if line.strip() and not number.fullmatch(line)]
    return bool(texts) and not any("," in line for line in texts)


def _cells(lines: list[str] | io.StringIO, separator: str) -> Rows:
    if separator == " ":
        return [line.split() for line in lines]
    try:
        return list(csv.reader(lines, delimiter=separator))
    except csv.Error:  # a cell of more than 128 kB
        return []


def _numbers_gained(rows: Rows) -> tuple[int, float]:
    """How well a separator fits: numbers less texts, of lines with more numbers.

    If no line has more numbers, their ratio decides: a line may be one number and one time of day.
    """
    total, numbers, texts = 0, 0, 1
    for row in rows:
        values = [_number(cell) for cell in row if cell.strip()]
        text = values.count(None)
        total += max(len(values) - 2 * text, 0)
        numbers, texts = numbers + len(values) - text, texts + text
    return total, 0.0 if total else numbers / texts


def _number(cell: str) -> float | None:
    """A cell's number, perhaps with a decimal comma; NaN if it is empty; None if it is text."""
    cell = cell.strip()
    if cell.lower() in _MISSING:
        return math.nan
    if cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        return float(cell)
    except ValueError:
        return None


def _has_numbers(row: Sequence[str]) -> bool:
    """Whether at least half of the filled cells are numbers."""
    numbers = [_number(cell) for cell in row if cell.strip()]
    text = numbers.count(None)
    return 2 * text <= len(numbers) and any(x is not None and math.isfinite(x) for x in numbers)


def _first_row(rows: Rows, begin: int) -> int | None:
    """Index of the first row of numbers from `begin` on.

    A few rows of numbers right above a line of text belong to the header, and a single one may be a
    remark.
    """
    run: list[int] = []
    longest: list[int] = []
    for i in range(begin, min(begin + _LONGEST_HEADER + 1, len(rows))):
        if _has_numbers(rows[i]):
            run.append(i)
        elif any(cell.strip() for cell in rows[i]):
            above_text = run and run[-1] == i - 1 and len(run) <= _SHORT_RUN
            if len(run) > 1 and not above_text:
                break
            longest, run = max(longest, run, key=len), []
    if len(run) < 2:
        run = max(run, longest, key=len)
    # `Frequency, 1000, 1000` above rows that begin with a number is a line of the header.
    while len(run) > 1 and _number(rows[run[0]][0]) is None and _is_number(rows[run[1]][0]):
        run = run[1:]
    return run[0] if run else None


def _is_number(cell: str) -> bool:
    number = _number(cell)
    return number is not None and math.isfinite(number)


def _end(rows: Rows, first: int) -> int:
    """Index after a table's last row: an empty line with something else than numbers after it."""
    empty = None
    for i in range(first, len(rows)):
        if not any(rows[i]):
            empty = i if empty is None else empty
        elif empty is not None:
            if not any(_number(cell) is not None for cell in rows[i] if cell.strip()):
                return empty
            empty = None
    return len(rows)


def _columns(rows: Rows, begin: int, first: int, end: int, where: str) -> list[Column]:
    """The columns of numbers of one table; those of text alone are left out."""
    numbered = _is_numbered_header(rows[first:end])
    start = first + numbered
    # Lines that are really empty are no samples; those of separators are.
    lines = [i for i in range(start, end) if rows[i]]
    width = max(len(row) for row in rows[max(start - 1, begin) : start + 1])
    while width > 1 and len(lines) > 1 and _is_remark(rows[lines[-1]]):
        lines.pop()
    body = [rows[i] for i in lines]
    if max(map(len, body)) > width:
        _refuse_long_rows(body, lines, width, where)
    header = read_header(rows[begin:start], width, numbered)
    columns, of_day = [], []
    for c, cells in enumerate(itertools.islice(itertools.zip_longest(*body, fillvalue=""), width)):
        values, text = _values(cells)
        if not len(values):
            time = times_of_day(cells[: len(cells) - _trailing_blanks(cells)])
            if time is not None:
                of_day.append((len(columns), Column(header.names[c], "s", time)))
            continue
        fault = ""
        if text is not None:
            fault = (
                f"{where}, line {lines[text] + 1}: expected a number in column "
                f"{header.names[c]!r}, found {cells[text][:60]!r}"
            )
        columns.append(
            Column(
                header.names[c], header.units[c], values, header.rates[c], header.aliases[c], fault
            )
        )
    if of_day and not any(map(columns_lib.is_clock, columns)):
        place, clock = of_day[0]
        columns.insert(place, dataclasses.replace(clock, name="time"))
    return columns


def _trailing_blanks(cells: Sequence[str]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda cell: not cell.strip(), reversed(cells)))


def _is_remark(row: Sequence[str]) -> bool:
    """Whether a row is one cell of text, as some programs write after the table."""
    filled = [cell for cell in row if cell.strip()]
    return len(filled) == 1 and _number(filled[0]) is None


def _is_numbered_header(rows: Rows) -> bool:
    """Whether the first row is the column numbers that pandas writes for a table without names."""
    if len(rows) < 2:
        return False
    names = [cell.strip() for cell in rows[0]]
    numbers = names if names[0] else names[1:]
    counted = [[str(i + begin) for i in range(len(numbers))] for begin in (0, 1)]
    if not numbers or numbers not in counted:
        return False
    following = [cell.strip() for row in rows[1:4] for cell in row[len(names) - len(numbers) :]]
    decimals = any(re.fullmatch(r"[-+]?\d*[.,]\d+.*", cell) for cell in following)
    return decimals or (len(numbers) > 2 and rows[1][0].strip() != str(int(numbers[0]) + 1))


def _refuse_long_rows(body: Rows, lines: list[int], width: int, where: str) -> None:
    for row, line in zip(body, lines, strict=True):
        if any(cell.strip() for cell in row[width:]):
            raise UserError(
                f"{where}, line {line + 1}: expected {width} cells, found {' '.join(row)[:60]!r}"
            )


def _values(cells: Sequence[str]) -> tuple[np.ndarray, int | None]:
    """Numbers up to the last one, NaN where there is none; index of the first text, or None.

    There are no numbers if more cells are text.
    """
    count = len(cells)
    while count and not cells[count - 1]:
        count -= 1
    cells = cells[:count]
    if cells and "," in cells[0]:
        cells = [cell.replace(",", ".") if cell.count(",") == 1 else cell for cell in cells]
    try:
        values, text = np.fromiter(map(float, cells), float, count), None
    except ValueError:
        numbers = [_number(cell) for cell in cells]
        texts = [i for i, number in enumerate(numbers) if number is None]
        text = texts[0] if texts else None
        values = np.array([math.nan if x is None else x for x in numbers], float)
        if 2 * len(texts) > np.isfinite(values).sum() + len(texts):
            return np.zeros(0), None
    filled = np.flatnonzero(np.isfinite(values))
    return (values[: filled[-1] + 1], text) if len(filled) else (np.zeros(0), None)
