"""The lines above a table's numbers → names, units and rates of its columns.

Programs write up to four kinds of lines there: names, units (`mV`), rates (`1259.2593 Hz`) or
periods (`0.001 s`), and above the names those of sensors. Each is recognised by its cells.
"""

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Sequence

from video2emg.core import units
from video2emg.data.readers.columns import split_unit

_RATE = re.compile(r"([\d.,]+(?:e[+-]?\d+)?)\s*(k?)hz", re.I)
_PERIOD = re.compile(r"([\d.,]+(?:e[+-]?\d+)?)\s*(s|ms|us|µs)", re.I)
_STATED_RATE = re.compile(
    r"(?:sampl\w*[ _-]*(?:rate|freq\w*)|abtastrate|\bfs\b)\D{0,20}?([\d.]+(?:e[+-]?\d+)?)\s*(k?)",
    re.I,
)
_FREQUENCY = re.compile(r"freq|\brate\b|\bfs\b|\bhz\b", re.I)
_FORMATS = frozenset({"cal", "uncal", "raw", "float", "double", "int", "string"})
_SERIAL = re.compile(r"\s*\(\d+\)$")


@dataclasses.dataclass(frozen=True)
class Header:
    """What the lines above the numbers say of W columns.

    Attributes:
      names: W, without units.
      units: W, empty if unknown.
      rates: W Hz, NaN if unknown.
      aliases: W tuples of other names.
    """

    names: list[str]
    units: list[str]
    rates: list[float]
    aliases: list[tuple[str, ...]]


def read_header(above: Sequence[Sequence[str]], width: int, numbered: bool = False) -> Header:
    """Reads the header.

    Args:
      above: cells of the lines above the numbers.
      width: W.
      numbered: the last line is one of names though it consists of numbers.
    """
    rows = [_cells(row, width) for row in above]
    unit_row, rates, names = [""] * width, [math.nan] * width, None
    last = len(rows)
    while names is None and last > 0:
        last -= 1
        row = rows[last]
        filled = [cell for cell in row if cell]
        if not filled:
            continue
        if _all(_RATE, filled):
            rates = [_rate(cell) for cell in row]
        elif _all(_PERIOD, filled):
            periods = [_period(cell) for cell in row]
            rates = [p if math.isnan(r) else r for r, p in zip(rates, periods, strict=True)]
        elif _is_rate_row(row):
            rates = [math.nan, *(_float(cell) for cell in row[1:])]
        elif _is_unit_row(filled):
            unit_row = [_bare(cell) for cell in row]
        elif {cell.lower() for cell in filled} <= _FORMATS or 2 * len(filled) < width:
            continue
        elif (numbered and last == len(rows) - 1) or not _all_numbers(filled):
            names = row
    stated = _stated_rate(above)
    rates = [stated if math.isnan(rate) else rate for rate in rates]
    names = names or _json_names(above, width)
    if names is None:
        return Header([f"column {c + 1}" for c in range(width)], unit_row, rates, [()] * width)
    split = [split_unit(name) for name in names]
    labels = [name for name, _ in split]
    units = [inline or below for (_, inline), below in zip(split, unit_row, strict=True)]
    aliases = [
        tuple(dict.fromkeys(_aliases([row[c] for row in rows[max(last - 4, 0) : last + 1]], c)))
        for c in range(width)
    ]
    full = _with_sensors(labels, rows[:last])
    names = [name or f"column {c + 1}" for c, name in enumerate(full)]
    return Header(names, units, rates, aliases)


def _cells(row: Sequence[str], width: int) -> list[str]:
    """A line as W cells, without the mark of a comment."""
    cells = [cell.strip() for cell in row]
    if cells and cells[0][:1] in ("#", "%"):
        cells[0] = cells[0].lstrip("#% ")
        cells = cells if cells[0] else cells[1:]
    return cells[:width] + [""] * (width - len(cells))


def _all(pattern: re.Pattern, cells: Sequence[str]) -> bool:
    return all(pattern.fullmatch(cell) for cell in cells)


def _all_numbers(cells: Sequence[str]) -> bool:
    return all(re.fullmatch(r"[-+]?[\d.,]+(e[-+]?\d+)?", cell, re.I) for cell in cells)


def _is_unit_row(cells: Sequence[str]) -> bool:
    cells = [cell for cell in cells if cell.lower() not in ("unit", "units")]
    known = sum(units.find(_bare(cell)) is not None for cell in cells)
    return 2 * known > len(cells)


def _bare(cell: str) -> str:
    """A unit without brackets around it."""
    return cell[1:-1] if cell[:1] + cell[-1:] in ("[]", "()") else cell


def _rate(cell: str) -> float:
    match = _RATE.fullmatch(cell)
    return _float(match[1]) * (1e3 if match[2] else 1.0) if match else math.nan


def _period(cell: str) -> float:
    """Hz of a period."""
    match = _PERIOD.fullmatch(cell)
    unit = units.find(match[2]) if match else None
    seconds = _float(match[1]) * unit.scale if match and unit else 0.0
    return 1 / seconds if seconds > 0 else math.nan


def _float(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def _is_rate_row(row: Sequence[str]) -> bool:
    """`Frequency`, and a number for each column."""
    label, *others = row
    return bool(_FREQUENCY.search(label)) and _all_numbers([cell for cell in others if cell])


def _stated_rate(above: Sequence[Sequence[str]]) -> float:
    """Hz, if the lines of text state one rate; NaN if they state none or several."""
    stated = {
        float(number) * (1e3 if kilo else 1.0)
        for row in above
        for number, kilo in _STATED_RATE.findall(" ".join(row))
        if re.fullmatch(r"\d*\.?\d+(e[+-]?\d+)?", number, re.I)
    }
    rate = stated.pop() if len(stated) == 1 else math.nan
    return rate if rate > 0 else math.nan


def _json_names(above: Sequence[Sequence[str]], width: int) -> list[str] | None:
    """Names from a comment in JSON, which OpenSignals writes: a list `column` per device."""
    for row in above:
        text = ",".join(row)
        if "{" not in text:
            continue
        try:
            devices = json.loads(text[text.index("{") :])
        except ValueError:
            continue
        parts = devices.values() if isinstance(devices, dict) else []
        lists = [part.get("column") for part in parts if isinstance(part, dict)]
        names = [str(name) for names in lists if isinstance(names, list) for name in names]
        if names:
            return _cells(names, width)
    return None


def _aliases(cells: Sequence[str], place: int) -> Iterator[str]:
    """Other names of a column: each text above it, also without unit and serial number."""
    for cell in reversed(cells):
        if cell:
            yield from (cell, split_unit(cell)[0], _SERIAL.sub("", cell))
    yield f"column {place + 1}"


def _with_sensors(names: list[str], above: Sequence[Sequence[str]]) -> list[str]:
    """Names that several columns have, with those of their sensors before them.

    The sensors are in the nearest line above that tells the columns apart. A sensor's name stands
    above its first column.
    """
    repeated = {name for name in names if name and names.count(name) > 1}
    if not repeated:
        return names
    for row in reversed(above):
        sensor, full = "", []
        for name, cell in zip(names, row, strict=True):
            sensor = _SERIAL.sub("", cell) or sensor
            full.append(f"{sensor} {name}".strip() if name in repeated else name)
        if len(set(full)) == len(full):
            return full
    return names
