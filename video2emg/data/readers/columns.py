"""Columns of a table → channels: which columns are clocks, and of which others."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import units
from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel, rate_of

_ARDUINO = {"millis": "ms", "micros": "us"}  # its clocks
_CLOCK_WORDS = frozenset({"time", "timestamp", "timestamps", "times", "zeit", *_ARDUINO})
_CLOCK_NAMES = frozenset({"t", "x"})  # X is Delsys's; as a name it needs the values of a clock
# Brackets, a comma, or an underscore before the unit; pandas adds .1 to a name it meets again.
_BRACKETS = re.compile(r"(.*?)\s*[\[(]\s*((?:[^\[\]()]|\([^()]*\))+)\s*[\])]\s*(?:\.\d+)?")
_COMMA = re.compile(r"(.*\S)\s*,\s*(\S+)")
_ENDING = re.compile(r"(.*[^_\s])[_ ](\S+)")
# Unix times in s have 10 digits; more are finer units.
_SINCE_1970 = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
      name: without unit.
      unit: as in the file; empty if it says none.
      values: [N] up to the last number; NaN where a cell is empty.
      rate: Hz, if the file states it for this column.
      aliases: see `Channel`.
      fault: see `Channel`.
    """

    name: str
    unit: str
    values: Float[np.ndarray, " N"]
    rate: float = float("nan")
    aliases: tuple[str, ...] = ()
    fault: str = ""


def split_unit(text: str) -> tuple[str, str]:
    """Name and unit of `EMG 1 [mV]`, `EMG 1,uV` or `timestamp_ms`; the unit may be empty."""
    text = text.strip()
    if text.lower() in _ARDUINO:
        return text, _ARDUINO[text.lower()]
    for pattern in (_BRACKETS, _COMMA):
        match = pattern.fullmatch(text)
        if match and units.find(match[2]):
            return match[1].strip(), match[2].strip()
    match = _ENDING.fullmatch(text)
    unit = units.find(match[2]) if match else None
    if match and unit:
        clock = unit.kind == "time" and named_as_clock(match[1])
        if clock or (unit.kind == "voltage" and unit.name != "V"):  # `_V` may be anything
            return match[1], match[2]
    return text, ""


def named_as_clock(name: str) -> bool:
    """Whether a name, without its unit, may be that of a clock."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return bool(_CLOCK_WORDS & set(words)) or re.sub(r"\.\d+$", "", name.lower()) in _CLOCK_NAMES


def is_clock(column: Column) -> bool:
    """Whether a column holds times, by its name and its values.

    A column called `time` is a clock whatever it holds, so that wrong times are noticed. Other
    names with a word for time need values that hardly ever decrease; `x` and `t` need a unit of
    time, or values that always increase evenly.
    """
    unit = units.find(column.unit)
    if not named_as_clock(column.name) or (unit and unit.kind != "time"):
        return False
    plain = re.sub(r"\W|_|\d", "", column.name.lower())
    if plain in _CLOCK_WORDS or (unit and plain in _CLOCK_NAMES):
        return True
    step = np.diff(column.values[np.isfinite(column.values)])
    if not len(step) or not column.values[-1] > column.values[0]:
        return False
    if plain in _CLOCK_NAMES:
        return bool((step > 0).all() and step.max() < 2 * np.median(step))
    return bool((step >= 0).mean() > 0.9)


def seconds(column: Column) -> Float[np.ndarray, " N"]:
    """The times of a clock in s."""
    unit = units.find(column.unit)
    if unit:
        return column.values * unit.scale
    largest = np.nanmax(column.values, initial=0.0)
    scale = next((scale for limit, scale in _SINCE_1970 if largest > limit), 1.0)
    return column.values * scale


def to_channels(columns: Sequence[Column], where: str, nominal: float) -> list[Channel]:
    """Gives every column its clock.

    A clock is that of the columns after it, up to the next clock. If it is the only one, it is also
    that of the columns before it. Of several clocks side by side, the first counts.

    Args:
      columns: of one table.
      where: of the table, for messages.
      nominal: Hz, for columns whose rate the file does not state; NaN if unknown.
    """
    clocks = [column for column in columns if is_clock(column)]
    clock = clocks[0] if len(clocks) == 1 else None
    fitted: dict[tuple[int, int], tuple[float, float, str]] = {}
    channels = []
    after_clock = False
    for column in columns:
        if any(column is other for other in clocks):
            clock = clock if after_clock else column
            after_clock = True
            continue
        after_clock = False
        rate = nominal if np.isnan(column.rate) else column.rate
        values, start, fault = column.values, 0.0, column.fault
        if clock is not None:
            # Times and values may end at different rows.
            values = values[: len(clock.values)]
            key = id(clock), len(values)
            if key not in fitted:
                fitted[key] = _fit(clock, len(values), f"{where}, column {clock.name!r}", rate)
            rate, start, of_clock = fitted[key]
            fault = fault or of_clock
        channels.append(
            Channel(column.name, values, rate, start, column.unit, column.aliases, fault)
        )
    return channels


def _fit(clock: Column, length: int, where: str, nominal: float) -> tuple[float, float, str]:
    """Rate, start and fault of a clock's first times."""
    if clock.fault:
        return float("nan"), 0.0, clock.fault
    time = seconds(clock)[:length]
    try:
        return rate_of(time, where, nominal), float(time[0]), ""
    except UserError as error:
        return float("nan"), 0.0, str(error)
