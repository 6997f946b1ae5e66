"""3-D poses and keypoints of other programs → `PoseTrack`.

| file | of |
|---|---|
| `.csv`, one column per coordinate or one row per joint | MediaPipe, FreeMoCap, our own |
| `.json` | MediaPipe's landmarks, picture by picture |
| `.json` or a folder of them | COCO, AlphaPose (Halpe), OpenPose, RTMPose: 2-D |
| `.npy` [T, 33 or more, 3] | FreeMoCap |
| `.trc` | Sports2D, Pose2Sim, OpenCap, any markers with the names of joints |
| `.mot`, `.sto` | joint angles of OpenSim, OpenCap, Sports2D |
| `.c3d` | Theia3D (poses of segments), or markers with the names of joints |
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError
from video2emg.core.pose_track import CAMERA, UPRIGHT, PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.data import readers
from video2emg.data.readers import c3d, keypoints
from video2emg.data.readers.pose_names import joint_of, squash
from video2emg.pose import lengths
from video2emg.pose.opensim_angles import NAMES as ANGLE_NAMES
from video2emg.pose.opensim_angles import joints_from_angles

_NEEDED = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_CONFIDENCE = ("visibility", "confidence", "likelihood", "score", "v", "c")
_TIMES = ("time", "times", "timestamp", "timestamps", "t")
_HEIGHTS = {1.0: (0.8, 3.0), 0.01: (80.0, 300.0), 0.001: (800.0, 3000.0)}  # by factor to metres
_CENTRED = 0.06  # m by which the middle of the hips may be off the origin of world landmarks
_PICTURE = (-1.0, 2.0)  # fractions of a picture, in which normalised landmarks lie
_MOST_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class _Table:
    """Points by the names of the file.

    Attributes:
      names: N.
      values: [T, N, 3], any unit and axes; NaN where lost.
      confidence: [T, N]; None if the file has none.
      times: s; None if the file has none.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T N 3"]
    confidence: Float[np.ndarray, "T N"] | None = None
    times: Float[np.ndarray, " T"] | None = None


def read_pose(
    path: str | Path,
    rate: float = math.nan,
    size: tuple[int, int] | None = None,
    largest: bool = False,
) -> PoseTrack:
    """Reads the pose of one person.

    The unit is found from the size of the body, and the axis that is up from the direction from
    hips to shoulders, so the person must be upright most of the time. Axes with y down are those of
    a camera.

    Args:
      path: see the table above.
      rate: Hz, of files without times.
      size: width and height of the film, px, for MediaPipe's landmarks as fractions of a picture.
      largest: of several people in a picture of 2-D keypoints, take the one with the largest box.

    Raises:
      UserError: not such a file, joints that are missing, or a rate or size that is needed.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if path.is_dir() or (suffix == ".json" and not _is_landmarks(path)):
        return _points_2d(path, rate, largest)
    if suffix in (".mot", ".sto"):
        return _angles(path, rate)
    read = {".json": _landmarks, ".npy": _array, ".c3d": _c3d, ".csv": _csv, ".trc": _channels}
    if suffix not in read:
        raise UserError(
            f"{path}: cannot read a pose from {suffix!r}; known: {', '.join(read)}, .mot"
        )
    return _track(read[suffix](path, rate), path, rate, size)


def _track(table: _Table, path: Path, rate: float, size: tuple[int, int] | None) -> PoseTrack:
    names, joints, confidence = _joints(table, path)
    times = table.times
    if times is None:
        if not rate > 0:
            raise UserError(f"{path}: has no times; say its rate (Hz)")
        times = np.arange(len(joints)) / rate
    if len(times) > 1 and not (np.diff(times) > 0).all():
        raise UserError(f"{path}: its times do not increase")
    track = PoseTrack(names, times, joints, confidence, None, path.name, CAMERA)
    if _is_normalised(track):
        if size is None:
            raise UserError(
                f"{path}: landmarks as fractions of a picture; export world landmarks, or say the "
                "width and height of the film (px)"
            )
        pixels = joints * [size[0], size[1], size[0]]
        own = lengths.net_height(dataclasses.replace(track, joints=pixels))
        return dataclasses.replace(
            track, joints=pixels * (lengths.HEIGHT / own), points_2d=pixels[..., :2]
        )
    height = lengths.net_height(track)
    factor = next((f for f, (low, high) in _HEIGHTS.items() if low <= height <= high), None)
    if factor is None:
        raise UserError(f"{path}: a body of {height:.3g} units is neither m, cm nor mm")
    return _upright(dataclasses.replace(track, joints=joints * factor), path)


def _joints(
    table: _Table, path: Path
) -> tuple[tuple[str, ...], Float[np.ndarray, "T J 3"], Float[np.ndarray, "T J"]]:
    """The points that are joints; markers of one joint are averaged."""
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(table.names):
        joint = joint_of(name)
        if joint:
            groups.setdefault(joint, []).append(i)
    missing = [joint for joint in _NEEDED if joint not in groups]
    if missing:
        known = ", ".join(table.names[:12])
        raise UserError(f"{path}: no {missing[0].replace('_', ' ')} among its points ({known} …)")
    values = table.values.astype(np.float64)
    lost = (values == 0).all(2)
    values = np.where((lost & ~lost.all(0))[..., None], np.nan, values)
    stacked = [values[:, group].mean(1) for group in groups.values()]
    joints = np.stack(stacked, 1)
    known = np.isfinite(joints).all(2)
    confidence = known.astype(float)
    if table.confidence is not None:
        given = [table.confidence[:, group].min(1) for group in groups.values()]
        confidence = np.where(known, np.clip(np.nan_to_num(np.stack(given, 1)), 0, 1), 0.0)
    return tuple(groups), joints, confidence


def _is_normalised(track: PoseTrack) -> bool:
    """Whether the points are fractions of a picture: not around the hips, and y down."""
    low, high = _PICTURE
    values = track.joints[..., :2]
    within = np.nanmin(values) > low and np.nanmax(values) < high
    hips = (track.at("left_hip") + track.at("right_hip")) / 2
    centred = np.nanmedian(np.linalg.norm(hips, axis=1)) < _CENTRED
    shoulders = (track.at("left_shoulder") + track.at("right_shoulder")) / 2
    trunk = np.nanmedian(shoulders - hips, axis=0)
    down = trunk[1] < 0 and np.abs(trunk).argmax() == 1
    return bool(within and not centred and down and np.nanmin(values) > -0.5)


def _upright(track: PoseTrack, path: Path) -> PoseTrack:
    """Finds the axis that is up, and turns it to z; y down stays the axes of a camera."""
    hips, shoulders = (
        (track.at(f"left_{part}") + track.at(f"right_{part}")) / 2 for part in ("hip", "shoulder")
    )
    trunk = np.nanmedian(shoulders - hips, axis=0)
    if not np.isfinite(trunk).all():
        raise UserError(f"{path}: hips and shoulders are never known at once")
    axis = int(np.abs(trunk).argmax())
    if axis == 1 and trunk[1] < 0:
        return track
    up = np.sign(trunk[axis]) * np.eye(3)[axis]
    # Right-handed axes with z up: which way x points is found later.
    first = np.eye(3)[(axis + 1) % 3]
    turned = track.joints @ np.stack([first, np.cross(up, first), up], 1)
    return dataclasses.replace(track, joints=turned, axes=UPRIGHT)


def _channels(path: Path, rate: float) -> _Table:
    """Channels `name_x`, `name_y`, `name_z` and, if there are some, `name_visibility`."""
    channels = readers.read(path, rate)
    first = channels[0]
    columns: dict[str, dict[str, np.ndarray]] = {}
    times = None if math.isnan(first.rate) else first.time
    for channel in channels:
        name, _, part = channel.name.replace(" ", "_").rpartition("_")
        if squash(channel.name) in _TIMES:
            continue
        if not name:  # x0, y0, z0, v0
            name, part = channel.name[1:], channel.name[:1].lower()
        part = part.lower()
        part = "c" if part in _CONFIDENCE else part
        if part in "xyzc" and part:
            columns.setdefault(name, {})[part] = channel.values
    names = [name for name, parts in columns.items() if {"x", "y", "z"} <= set(parts)]
    if not names:
        raise UserError(f"{path}: no columns name_x, name_y, name_z")
    length = min(len(v) for name in names for v in columns[name].values())
    values = np.stack(
        [np.stack([columns[name][axis][:length] for axis in "xyz"], 1) for name in names], 1
    )
    confidence = None
    if all("c" in columns[name] for name in names):
        confidence = np.stack([columns[name]["c"][:length] for name in names], 1)
    if times is not None and rate > 0 and any(math.isnan(c.rate) for c in channels):
        times = None
    return _Table(tuple(names), values, confidence, None if times is None else times[:length])


def _csv(path: Path, rate: float) -> _Table:
    """Wide tables by `_channels`; tables with a row per joint are rearranged."""
    first = path.open(encoding="utf-8", errors="replace").readline()
    columns = [cell.strip().strip('"').lower() for cell in first.split(",")]
    naming = next(
        (c for c in ("landmark", "joint", "keypoint", "name", "marker") if c in columns), ""
    )
    if not naming or not {"x", "y", "z"} <= set(columns):
        return _channels(path, rate)
    counting = next((c for c in ("frame", *_TIMES) if c in columns), "")
    if not counting:
        raise UserError(f"{path}: rows of joints need a column frame or time")
    rows = _rows(path, columns)
    instants = sorted({row[counting] for row in rows})
    names = tuple(dict.fromkeys(str(row[naming]) for row in rows))
    values = np.full((len(instants), len(names), 3), np.nan)
    confidence = np.full((len(instants), len(names)), np.nan)
    sure = next((c for c in _CONFIDENCE if c in columns), "")
    place = {instant: i for i, instant in enumerate(instants)}
    for row in rows:
        i, n = place[row[counting]], names.index(str(row[naming]))
        values[i, n] = [row["x"], row["y"], row["z"]]
        confidence[i, n] = row[sure] if sure else 1.0
    clock = np.array(instants, float)
    timed = counting != "frame"
    if timed and np.median(np.diff(clock)) > 5:
        clock = clock / 1000  # ms
    if not timed and rate > 0:
        clock, timed = (clock - clock[0]) / rate, True
    return _Table(names, values, confidence, clock if timed else None)


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The cells of each line, numbers where they are numbers."""
    rows = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines()[1:], 2):
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if not line.strip():
            continue
        if len(cells) != len(columns):
            raise UserError(f"{path}, line {number}: {len(cells)} cells for {len(columns)} columns")
        row: dict[str, Any] = dict(zip(columns, cells, strict=True))
        for column in (*"xyz", *_CONFIDENCE, "frame", *_TIMES):
            if column in row:
                try:
                    row[column] = float(row[column]) if row[column] else math.nan
                except ValueError:
                    raise UserError(
                        f"{path}, line {number}, {column}: {row[column][:40]!r} is not a number"
                    ) from None
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: no rows")
    return rows


def _load_json(path: Path) -> Any:
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path}: larger than 1 GiB")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({' '.join(str(error).split())[:120]})") from None


def _frames(content: Any) -> list[Any]:
    if isinstance(content, dict):
        content = content.get("frames", content.get("results"))
    return content if isinstance(content, list) else []


def _points_of(frame: Any) -> list[Any]:
    """The landmarks of the first person in a picture; world landmarks if there are both."""
    if isinstance(frame, dict):
        lists = {squash(k): v for k, v in frame.items() if isinstance(v, list)}
        keys = sorted(
            (k for k in lists if "landmark" in k), key=lambda key: ("world" not in key, key)
        )
        frame = lists[keys[0]] if keys else []
    while isinstance(frame, list) and len(frame) == 1 and isinstance(frame[0], list):
        frame = frame[0]
    return frame if isinstance(frame, list) else []


def _is_landmarks(path: Path) -> bool:
    """Whether a JSON file has pictures with 33 landmarks, as MediaPipe's."""
    return any(
        len(_points_of(frame)) == len(BLAZEPOSE_33) for frame in _frames(_load_json(path))[:500]
    )


def _landmarks(path: Path, rate: float) -> _Table:
    frames = _frames(_load_json(path))
    values = np.full((len(frames), len(BLAZEPOSE_33), 3), np.nan)
    confidence = np.zeros(values.shape[:2])
    times: list[float] = []
    for i, frame in enumerate(frames):
        points = _points_of(frame)
        if len(points) == len(BLAZEPOSE_33):
            for j, point in enumerate(points):
                values[i, j], confidence[i, j] = _landmark(point, f"{path}, picture {i}")
        if isinstance(frame, dict):
            times += [_seconds(k, v) for k, v in frame.items() if _is_time(k, v)][:1]
    clock = np.array(times) if len(times) == len(frames) else None
    return _Table(BLAZEPOSE_33, values, confidence, None if rate > 0 else clock)


def _landmark(point: Any, where: str) -> tuple[list[float], float]:
    try:
        if isinstance(point, dict):
            return [float(point[axis]) for axis in "xyz"], float(point.get("visibility", 1.0))
        x, y, z, *rest = point
        return [float(x), float(y), float(z)], float(rest[0]) if rest else 1.0
    except (TypeError, ValueError, KeyError):
        raise UserError(f"{where}: a landmark needs x, y, z (and visibility)") from None


def _is_time(key: str, value: Any) -> bool:
    word = squash(key)
    return (
        word.startswith(("time", "t"))
        and word
        in (
            *_TIMES,
            "times",
            "timems",
            "timestampms",
            "timestamps",
        )
        and isinstance(value, int | float)
    )


def _seconds(key: str, value: float) -> float:
    return value / 1000 if squash(key).endswith("ms") or isinstance(value, int) else value


def _array(path: Path, rate: float) -> _Table:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: not an array of numbers ({str(error)[:80]})") from None
    if values.ndim != 3 or values.shape[1] < len(BLAZEPOSE_33) or values.shape[2] != 3:
        raise UserError(f"{path}: {list(values.shape)}; expected [pictures, 33 or more, 3]")
    return _Table(BLAZEPOSE_33, values[:, : len(BLAZEPOSE_33)].astype(float))


def _c3d(path: Path, rate: float) -> _Table:
    """Origins of Theia3D's segments if there are some, else markers."""
    segments = c3d.read_segments(path)
    if segments is None:
        return _channels(path, rate)
    names, places, segment_rate, start = segments
    return _Table(names, places, None, start + np.arange(len(places)) / segment_rate)


def _angles(path: Path, rate: float) -> PoseTrack:
    channels = readers.read(path, rate)
    first = channels[0]
    degrees = {"deg": 1.0}.get(first.unit, math.degrees(1.0))
    angles = {
        channel.name: channel.values * degrees
        for channel in channels
        if not channel.name.endswith(("_tx", "_ty", "_tz"))
    }
    joints = joints_from_angles(angles, str(path))
    known = np.isfinite(joints).all(2).astype(float)
    return PoseTrack(ANGLE_NAMES, first.time, joints, known, None, path.name, UPRIGHT)


def _points_2d(path: Path, rate: float, largest: bool) -> PoseTrack:
    detected = keypoints.read(path, largest)
    if not rate > 0:
        raise UserError(f"{path}: keypoints have no times; say the rate of the film (Hz)")
    shape = detected.points.shape[:2]
    return PoseTrack(
        names=detected.joints,
        times=detected.frame / rate,
        joints=np.full((*shape, 3), np.nan),
        confidence=np.nan_to_num(detected.points[..., 2]),
        points_2d=detected.points[..., :2],
        source=path.name,
    )
