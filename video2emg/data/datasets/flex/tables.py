"""The two tables of a repetition of FLEX: `EMG.csv` and `skeleton_points.csv`."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data.readers.text import decode

# Columns of the skeleton file, if its header names them; the authors' own names are not published.
JOINT_COLUMNS = tuple(f"{joint}_{axis}" for joint in vocabulary.FLEX_21 for axis in "xyz")


def read_emg(path: Path) -> Float[np.ndarray, "N C"] | None:
    """Two or four columns; None if the file is missing.

    Raises:
      UserError: a row has another width, or a cell is no number.
    """
    lines = _lines(path)
    return None if lines is None else _numbers(path, lines, (2, 4))


def read_skeleton(path: Path) -> tuple[Float[np.ndarray, "T 21 3"] | None, list[str]]:
    """Poses in the order of `FLEX_21`, and doubts about the file; None if it is missing.

    A header that names `JOINT_COLUMNS` in another order puts them in theirs. Other headers say
    nothing. A first row of numbers is a pose, unless it counts the columns from 0, as pandas does.

    Raises:
      UserError: a row has not 63 numbers, or the header names some of the columns only.
    """
    lines = _lines(path)
    if lines is None:
        return None, []
    doubts = []
    first = lines[0][1].split(",") if lines else []
    header = [_name(cell) for cell in first]
    if _is_pose(first):
        doubts.append("no header: the first row of numbers is taken for the first pose")
        header = []
    else:
        lines = lines[1:]
    values = _numbers(path, lines, (len(JOINT_COLUMNS),))
    known = set(header) & set(JOINT_COLUMNS)
    if known:
        if known != set(JOINT_COLUMNS) or len(header) != len(JOINT_COLUMNS):
            missing = next((c for c in JOINT_COLUMNS if header.count(c) != 1), header[0])
            raise UserError(f"{path}, header: {missing!r} is there {header.count(missing)} times")
        if header != list(JOINT_COLUMNS):
            doubts.append("the columns are in another order than FLEX's, and read by their names")
        values = values[:, [header.index(name) for name in JOINT_COLUMNS]]
    return values.reshape(-1, len(vocabulary.FLEX_21), 3), doubts


def _name(cell: str) -> str:
    return re.sub(r"[\s.\-]+", "_", cell.strip().strip('"').strip()).lower()


def _is_pose(cells: Sequence[str]) -> bool:
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return False
    return len(values) > 0 and values != list(range(len(values)))


def _lines(path: Path) -> list[tuple[int, str]] | None:
    """(number, text) of the lines that are not empty; None if there is no file."""
    if not path.is_file():
        return None
    lines = decode(path.read_bytes(), path).splitlines()
    return [(i + 1, line) for i, line in enumerate(lines) if line.strip()]


def _numbers(
    path: Path, lines: Sequence[tuple[int, str]], widths: Sequence[int]
) -> Float[np.ndarray, "N C"]:
    rows: list[list[float]] = []
    for number, line in lines:
        try:
            rows.append([float(cell) for cell in line.split(",")])
        except ValueError:
            rows.append([])
        if len(rows[-1]) not in widths or len(rows[-1]) != len(rows[0]):
            expected = " or ".join(map(str, widths))
            raise UserError(f"{path}, line {number}: expected {expected} numbers in each row")
    if len(rows) < 2:
        raise UserError(f"{path}: fewer than two rows of numbers")
    return np.array(rows)
