"""OpenSim's text files: `.sto` and `.mot` tables, and `.trc` marker trajectories."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core import units
from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel, rate_of
from video2emg.data.readers.text import decode

_MOST_EMPTY = 10_000_000  # cells of markers beyond the ends of their rows


@dataclasses.dataclass(frozen=True)
class Motion:
    """A table with a time in each row, even or not.

    Attributes:
      names: C columns, without the time; a marker has three, `name_x`, `name_y`, `name_z`.
      values: [T, C]; NaN where lost.
      times: [T] s, as printed.
      unit: of all values; empty if the file does not say it.
      rate: Hz, as the header says it; NaN if it does not.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T C"]
    times: Float[np.ndarray, " T"]
    unit: str = ""
    rate: float = math.nan


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """The columns of a file as channels; its times must be even."""
    motion = read_motion(path)
    rate = rate_of(motion.times, str(path), motion.rate if math.isnan(rate) else rate)
    start = float(motion.times[0])
    return [
        Channel(name, values, rate, start, motion.unit)
        for name, values in zip(motion.names, motion.values.T, strict=True)
    ]


def read_motion(path: Path) -> Motion:
    """The table of a file.

    Raises:
      UserError: not such a table.
    """
    text = decode(path.read_bytes(), path)
    # Spreadsheet programs replace tabs by commas and pad short lines with them.
    lines = [line.rstrip(",").replace(",", "\t") for line in text.splitlines()]
    if path.suffix.lower() == ".trc":
        return _markers(lines, str(path))
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None or end + 2 >= len(lines):
        raise UserError(f"{path}: no table after a line `endheader`")
    names = _names(lines[end + 1], next((line for line in lines[end + 2 :] if line.strip()), ""))
    if not names or names[0].lower() != "time":
        raise UserError(f"{path}, line {end + 2}: the first column must be `time`")
    table = _table(lines[end + 2 :], len(names), str(path), end + 3)
    degrees = any(re.match(r"inDegrees\s*=\s*yes", line, re.I) for line in lines[:end])
    return Motion(tuple(names[1:]), table[:, 1:], table[:, 0], "deg" if degrees else "")


def _names(header: str, row: str) -> list[str]:
    """The names of columns; those between tabs may contain blanks, as `right ankle`."""
    words = header.split()
    return words if len(words) == len(row.split()) else [c for c in _cells(header) if c]


def _table(lines: list[str], width: int, where: str, first_line: int) -> np.ndarray:
    rows = []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = [float(cell) for cell in line.split()]
        except ValueError:
            row = []
        if len(row) != width:
            raise UserError(f"{where}, line {first_line + i}: expected {width} numbers")
        rows.append(row)
    if len(rows) < 2:
        raise UserError(f"{where}: fewer than two rows of numbers")
    return np.array(rows, np.float64)


def _markers(lines: list[str], where: str) -> Motion:
    if len(lines) < 6:
        raise UserError(f"{where}: too short for a .trc file")
    facts = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    names = [name for name in _cells(lines[3])[2:] if name]
    unit = units.find(facts.get("Units", ""))
    if unit is None or unit.kind != "length":
        raise UserError(f"{where}, line 3: Units must be mm, cm or m")
    body = [_cells(line) for line in lines[5:] if line.strip()]
    if not body:
        raise UserError(f"{where}: no rows of markers")
    width = 2 + 3 * len(names)
    if len(body) * width > sum(map(len, body)) + _MOST_EMPTY:
        raise UserError(f"{where}, line 4: {len(names)} markers, of which most rows have none")
    table = np.full((len(body), width), np.nan)
    for i, row in enumerate(body):
        try:
            table[i, : len(row)] = [float(cell) if cell else np.nan for cell in row[:width]]
        except ValueError:
            raise UserError(f"{where}, row {i + 1} of the markers: not numbers") from None
    stated = facts.get("DataRate", "")
    rate = float(stated) if re.fullmatch(r"\d+(\.\d+)?", stated) else 0.0
    return Motion(
        names=tuple(f"{name}_{axis}" for name in names for axis in "xyz"),
        values=unit.scale * table[:, 2:],
        times=table[:, 1],
        unit="m",
        rate=rate or math.nan,
    )


def _cells(line: str) -> list[str]:
    """The cells between tabs; between blanks if there are no tabs."""
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
