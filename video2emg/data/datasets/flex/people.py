"""`subjects.csv`: who did each repetition of FLEX, with which load; the public files lack it."""

import csv
import dataclasses
import io
import math
from pathlib import Path

from video2emg.core.errors import UserError
from video2emg.data.datasets.flex.layout import ACTIONS
from video2emg.data.readers.text import decode

SUBJECTS = "subjects.csv"
_COLUMNS = ("action", "sample", "subject", "load")


@dataclasses.dataclass(frozen=True)
class Person:
    """Who did a repetition.

    Attributes:
      subject: name.
      load: kg; NaN if unknown.
    """

    subject: str
    load: float = math.nan


def read_subjects(root: Path) -> dict[tuple[str, int], Person]:
    """The person of each repetition by action and sample; empty without the file.

    The columns are action, sample, subject, and optionally load (kg). White space around a cell is
    no part of it.

    Raises:
      UserError: a cell is not what its column holds, a repetition is there twice, or the names of
        two people differ in nothing but capitals.
    """
    path = root / SUBJECTS
    if not path.exists():
        return {}
    rows = csv.reader(io.StringIO(decode(path.read_bytes(), path)))
    header = [name.strip() for name in next(rows, [])]
    if not set(_COLUMNS[:3]) <= set(header):
        raise UserError(f"{path}: expected the columns action, sample, subject (and load)")
    if twice := [name for name in _COLUMNS if header.count(name) > 1]:
        raise UserError(f"{path}: the column {twice[0]} is there twice")
    table: dict[tuple[str, int], Person] = {}
    lines: dict[tuple[str, int], int] = {}
    names: dict[str, str] = {}
    for cells in rows:
        where = f"{path}, line {rows.line_num}"
        row = dict(zip(header, map(str.strip, cells), strict=False))
        if not any(row.values()):
            continue
        if len(cells) != len(header):
            raise UserError(f"{where}: {len(cells)} cells, the header has {len(header)}")
        key, person = _key(row, where), _person(row, where)
        if key in table:
            repetition = f"{key[0]}/{key[1]:03d}"
            raise UserError(f"{where}: {repetition} is there twice; first in line {lines[key]}")
        known = names.setdefault(person.subject.casefold(), person.subject)
        if known != person.subject:
            raise UserError(f"{where}, subject: {person.subject!r} and {known!r}: one person?")
        table[key], lines[key] = person, rows.line_num
    return table


def _key(row: dict[str, str], where: str) -> tuple[str, int]:
    if row["action"] not in ACTIONS:
        raise UserError(f"{where}, action: {row['action']!r} is not a code, A01 to A20")
    try:
        return row["action"], int(row["sample"])
    except ValueError:
        raise UserError(f"{where}, sample: {row['sample']!r} is not a whole number") from None


def _person(row: dict[str, str], where: str) -> Person:
    if not row["subject"]:
        raise UserError(f"{where}, subject: is empty")
    text = row.get("load", "")
    try:
        load = float(text.replace(",", ".")) if text else math.nan
    except ValueError:
        load = -1.0
    if text and not 0 <= load < math.inf:
        raise UserError(f"{where}, load: {text!r} is not a number of kg")
    return Person(row["subject"], load)
