"""Tables of points with a row per instant, or a row per instant and joint."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError
from video2emg.core.pose_track import FASTEST_HZ
from video2emg.data import readers
from video2emg.data.readers import columns, opensim, text
from video2emg.data.readers.channel import rate_of
from video2emg.data.readers.pose_names import squash

# The first of these that a file has counts.
_CONFIDENCE = (
    *("visibility", "confidence", "likelihood", "score", "probability", "conf", "prob"),
    *("presence", "v", "c"),
)
TIMES = ("time", "times", "timestamp", "timestamps", "t")
FRAMES = ("frame", "frames", "framenumber", "frameindex", "frameidx", "frameid", "frameno")
_NAMING = ("landmark", "joint", "keypoint", "name", "marker")
_PERCENT = 10.0  # largest confidence above which they are percentages; scores may exceed 1
_LONGEST = 24 * 3600.0  # s, of a recording
MOST_STEPS = int(60 * _LONGEST)  # from its begin to its end; a day of 60 pictures a second
_SHORTEST = 0.99 / FASTEST_HZ  # s, usual time between pictures
_MOST_CELLS = 30_000_000  # points × pictures of a table with a row for each: 5 h with 53 points
_TWICE = 0.1  # share of pictures up to which those of the same number are of one person


@dataclasses.dataclass(frozen=True)
class Table:
    """Points by the names of the file.

    Attributes:
      names: N.
      values: [T, N, 3], any unit and axes; NaN where lost.
      confidence: [T, N], 1 for points without; None if the file has none.
      times: s; None if the file has none.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T N 3"]
    confidence: Float[np.ndarray, "T N"] | None = None
    times: Float[np.ndarray, " T"] | None = None


def picture_times(
    path: Path,
    count: int,
    rate: float,
    clock: Float[np.ndarray, " T"] | None = None,
    frame: Float[np.ndarray, " T"] | None = None,
    nominal: float = math.nan,
) -> Float[np.ndarray, " T"] | None:
    """The times of the pictures, s; None if nothing says them.

    Args:
      path: for messages.
      count: T.
      rate: Hz, as the user says; NaN if it is not told.
      clock: times in the file, s. If they are even but for their decimals, they become even; if
        they are not even, they stay as they are; if they do not increase, the rate counts.
      frame: numbers of the pictures, of which some may be missing.
      nominal: Hz, as the header of the file says; with it, coarse times become even.

    Raises:
      UserError: times or numbers that do not increase, or as `checked`.
    """
    even = None if clock is None else _even_clock(path, clock, rate if rate > 0 else nominal)
    if even is not None:
        times = even
    elif clock is not None and _increases(clock):
        times = clock
    elif not rate > 0:
        if clock is not None:
            raise UserError(f"{path}: its times do not increase")
        return None
    elif frame is None:
        times = np.arange(count) / rate
    elif _increases(frame):
        times = (frame - frame[0]) / rate
    else:
        raise UserError(f"{path}: its frame numbers do not increase")
    return checked(path, times)


def checked(path: Path, times: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """The times, s, if they may be those of a pose.

    Without limits, one wrong time would let everything that is sampled evenly fill the memory.

    Raises:
      UserError: times that do not increase, more than 1000 of them per second, or that cover more
        than a day.
    """
    if not _increases(times):
        raise UserError(f"{path}: its times do not increase")
    if len(times) < 2:
        return times
    covered, step = float(times[-1] - times[0]), float(np.median(np.diff(times)))
    if covered > _LONGEST:
        raise UserError(f"{path}: its times cover {covered / 3600:.3g} hours; expected up to a day")
    if step < _SHORTEST:
        raise UserError(
            f"{path}: its times are {step:.3g} s apart; expected {1 / FASTEST_HZ:g} s or more; say "
            "their unit (time_ms, time_us)"
        )
    if covered > MOST_STEPS * step:
        raise UserError(
            f"{path}: its times cover {covered / 3600:.3g} hours in steps of {step:.3g} s, "
            f"{covered / step:.2g} pictures; expected up to {MOST_STEPS:.2g}"
        )
    return times


def with_times(
    path: Path,
    table: Table,
    rate: float,
    clock: Float[np.ndarray, " T"] | None = None,
    frame: Float[np.ndarray, " T"] | None = None,
    nominal: float = math.nan,
) -> Table:
    """The table with the times of its pictures; see `picture_times`.

    Some programs write a picture twice. Of pictures that have the same number one after the other,
    the last counts. If there are no numbers, times that are not even stand for them.

    Raises:
      UserError: as `picture_times`; or more than a tenth of the pictures have the number of the
        next one and show something else, as in a file of several people.
    """
    kept = _last_of_each(path, table, rate, clock, frame, nominal)
    clock, frame = (None if number is None else number[kept] for number in (clock, frame))
    return dataclasses.replace(
        table,
        values=table.values[kept],
        confidence=None if table.confidence is None else table.confidence[kept],
        times=picture_times(path, int(kept.sum()), rate, clock, frame, nominal),
    )


def _last_of_each(
    path: Path,
    table: Table,
    rate: float,
    clock: np.ndarray | None,
    frame: np.ndarray | None,
    nominal: float,
) -> np.ndarray:
    """[T] which pictures count: all but those that are followed by one of the same number."""
    everyone = np.ones(len(table.values), bool)
    number = clock if frame is None else frame
    if number is None or len(number) < 2:
        return everyone
    if clock is not None:
        coarse = _even_clock(path, clock, rate if rate > 0 else nominal) is not None
        if coarse or _increases(clock):
            return everyone
    again = number[1:] == number[:-1]
    if again.all():  # it counts nothing
        return everyone
    one, next_one = table.values[:-1], table.values[1:]
    same = (one == next_one) | (np.isnan(one) & np.isnan(next_one))
    others = again & ~same.all((1, 2))
    if others.sum() > _TWICE * len(number):
        if frame is None:
            return everyone
        raise UserError(
            f"{path}: {others.sum()} of {len(number)} pictures have the frame number of the next "
            "one; keep one person, and one row per picture"
        )
    return np.append(~again, True)


def _even_clock(path: Path, clock: np.ndarray, rate: float) -> np.ndarray | None:
    """An even clock through times with few decimals; None if they are not even."""
    try:
        step = 1 / rate_of(clock, str(path), rate)
    except UserError:
        return None
    return clock[0] + np.arange(len(clock)) * step


def _increases(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (np.diff(values) > 0).all())


def seconds(values: Float[np.ndarray, " T"], unit: str = "") -> Float[np.ndarray, " T"]:
    """Times of pictures in s.

    Without a unit they are in s, unless that would be less than a picture per second: then in ms,
    µs or ns.
    """
    if unit:
        return columns.seconds(columns.Column("time", unit, values))
    steps = np.diff(values)
    steps = steps[np.isfinite(steps)]
    step = float(np.median(steps)) if len(steps) else 0.0
    scale = next(
        (scale for least, scale in ((1e6, 1e-9), (1e3, 1e-6), (1, 1e-3)) if step > least), 1
    )
    return values * scale


def fractions(confidence: Float[np.ndarray, "T N"]) -> Float[np.ndarray, "T N"]:
    """Confidences as fractions; percentages are recognised by the largest of them."""
    return confidence / 100 if np.nanmax(confidence, initial=0.0) > _PERCENT else confidence


def read_csv(path: Path, rate: float) -> Table:
    """A wide table, or one with a row per instant and joint."""
    content = text.decode(path.read_bytes(), path)
    header = next(iter(content.splitlines()), "")
    names = [cell.strip().strip('"').lower() for cell in header.split(",")]
    naming = next((c for c in _NAMING if c in names), "")
    if naming and {"x", "y", "z"} <= set(names):
        return _long(path, content, names, naming, rate)
    tables = text.tables(content, str(path))
    with_points = (table for table in tables if _of_points(column.name for column in table))
    table = next(with_points, None)
    if table is None:
        raise UserError(f"{path}: no columns name_x, name_y, name_z")
    clock = next((column for column in table if columns.is_clock(column)), None)
    frame = next((column for column in table if squash(column.name) in FRAMES), None)
    # Rows after the last time belong to no instant.
    count = len(clock.values) if clock else max(len(column.values) for column in table)
    points = {column.name: column.values for column in table if column is not clock}
    return with_times(
        path,
        _wide(path, points, count),
        rate,
        None if clock is None else seconds(_padded(clock.values, count), clock.unit),
        None if frame is None else _padded(frame.values, count),
    )


def read_trc(path: Path, rate: float) -> Table:
    """Markers of a `.trc` file, whose times need not be even."""
    motion = opensim.read_motion(path)
    columns_ = dict(zip(motion.names, motion.values.T, strict=True))
    table = _wide(path, columns_, len(motion.times))
    return with_times(path, table, rate, motion.times, nominal=motion.rate)


def read_channels(path: Path, rate: float) -> Table:
    """Channels `name_x`, `name_y`, `name_z` of a file whose points share an even clock."""
    channels = readers.read(path, rate)
    used = _of_points(channel.name for channel in channels)
    chosen = [channel for channel in channels if channel.name in used]
    if not chosen:
        raise UserError(f"{path}: no points name_x, name_y, name_z")
    first = chosen[0]
    if any((c.rate, c.start) != (first.rate, first.start) for c in chosen):
        raise UserError(f"{path}: its points have different rates or starts")
    count = max(len(channel.values) for channel in chosen)
    table = _wide(path, {c.name: c.values for c in chosen}, count)
    clock = first.start + np.arange(count) / first.rate
    return dataclasses.replace(table, times=checked(path, clock))


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """The values, NaN after their end."""
    return np.concatenate([values[:count], np.full(max(count - len(values), 0), np.nan)])


def _split(name: str) -> tuple[str, str]:
    """Point and coordinate of `left_hip_x`, `left hip x` or `x23`."""
    point, _, part = name.replace(" ", "_").rpartition("_")
    if not point:
        point, part = name[1:], name[:1]
    return point, part.lower()


def _of_points(names: Iterable[str]) -> set[str]:
    """The columns of points that have three coordinates, with their confidences."""
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        point, part = _split(name)
        if part and (part in ("x", "y", "z") or part in _CONFIDENCE):
            parts.setdefault(point, {})[part] = name
    whole = [columns_ for columns_ in parts.values() if {"x", "y", "z"} <= set(columns_)]
    return {name for columns_ in whole for name in columns_.values()}


def _wide(path: Path, columns_: Mapping[str, np.ndarray], count: int) -> Table:
    """A table with columns `name_x`, `name_y`, `name_z`, perhaps `name_visibility`."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    used = _of_points(columns_)
    for name in columns_:
        if name in used:
            point, part = _split(name)
            parts.setdefault(point, {})[part] = _padded(columns_[name], count)
    if not parts:
        raise UserError(f"{path}: no columns name_x, name_y, name_z")
    values = np.stack([np.stack([of[axis] for axis in "xyz"], 1) for of in parts.values()], 1)
    sure = [next((of[c] for c in _CONFIDENCE if c in of), None) for of in parts.values()]
    given = [n for n, of_point in enumerate(sure) if of_point is not None]
    confidence = None
    if given:
        confidence = np.ones((count, len(parts)))
        confidence[:, given] = fractions(np.stack([c for c in sure if c is not None], 1))
    return Table(tuple(parts), values, confidence)


def _long(path: Path, content: str, names: Sequence[str], naming: str, rate: float) -> Table:
    """A table with a row per instant and joint, of one person."""
    timed = next((c for c in names if squash(c).removesuffix("ms") in TIMES), "")
    framed = next((c for c in names if squash(c) in FRAMES), "")
    counting = framed or timed
    if not counting:
        raise UserError(f"{path}: rows of joints need a column frame or time")
    sure = next((c for c in _CONFIDENCE if c in names), "")
    numbers = [c for c in ("x", "y", "z", sure, timed, framed) if c]
    rows = _rows(path, content, names, numbers)
    instants = sorted({row[counting] for row in rows})
    points = tuple(dict.fromkeys(str(row[naming]) for row in rows))
    if len(points) * len(instants) > _MOST_CELLS:
        raise UserError(
            f"{path}: {len(points)} names in column {naming!r} at {len(instants)} instants; keep "
            "the joints of one person"
        )
    values = np.full((len(instants), len(points), 3), np.nan)
    confidence = np.full((len(instants), len(points)), np.nan)
    time = np.full(len(instants), np.nan)
    place = {instant: i for i, instant in enumerate(instants)}
    number = {point: n for n, point in enumerate(points)}
    met: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        i, n = place[row[counting]], number[str(row[naming])]
        if met.setdefault((i, n), row) != row:  # else it was written twice
            raise UserError(
                f"{path}: two rows of {row[naming]} at {counting} {row[counting]:g}; keep the rows "
                "of one person"
            )
        values[i, n] = [row["x"], row["y"], row["z"]]
        confidence[i, n] = row[sure] if sure else 1.0
        time[i] = row[timed] if timed else np.nan
    # Some programs write an empty or constant time beside the number of the picture.
    told = timed and len(set(time)) > 1 and np.isfinite(time).all()
    clock = seconds(time, "ms" if squash(timed).endswith("ms") else "") if told else None
    frame = np.array(instants, float) if framed else None
    return with_times(path, Table(points, values, fractions(confidence)), rate, clock, frame)


def _rows(
    path: Path, content: str, names: Sequence[str], numbers: Sequence[str]
) -> list[dict[str, Any]]:
    """The cells of each line, numbers where they are numbers."""
    rows = []
    try:
        lines = list(csv.reader(io.StringIO(content, newline="")))
    except csv.Error as error:
        raise UserError(f"{path}: not a table ({error})") from None
    for line, cells in enumerate(lines, 1):
        if line == 1 or not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise UserError(f"{path}, line {line}: {len(cells)} cells for {len(names)} columns")
        row: dict[str, Any] = {n: cell.strip() for n, cell in zip(names, cells, strict=True)}
        for column in numbers:
            try:
                row[column] = float(row[column]) if row[column] else math.nan
            except ValueError:
                raise UserError(
                    f"{path}, line {line}, {column}: {row[column][:40]!r} is not a number"
                ) from None
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: no rows")
    return rows
