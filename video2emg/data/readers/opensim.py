"""OpenSim's text files: `.sto` and `.mot` tables, and `.trc` marker trajectories."""

import math
import re
from pathlib import Path

import numpy as np

from video2emg.core import units
from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel, rate_of
from video2emg.data.readers.text import decode


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """Reads a table; each marker becomes three channels, `name_x`, `name_y`, `name_z`."""
    text = decode(path.read_bytes(), path)
    # Spreadsheet programs replace tabs by commas and pad short lines with them.
    lines = [line.rstrip(",").replace(",", "\t") for line in text.splitlines()]
    if path.suffix.lower() == ".trc":
        return _markers(lines, str(path), rate)
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None or end + 2 >= len(lines):
        raise UserError(f"{path}: no table after a line `endheader`")
    names = lines[end + 1].split()
    table = _table(lines[end + 2 :], len(names), str(path), end + 3)
    if names[0].lower() != "time":
        raise UserError(f"{path}, line {end + 2}: the first column must be `time`")
    degrees = any(re.match(r"inDegrees\s*=\s*yes", line, re.I) for line in lines[:end])
    rate = rate_of(table[:, 0], str(path), rate)
    unit = "deg" if degrees else ""
    start = float(table[0, 0])
    return [Channel(n, table[:, i], rate, start, unit) for i, n in enumerate(names) if i]


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


def _markers(lines: list[str], where: str, rate: float) -> list[Channel]:
    if len(lines) < 6:
        raise UserError(f"{where}: too short for a .trc file")
    facts = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    names = [name for name in _cells(lines[3])[2:] if name]
    unit = units.find(facts.get("Units", ""))
    if unit is None or unit.kind != "length":
        raise UserError(f"{where}, line 3: Units must be mm, cm or m")
    body = [_cells(line) for line in lines[5:] if line.strip()]
    width = 2 + 3 * len(names)
    table = np.full((len(body), width), np.nan)
    for i, row in enumerate(body):
        try:
            table[i, : len(row)] = [float(cell) if cell else np.nan for cell in row[:width]]
        except ValueError:
            raise UserError(f"{where}, row {i + 1} of the markers: not numbers") from None
    if np.isnan(rate) and re.fullmatch(r"\d+(\.\d+)?", facts.get("DataRate", "")):
        rate = float(facts["DataRate"])
    rate = rate_of(table[:, 1], where, rate)
    return [
        Channel(
            f"{name}_{axis}", unit.scale * table[:, 2 + 3 * m + a], rate, float(table[0, 1]), "m"
        )
        for m, name in enumerate(names)
        for a, axis in enumerate("xyz")
    ]


def _cells(line: str) -> list[str]:
    """The cells between tabs; between blanks if there are no tabs."""
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
