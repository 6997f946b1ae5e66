"""`clips.csv` (or `clips.yaml`): one row per repetition, read strictly.

Columns (docs/bring_your_data.md explains each): subject, action; video_<view> and video_rate; emg,
emg_channels, emg_rate, emg_unit, emg_kind, emg_max, emg_offset, emg_drift; pose, pose_skeleton,
pose_joints, pose_axes, pose_rate, pose_offset; keypoints_<view>, keypoints_first, keypoints_person;
heart_rate, heart_channel, heart_offset, and the same for breath; start, end; height, mass, sex;
load, score, errors, phases, graph; clip_id, split, licence.
"""

import csv
import dataclasses
import io
import math
import re
from pathlib import Path
from typing import Any

import yaml

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data.readers.text import decode

TABLES = ("clips.csv", "clips.yaml", "clips.yml")
SPLITS = ("train", "validation", "test")
_NUMBERS = {
    "emg_rate": math.nan, "emg_offset": 0.0, "emg_drift": 0.0, "video_rate": math.nan,
    "pose_rate": math.nan, "pose_offset": 0.0, "start": 0.0, "end": math.inf, "load": math.nan,
    "score": math.nan, "heart_offset": 0.0, "breath_offset": 0.0, "keypoints_first": 0.0,
    "height": math.nan, "mass": math.nan,
}  # fmt: skip
_TEXTS = ("subject", "action", "clip_id", "emg_unit", "emg_kind", "split", "licence",
          "pose_skeleton", "graph", "pose_axes", "heart_rate", "heart_channel", "breath_rate",
          "breath_channel", "keypoints_person", "sex")  # fmt: skip
_FILES = ("emg", "pose")
_LISTS = ("emg_channels", "emg_max", "errors", "phases", "pose_joints")
_NO_VIEWS = ("video_rate", "keypoints_first", "keypoints_person")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*$")


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
    """One repetition as its owner describes it; times in seconds, rates in Hz.

    Attributes:
      where: table and line, for messages.
      clip_id, subject, action: names.
      videos: file or folder by view name.
      video_rate: of folders of pictures.
      emg: file, or None.
      emg_channels: name in the file → channel of the vocabulary.
      emg_rate: NaN if the file says it.
      emg_unit: empty if the file says it.
      emg_kind: `raw`, or `envelope` for signals that were rectified and smoothed before.
      emg_max: envelope at maximal voluntary contraction by channel.
      emg_offset: added to the EMG's times, to come onto the video's clock.
      emg_drift: by how much the EMG's clock runs slow: its second lasts (1 + drift) seconds.
      pose: file, or None.
      pose_skeleton: name, see `core.skeleton`.
      pose_joints: joint → markers in the file whose mean it is; empty if they are called alike.
      pose_axes: the file's axes that point forward, left and up, e.g. `x -z y`.
      pose_rate: NaN if the file says it.
      pose_offset: added to the pose's times.
      keypoints: file or folder of 2-D keypoints by view name.
      keypoints_first: number that the files give to the first frame of the video.
      keypoints_largest: of several people in a frame, take the largest.
      heart, breath: rates, or None.
      start, end: of the repetition on the video's clock (without video: on the EMG's).
      height, mass: of the subject, m and kg; NaN if unknown. sex: `female`, `male` or empty.
      load: kg.
      score: 0-100.
      errors: (key step, error type, severity).
      phases: (key step, start, end), on the same clock as `start`.
      graph: name and version of the knowledge graph of errors and phases; empty if not said.
      split: empty, or one of `SPLITS`.
      licence: text.
    """

    where: str
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
    start: float = 0.0
    end: float = math.inf
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
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) != 1:
        raise UserError(
            f"{folder}: expected one of {', '.join(TABLES)}, found {len(found)}; "
            "docs/bring_your_data.md shows what goes into it"
        )
    return found[0]


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
    rows = [_row(record, f"{table}, {place}", table.parent) for place, record in records]
    seen: dict[str, str] = {}
    for row in rows:
        if row.clip_id in seen:
            raise UserError(f"{row.where}: clip_id {row.clip_id!r} is also at {seen[row.clip_id]}")
        seen[row.clip_id] = row.where
    return rows


def _csv(text: str, table: Path) -> list[tuple[str, dict[str, str]]]:
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    records = []
    try:
        for record in reader:
            if None in record:
                raise UserError(f"{table}, line {reader.line_num}: more cells than columns")
            cells = {(k or "").strip(): (v or "").strip() for k, v in record.items()}
            if any(cells.values()):
                records.append((f"line {reader.line_num}", cells))
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num}: {error}") from None
    return records


def _yaml(text: str, table: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{table}: not YAML ({' '.join(str(error).split())[:160]})") from None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UserError(f"{table}: expected a list of mappings, one per repetition")
    return [(f"item {i + 1}", {str(k): v for k, v in item.items()}) for i, item in enumerate(found)]


def _row(record: dict[str, Any], where: str, folder: Path) -> Row:
    views = [key for key in record if key.partition("_")[0] in ("video", "keypoints")]
    views = [key for key in views if key not in _NO_VIEWS]
    known = {*_NUMBERS, *_TEXTS, *_FILES, *_LISTS, *views}
    unknown = sorted(set(record) - known)
    if unknown:
        raise UserError(
            f"{where}: unknown column {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )

    def text(column: str) -> str:
        value = record.get(column)
        return "" if value is None else str(value).strip()

    fields: dict[str, Any] = {
        column: _number(text(column), f"{where}, {column}") if text(column) else default
        for column, default in _NUMBERS.items()
    }
    fields |= {
        c: text(c) for c in ("licence", "split", "emg_unit", "subject", "action", "graph", "sex")
    }
    for column in ("subject", "action"):
        if not _NAME.match(fields[column]):
            raise UserError(f"{where}, {column}: {fields[column]!r} is not a name (letters, digits "
                            "and _ - .)")  # fmt: skip
    if fields["split"] not in ("", *SPLITS):
        raise UserError(f"{where}, split: {fields['split']!r} is not one of {SPLITS}")
    if fields["sex"] not in ("", "female", "male"):
        raise UserError(f"{where}, sex: {fields['sex']!r} is not female or male")
    for column, least, most, unit in (("height", 0.5, 2.5, "m"), ("mass", 10, 400, "kg")):
        if not (math.isnan(fields[column]) or least <= fields[column] <= most):
            raise UserError(f"{where}, {column}: {fields[column]:g} {unit} is not within "
                            f"{least:g}-{most:g} {unit}")  # fmt: skip
    fields["emg_kind"] = text("emg_kind") or "raw"
    if fields["emg_kind"] not in ("raw", "envelope"):
        raise UserError(f"{where}, emg_kind: {fields['emg_kind']!r} is not raw or envelope")
    fields["pose_skeleton"] = text("pose_skeleton") or "flex_21"
    fields["pose_axes"] = text("pose_axes") or "x y z"
    if not fields["end"] > fields["start"]:
        raise UserError(
            f"{where}, end: {fields['end']:g} s is not after start {fields['start']:g} s"
        )
    score = fields["score"]
    if not (math.isnan(score) or 0 <= score <= 100):
        raise UserError(f"{where}, score: {score:g} is not within 0-100")
    fields["videos"], fields["keypoints"] = {}, {}
    for key in views:
        kind, _, view = key.partition("_")
        view = view or "front"
        if view not in vocabulary.VIEWS:
            raise UserError(f"{where}, {key}: unknown view; known: {', '.join(vocabulary.VIEWS)}")
        if text(key):
            place = fields["videos" if kind == "video" else "keypoints"]
            place[view] = _inside(folder, text(key), f"{where}, {key}")
    for view in set(fields["keypoints"]) - set(fields["videos"]):
        raise UserError(f"{where}, keypoints_{view}: needs the video that they were found in")
    first = fields["keypoints_first"]
    if not (first >= 0 and first == int(first) if math.isfinite(first) else False):
        raise UserError(f"{where}, keypoints_first: {first:g} is not the number of a frame")
    fields["keypoints_first"] = int(first)
    if text("keypoints_person") not in ("", "largest"):
        raise UserError(f"{where}, keypoints_person: {text('keypoints_person')!r} is not largest")
    fields["keypoints_largest"] = text("keypoints_person") == "largest"
    for kind in ("heart", "breath"):
        offset = fields.pop(f"{kind}_offset")
        named = text(f"{kind}_rate")
        fields[kind] = _rate(named, text(f"{kind}_channel"), offset, folder,
                             f"{where}, {kind}_rate") if named else None  # fmt: skip
    for column in _FILES:
        name = text(column)
        fields[column] = _inside(folder, name, f"{where}, {column}") if name else None
    if not fields["videos"] and fields["emg"] is None:
        raise UserError(f"{where}: neither a video nor an emg file")
    fields["emg_channels"] = _channels(record.get("emg_channels"), where)
    if fields["emg"] and not fields["emg_channels"]:
        raise UserError(f"{where}, emg_channels: which channel is which muscle? e.g. "
                        "EMG1=left_vastus_lateralis; EMG2=right_vastus_lateralis")  # fmt: skip
    joints = _pairs(record.get("pose_joints"), f"{where}, pose_joints")
    if len(set(joints.values())) < len(joints):
        raise UserError(f"{where}, pose_joints: a joint is given twice; its markers stand with +")
    fields["pose_joints"] = {
        str(joint): tuple(part.strip() for part in markers.split("+"))
        for markers, joint in joints.items()
    }
    fields["emg_max"] = {
        channel: _positive(value, f"{where}, emg_max")
        for channel, value in _pairs(record.get("emg_max"), f"{where}, emg_max").items()
    }
    fields["errors"] = tuple(
        (step, error, _positive(severity or 1, f"{where}, errors"))
        for step, error, severity in _triples(record.get("errors"), f"{where}, errors")
    )
    fields["phases"] = tuple(
        (step, _number(begin, f"{where}, phases"), _number(stop, f"{where}, phases"))
        for step, begin, stop in _triples(record.get("phases"), f"{where}, phases")
    )
    # The table's line keeps a made-up id unique and findable.
    line = re.sub(r"\D+", "", where.rpartition(",")[2])
    fields["clip_id"] = text("clip_id") or f"{fields['subject']}_{fields['action']}_{line}"
    return Row(where=where, **fields)


def _inside(folder: Path, name: str, where: str) -> Path:
    """A path below the table's folder, also after links are followed."""
    try:
        path = (folder / name).resolve()
        if path.is_relative_to(folder.resolve()) and not Path(name).is_absolute():
            if path.exists():
                return path
            raise UserError(f"{where}: no such file: {name}")
    except (OSError, ValueError):
        raise UserError(f"{where}: not a path: {name[:80]!r}") from None
    raise UserError(f"{where}: {name} lies outside the table's folder")


def _rate(named: str, channel: str, offset: float, folder: Path, where: str) -> Rate:
    """A number is the rate itself, anything else the name of its log."""
    try:
        float(named.replace(",", "."))
    except ValueError:
        return Rate(file=_inside(folder, named, where), channel=channel, offset=offset)
    return Rate(value=_positive(named, where))


def _pairs(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(k): v for k, v in value.items()}
    found = {}
    for part in str(value or "").split(";"):
        key, sign, right = part.partition("=")
        if part.strip() and not sign:
            raise UserError(f"{where}: {part.strip()!r} is not name=value")
        if sign:
            found[key.strip()] = right.strip()
    return found


def _channels(value: Any, where: str) -> dict[str, str]:
    channels = {}
    for name, target in _pairs(value, f"{where}, emg_channels").items():
        try:
            vocabulary.split_channel(str(target))
        except ValueError as error:
            raise UserError(f"{where}, emg_channels: {error}") from None
        channels[name] = str(target)
    if len(set(channels.values())) < len(channels):
        raise UserError(f"{where}, emg_channels: two channels of the file have the same muscle")
    return channels


def _triples(value: Any, where: str) -> list[tuple[str, str, Any]]:
    items = value if isinstance(value, list) else str(value or "").split(";")
    found = []
    for item in items:
        parts = item if isinstance(item, list) else [p.strip() for p in str(item).split(":")]
        if parts == [""]:
            continue
        if not 2 <= len(parts) <= 3:
            raise UserError(f"{where}: {item!r} is not three parts with colons between")
        found.append((str(parts[0]), str(parts[1]), parts[2] if len(parts) == 3 else None))
    return found


def _number(value: Any, where: str) -> float:
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        raise UserError(f"{where}: {value!r} is not a number") from None


def _positive(value: Any, where: str) -> float:
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{where}: {value!r} is not a positive number")
    return number
