"""`clips.csv` (or `clips.yaml`): one row per repetition or set, read strictly.

docs/bring_your_data.md explains the columns. They have the names of the fields of `Row`, except
video_<view>; keypoints_<view> and keypoints_person; heart_rate, heart_channel, heart_offset, and
the same for breath.
"""

import contextlib
import csv
import dataclasses
import io
import math
import re
from pathlib import Path
from typing import Any

from video2emg.core import strict_yaml, units, vocabulary
from video2emg.core.equipment import check_equipment
from video2emg.core.errors import UserError
from video2emg.data.datasets.splits import SPLITS
from video2emg.data.readers.text import decode

ESTIMATE = "estimate"  # in the column `pose`
FIND, FREE = "find", "none"  # in the column `repetitions`
TABLES = ("clips.csv", "clips.yaml", "clips.yml")


@dataclasses.dataclass(frozen=True)
class Rate:
    """Heart or breath rate: one value for the whole clip, or a log.

    Attributes:
      value: 1/min; NaN if there is a log.
      file: the log, or None.
      channel: in the file; empty if it has only one.
      offset: added to the log's times, s.
    """

    value: float = math.nan
    file: Path | None = None
    channel: str = ""
    offset: float = 0.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One repetition or set as its owner describes it; times in seconds, rates in Hz.

    Attributes:
      where: table and line, for messages.
      folder: of the table.
      clip_id, subject, action: names.
      videos: file or folder by view name.
      video_rate: of folders of pictures.
      emg: file, or None.
      emg_channels: name in the file → channel of the vocabulary.
      emg_rate: NaN if the file contains it.
      emg_unit: empty if the file contains it.
      emg_kind: `raw`, or `envelope` for signals that are already rectified and smoothed.
      emg_max: envelope at maximal voluntary contraction by channel.
      emg_offset: added to the EMG's times, to come onto the video's clock.
      emg_drift: by how much the EMG's clock is slow: its second lasts (1 + drift) seconds.
      pose: file, or None.
      pose_estimate: whether the pose is to be estimated from the videos (cell `estimate`).
      pose_skeleton: name, see `core.skeleton`.
      pose_joints: joint → markers in the file whose mean it is; empty if the file has the joints'
        own names.
      pose_axes: the file's axes that point forward, left and up, e.g. `x -z y`.
      pose_rate: NaN if the file contains it.
      pose_offset: added to the pose's times.
      keypoints: file or folder of 2-D keypoints by view name.
      keypoints_first: number that the files give to the first frame of the video.
      keypoints_largest: if there are several people in a frame, take the largest.
      heart, breath: rates, or None.
      start, end: of the row on the video's clock (without video: on the EMG's).
      repetitions: (start, end) of each in a set, on the same clock as `start`; none in a free
        movement; None if the row is a single repetition.
      find_repetitions: whether the repetitions of the set are found in its pose.
      equipment: of `core.equipment.EQUIPMENT`, with which the load is held; empty if the name of
        the action says it.
      height, mass: of the subject, m and kg; NaN if unknown.
      sex: `female`, `male` or empty.
      load: kg.
      score: 0-100.
      errors: (key step, error type, severity).
      phases: (key step, start, end), on the same clock as `start`.
      graph: name and version of the knowledge graph of errors and phases; may be empty.
      split: empty, or a name in `splits.SPLITS`.
      licence: text.
    """

    where: str
    folder: Path
    clip_id: str
    subject: str
    action: str
    videos: dict[str, Path]
    emg: Path | None
    emg_channels: dict[str, str]
    emg_max: dict[str, float]
    pose: Path | None
    errors: tuple[tuple[str, str, float], ...]
    phases: tuple[tuple[str, float, float], ...]
    pose_joints: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    pose_axes: str = "x y z"
    keypoints: dict[str, Path] = dataclasses.field(default_factory=dict)
    keypoints_first: int = 0
    keypoints_largest: bool = False
    heart: Rate | None = None
    breath: Rate | None = None
    split: str = ""
    licence: str = ""
    graph: str = ""
    emg_unit: str = ""
    emg_kind: str = "raw"
    pose_skeleton: str = "flex_21"
    video_rate: float = math.nan
    emg_rate: float = math.nan
    emg_offset: float = 0.0
    emg_drift: float = 0.0
    pose_rate: float = math.nan
    pose_offset: float = 0.0
    pose_estimate: bool = False
    start: float = 0.0
    end: float = math.inf
    repetitions: tuple[tuple[float, float], ...] | None = None
    find_repetitions: bool = False
    equipment: str = ""
    height: float = math.nan
    mass: float = math.nan
    sex: str = ""
    load: float = math.nan
    score: float = math.nan

    @property
    def files(self) -> list[Path]:
        """Everything that the row names; folders too."""
        logs = [rate.file for rate in (self.heart, self.breath) if rate]
        named = (*self.videos.values(), *self.keypoints.values(), self.emg, self.pose, *logs)
        return [path for path in named if path is not None]


def find(folder: Path) -> Path:
    """The table of a folder.

    Raises:
      UserError: there is none, or more than one.
    """
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(tables) != 1:
        raise UserError(
            f"{folder}: expected one of {', '.join(TABLES)}, found {len(tables)}; "
            "docs/bring_your_data.md shows what goes into it"
        )
    return tables[0]


def read_table(folder: Path) -> list[Row]:
    """Reads and checks every row; files must exist within the folder.

    Raises:
      UserError: naming table, line and column.
    """
    table = find(Path(folder))
    text = decode(table.read_bytes(), table)
    records = _yaml(text, table) if table.suffix != ".csv" else _csv(text, table)
    if not records:
        raise UserError(f"{table}: no rows")
    rows = [_row(_Record(cells, f"{table}, {place}", table.parent)) for place, cells in records]
    places: dict[str, str] = {}
    for row in rows:
        if row.clip_id in places:
            raise UserError(
                f"{row.where}: clip_id {row.clip_id!r} is also at {places[row.clip_id]}"
            )
        places[row.clip_id] = row.where
    return rows


def _csv(text: str, table: Path) -> list[tuple[str, dict[str, str]]]:
    """(place in the table, cells by column) of each row."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    records = []
    try:
        _refuse_repeated([name.strip() for name in reader.fieldnames or []], f"{table}, line 1")
        for record in reader:
            if None in record:
                raise UserError(f"{table}, line {reader.line_num}: more cells than columns")
            cells = {(k or "").strip(): (v or "").strip() for k, v in record.items()}
            if any(cells.values()):
                records.append((f"line {reader.line_num}", cells))
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num}: {error}") from None
    return records


def _refuse_repeated(columns: list[str], where: str) -> None:
    for i, name in enumerate(columns):
        first = columns.index(name)
        if name and first < i:
            raise UserError(
                f"{where}: column {name!r} is there twice: as number {first + 1} and {i + 1}"
            )


def _yaml(text: str, table: Path) -> list[tuple[str, dict[str, Any]]]:
    items = strict_yaml.load(text, str(table), texts=True)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UserError(f"{table}: expected a list of mappings, one per repetition")
    return [(f"item {i + 1}", {str(k): v for k, v in item.items()}) for i, item in enumerate(items)]


_CHOICES = {
    "emg_kind": ("raw", "envelope"),
    "keypoints_person": ("largest",),
    "sex": ("female", "male"),
    "split": tuple(SPLITS),
}
# Columns whose cell, if it is not empty, is the field of `Row` of the same name.
_NUMBERS = tuple(field.name for field in dataclasses.fields(Row) if field.type is float)
_TEXTS = (
    *("emg_kind", "emg_unit", "equipment", "graph", "licence"),
    *("pose_axes", "pose_skeleton", "sex", "split"),
)
_COLUMNS = {
    *(*_NUMBERS, *_TEXTS, *_CHOICES),
    *("clip_id", "subject", "action", "emg", "emg_channels", "emg_max", "errors", "phases"),
    *("pose", "pose_joints", "keypoints_first", "repetitions"),
    *(f"{kind}_{part}" for kind in ("heart", "breath") for part in ("rate", "channel", "offset")),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*$")
_RANGES = {"height": (0.5, 2.5, "m"), "mass": (10, 400, "kg")}


class _Record:
    """The cells of one row by column; errors name table, line and column."""

    def __init__(self, cells: dict[str, Any], where: str, folder: Path):
        self.cells, self.where, self.folder = cells, where, folder

    def error(self, column: str, message: str) -> UserError:
        return UserError(f"{self.where}, {column}: {message}")

    def text(self, column: str) -> str:
        value = self.cells.get(column)
        return "" if value is None else str(value).strip()

    def name(self, column: str) -> str:
        text = self.text(column)
        if not _NAME.match(text):
            raise self.error(column, f"{text!r} is not a name (letters, digits and _ - .)")
        return text

    def choice(self, column: str) -> str:
        text, options = self.text(column), _CHOICES.get(column)
        if options and text not in ("", *options):
            raise self.error(column, f"{text!r} is not {' or '.join(options)}")
        return text

    def number(self, column: str, value: Any) -> float:
        try:
            return float(str(value).replace(",", "."))  # a decimal comma is allowed
        except ValueError:
            raise self.error(column, f"{value!r} is not a number") from None

    def positive(self, column: str, value: Any) -> float:
        with contextlib.suppress(UserError):
            if 0 < (number := self.number(column, value)) < math.inf:
                return number
        raise self.error(column, f"{value!r} is not a positive number")

    def path(self, column: str) -> Path | None:
        """A file or folder below the table's folder, also after links are followed."""
        name = self.text(column)
        if not name:
            return None
        try:
            path = (self.folder / name).resolve()
            inside = path.is_relative_to(self.folder.resolve()) and not Path(name).is_absolute()
            exists = path.exists()
        except (OSError, ValueError):
            raise self.error(column, f"not a path: {name[:80]!r}") from None
        if not inside:
            raise self.error(column, f"{name} lies outside the table's folder")
        if not exists:
            raise self.error(column, f"no such file: {name}")
        return path

    def pairs(self, column: str) -> dict[str, Any]:
        """A mapping, or `name=value; name=value`."""
        value = self.cells.get(column)
        if isinstance(value, dict):
            return {str(k): v for k, v in value.items()}
        pairs = {}
        for part in str(value or "").split(";"):
            key, sign, right = part.partition("=")
            if part.strip() and not sign:
                raise self.error(column, f"{part.strip()!r} is not name=value")
            if sign and key.strip() in pairs:
                raise self.error(
                    column,
                    f"{key.strip()!r} is there twice: as {pairs[key.strip()]} and {right.strip()}",
                )
            if sign:
                pairs[key.strip()] = right.strip()
        return pairs

    def triples(self, column: str) -> list[tuple[str, str, Any]]:
        """A list, or `a:b:c; a:b:c`; the third part may be missing (None)."""
        value = self.cells.get(column)
        triples = []
        for item in value if isinstance(value, list) else str(value or "").split(";"):
            parts = item if isinstance(item, list) else [p.strip() for p in str(item).split(":")]
            if parts == [""]:
                continue
            if not 2 <= len(parts) <= 3:
                raise self.error(column, f"{item!r} is not three parts with colons between")
            third = parts[2] if len(parts) == 3 else None
            triples.append((str(parts[0]), str(parts[1]), third))
        return triples


def _row(record: _Record) -> Row:
    others = [column for column in record.cells if column not in _COLUMNS]
    views = [c for c in others if c.partition("_")[0] in ("video", "keypoints")]
    if unknown := sorted(set(others) - set(views)):
        known = ", ".join(sorted({*_COLUMNS, *views}))
        raise UserError(f"{record.where}: unknown column {unknown[0]!r}; known: {known}")
    filled = {column: text for column in record.cells if (text := record.text(column))}
    fields: dict[str, Any] = {c: record.number(c, filled[c]) for c in _NUMBERS if c in filled}
    fields |= {column: record.choice(column) for column in _TEXTS if column in filled}
    subject, action = record.name("subject"), record.name("action")
    # The line in the table makes the id of a row without one unique and easy to find.
    line = re.sub(r"\D+", "", record.where.rpartition(",")[2])
    estimate = record.text("pose") == ESTIMATE
    row = Row(
        where=record.where,
        folder=record.folder,
        clip_id=record.text("clip_id") or f"{subject}_{action}_{line}",
        subject=subject,
        action=action,
        emg=record.path("emg"),
        emg_channels=_emg_channels(record),
        emg_max={k: record.positive("emg_max", v) for k, v in record.pairs("emg_max").items()},
        pose=None if estimate else record.path("pose"),
        pose_estimate=estimate,
        pose_joints=_pose_joints(record),
        repetitions=_repetitions(record),
        find_repetitions=record.text("repetitions") == FIND,
        errors=tuple(
            (step, error, record.positive("errors", severity or 1))
            for step, error, severity in record.triples("errors")
        ),
        phases=tuple(
            (step, record.number("phases", start), record.number("phases", end))
            for step, start, end in record.triples("phases")
        ),
        heart=_rate(record, "heart"),
        breath=_rate(record, "breath"),
        **_videos(record, views),
        **fields,
    )
    _check(record, row)
    return row


def _videos(record: _Record, columns: list[str]) -> dict[str, Any]:
    """The fields of videos and their keypoints, from the columns that name files."""
    paths: dict[str, dict[str, Path]] = {"video": {}, "keypoints": {}}
    for column in columns:
        kind, _, view = column.partition("_")
        view = view or "front"
        if view not in vocabulary.VIEWS:
            raise record.error(column, f"unknown view; known: {', '.join(vocabulary.VIEWS)}")
        if path := record.path(column):
            paths[kind][view] = path
    for view in set(paths["keypoints"]) - set(paths["video"]):
        raise record.error(f"keypoints_{view}", "needs the video that they were found in")
    first = record.number("keypoints_first", record.text("keypoints_first") or 0)
    if not (math.isfinite(first) and first >= 0 and first == int(first)):
        raise record.error("keypoints_first", f"{first:g} is not the number of a frame")
    return {
        "videos": paths["video"],
        "keypoints": paths["keypoints"],
        "keypoints_first": int(first),
        "keypoints_largest": record.choice("keypoints_person") == "largest",
    }


def _emg_channels(record: _Record) -> dict[str, str]:
    channels = {name: str(target) for name, target in record.pairs("emg_channels").items()}
    for target in channels.values():
        try:
            vocabulary.split_channel(target)
        except ValueError as error:
            raise record.error("emg_channels", str(error)) from None
    if len(set(channels.values())) < len(channels):
        raise record.error("emg_channels", "two channels of the file have the same muscle")
    if record.text("emg") and not channels:
        raise record.error(
            "emg_channels",
            "which channel is which muscle? e.g. "
            "EMG1=left_vastus_lateralis; EMG2=right_vastus_lateralis",
        )
    return channels


def _pose_joints(record: _Record) -> dict[str, tuple[str, ...]]:
    pairs = record.pairs("pose_joints")
    joints = {
        str(joint): tuple(part.strip() for part in markers.split("+"))
        for markers, joint in pairs.items()
    }
    if len(joints) < len(pairs):
        raise record.error("pose_joints", "a joint is given twice; join its markers with +")
    return joints


def _repetitions(record: _Record) -> tuple[tuple[float, float], ...] | None:
    """The repetitions of a set; None if the row is one, or if they are to be found."""
    text = record.text("repetitions")
    if text in ("", FIND):
        return None
    if text == FREE:
        return ()
    parts = record.triples("repetitions")
    spans = [
        (record.number("repetitions", start), record.number("repetitions", end))
        for start, end, _ in parts
    ]
    ends = [time for span in spans for time in span]
    if (
        any(third is not None for *_, third in parts)
        or not all(a < b for a, b in spans)
        or ends != sorted(ends)
        or not math.isfinite(sum(ends))
    ):
        raise record.error(
            "repetitions", f"{text!r}: expected start:end; start:end; … in order, {FIND} or {FREE}"
        )
    return tuple(spans)


def _rate(record: _Record, kind: str) -> Rate | None:
    """Heart or breath rate: a number is the rate itself, anything else the name of its log."""
    column = f"{kind}_rate"
    text, channel = record.text(column), record.text(f"{kind}_channel")
    offset = record.number(f"{kind}_offset", record.text(f"{kind}_offset") or 0)
    if not text:
        return None
    try:
        record.number(column, text)
    except UserError:
        return Rate(file=record.path(column), channel=channel, offset=offset)
    return Rate(value=record.positive(column, text))


def _check(record: _Record, row: Row) -> None:
    """What one cell alone does not show, and ranges."""
    if not row.videos and row.emg is None:
        raise UserError(f"{row.where}: neither a video nor an emg file")
    if row.pose_estimate and not row.videos:
        raise record.error("pose", "to estimate it, a video is needed")
    if not row.end > row.start:
        raise record.error("end", f"{row.end:g} s is not after start {row.start:g} s")
    if row.repetitions is not None or row.find_repetitions:
        for column in ("errors", "phases", "score"):
            if record.text(column):
                raise record.error(column, "belongs to a single repetition, and the row is a set")
    for start, end in row.repetitions or ():
        if not row.start <= start < end <= row.end:
            raise record.error(
                "repetitions", f"{start:g} to {end:g} s is not within {row.start:g}-{row.end:g} s"
            )
    if row.find_repetitions and row.pose is None and not row.videos:
        raise record.error("repetitions", "to find them, a pose is needed")
    check_equipment(row.equipment, f"{row.where}, equipment")
    if not (math.isnan(row.score) or 0 <= row.score <= 100):
        raise record.error("score", f"{row.score:g} is not within 0-100")
    if row.emg_unit and units.find(row.emg_unit) is None:
        raise record.error(
            "emg_unit", f"{row.emg_unit!r} is not known: V, mV, uV, nV, or adc, fraction, %"
        )
    for column, (least, most, unit) in _RANGES.items():
        value = getattr(row, column)
        if not (math.isnan(value) or least <= value <= most):
            message = f"{value:g} {unit} is not within {least:g}-{most:g} {unit}"
            raise record.error(column, message)
