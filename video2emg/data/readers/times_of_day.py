"""Cells like `10:00:00.250` or `2026-03-01T10:00:00.250Z` → seconds since the first one."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_CELL = re.compile(
    r"(?:\d[\d./-]{5,9}[T ] ?)?(?:(\d{1,2}):)?(\d{1,2}):(\d{2}(?:[.,:]\d+)?)"
    r"(?: ?([ap])\.?m\.?)?(?:Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_DAY, _HOUR = 86400.0, 3600.0


def times_of_day(cells: Sequence[str]) -> Float[np.ndarray, " N"] | None:
    """Seconds since the first time; None unless every cell is a time, and they tell samples apart.

    A date before the time is not read: times that fall back by more than half a day are those of
    the next day. Times without hours (`00:01.5`, as spreadsheets write them) need decimals, and
    those that fall back by more than half an hour are those of the next hour. Whole seconds must
    increase: repeated for many samples, they are no clock.
    """
    if not cells or not _CELL.fullmatch(cells[0].strip()):
        return None
    matches = [_CELL.fullmatch(cell.strip()) for cell in cells]
    if len(matches) < 2 or not all(matches):
        return None
    parts = [match.groups() for match in matches if match]
    has_hours = {hours is not None for hours, *_ in parts}
    if len(has_hours) > 1 or (has_hours == {False} and not all(_decimals(p[2]) for p in parts)):
        return None
    time = np.array([_seconds(*part) for part in parts])
    turn = _DAY if has_hours == {True} else _HOUR
    time += turn * np.cumsum(np.diff(time, prepend=time[0]) < -turn / 2)
    if not (np.diff(time) > 0).all() and not any(_decimals(part[2]) for part in parts):
        return None
    return time - time[0]


def _decimals(seconds: str) -> bool:
    return len(seconds) > 2


def _seconds(hours: str | None, minutes: str, seconds: str, half: str | None) -> float:
    hour = int(hours or 0)
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    whole = re.sub("[,:]", ".", seconds)
    return _HOUR * hour + 60.0 * int(minutes) + float(whole)
