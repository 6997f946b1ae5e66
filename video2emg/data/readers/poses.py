"""3-D poses and keypoints of other programs → `PoseTrack`.

| file | of |
|---|---|
| `.csv`, one column per coordinate or one row per joint | MediaPipe, FreeMoCap, our own |
| `.json` | MediaPipe's landmarks, picture by picture |
| `.json` or a folder of them | COCO, AlphaPose (Halpe), OpenPose, RTMPose: 2-D |
| `.npy` [T, 33 or more, 3] | FreeMoCap |
| `.trc` | Sports2D, Pose2Sim, OpenCap, any markers with the names of joints |
| `.mot`, `.sto` | joint angles of OpenSim's models: OpenSim, OpenCap, Pose2Sim |
| `.c3d` | Theia3D (poses of segments), or markers with the names of joints |
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError
from video2emg.core.pose_track import CAMERA, FASTEST_HZ, UPRIGHT, PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.vocabulary import SIDES
from video2emg.data import readers
from video2emg.data.readers import c3d, keypoints, opensim
from video2emg.data.readers.pose_names import joints_of, squash
from video2emg.data.readers.pose_tables import (
    FRAMES,
    MOST_STEPS,
    TIMES,
    Table,
    checked,
    fractions,
    picture_times,
    read_channels,
    read_csv,
    read_trc,
    seconds,
    with_times,
)
from video2emg.pose import lengths
from video2emg.pose.opensim_angles import NAMES as ANGLE_NAMES
from video2emg.pose.opensim_angles import joints_from_angles

_NEEDED = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_HEIGHTS = {1.0: (0.8, 3.0), 0.01: (80.0, 300.0), 0.001: (800.0, 3000.0)}  # by factor to metres
_CENTRED = 0.06  # m by which the middle of the hips may be off the origin of world landmarks
_PICTURE = (-0.5, 1.5)  # fractions of a picture, where hips and shoulders usually are
_NO_DEPTH = 0.2  # of the hips, in landmarks that are fractions of a picture
# A mirrored body, see `_not_mirrored`.
_BACKWARDS = -0.5  # cosine between a foot and where the body faces
_MOSTLY = 0.8  # share of the instants that are judged
_JUDGED = 0.1  # share of all instants that must be judged, and 1 s
_IN_LINE = 0.7  # cosine between shank and trunk
_APART = 0.3  # distance of left and right, over the length of the trunk
_SEEN_WELL = 0.5  # confidence
_FLAT = 0.01  # of the height; less is no extent of a body
# Columns of Sports2D's angles, as `right knee`; OpenSim's are called `knee_angle_r`.
_IN_PICTURE = {f"{side}{part}" for side in SIDES for part in ("hip", "knee")}
# Names of times in JSON files, and their units; without one, the size of the steps says it.
_UNITS = {name: "" for name in TIMES} | {
    f"{name}{unit}": unit for name in TIMES for unit in ("ms", "us")
}


def read_pose(path: str | Path, rate: float = math.nan) -> PoseTrack:
    """Reads the pose of one person.

    The unit is found from the size of the body, and the axis that is up from the direction from
    hips to shoulders, so the person must be upright most of the time. Axes with y down are those of
    a camera.

    Args:
      path: see the table above.
      rate: Hz, of files without times.

    Raises:
      UserError: not such a file, joints that are missing, or a rate that is needed.
    """
    path = Path(path)
    if not (math.isnan(rate) or 0 < rate <= FASTEST_HZ):
        raise UserError(f"{path}: a rate of {rate:g} Hz; expected up to {FASTEST_HZ:g} Hz")
    try:
        return _read(path, rate)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read(path: Path, rate: float) -> PoseTrack:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not (path.is_file() or path.is_dir()):  # one that waits for a writer, or never ends
        raise UserError(f"{path}: neither a file nor a folder")
    suffix = path.suffix.lower()
    if path.is_dir() or (suffix == ".json" and not _is_landmarks(path)):
        return _points_2d(path, rate)
    if suffix in (".mot", ".sto"):
        return _angles(path, rate)
    read = {
        ".json": _landmarks,
        ".npy": _array,
        ".c3d": _c3d,
        ".csv": read_csv,
        ".trc": read_trc,
    }
    if suffix not in read:
        raise UserError(
            f"{path}: cannot read a pose from {suffix!r}; known: {', '.join(read)}, .mot"
        )
    return _track(read[suffix](path, rate), path, rate)


def _track(table: Table, path: Path, rate: float) -> PoseTrack:
    names, joints, confidence = _joints(table, path)
    track = PoseTrack(names, _times(table, path, rate), joints, confidence, None, path.name, CAMERA)
    if _is_normalised(track):
        raise UserError(f"{path}: landmarks as fractions of a picture; export the world landmarks")
    if not np.isfinite(_trunk(track)).all():
        raise UserError(f"{path}: hips and shoulders are never known at once")
    height = lengths.net_height(track)
    if _is_flat(track, height):
        raise UserError(f"{path}: all points lie in one plane; a pose with depth is needed")
    factor = next((f for f, (low, high) in _HEIGHTS.items() if low <= height <= high), None)
    if factor is None:
        raise UserError(f"{path}: a body of {height:.3g} units is neither m, cm nor mm")
    return _upright(_not_mirrored(dataclasses.replace(track, joints=joints * factor), path))


def _times(table: Table, path: Path, rate: float) -> Float[np.ndarray, " T"]:
    """The times of a table; else those of its pictures at the rate."""
    times = table.times
    if times is None:
        times = picture_times(path, len(table.values), rate)
    if times is None:
        raise UserError(f"{path}: has no times; say its rate (Hz)")
    return times


def _joints(
    table: Table, path: Path
) -> tuple[tuple[str, ...], Float[np.ndarray, "T J 3"], Float[np.ndarray, "T J"]]:
    """The points that are joints; markers of one joint are averaged."""
    groups: dict[str, list[int]] = {}
    for i, joint in enumerate(joints_of(table.names)):
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


def _middle(track: PoseTrack, part: str) -> Float[np.ndarray, "T 3"]:
    return (track.at(f"left_{part}") + track.at(f"right_{part}")) / 2


def _trunk(track: PoseTrack) -> Float[np.ndarray, " 3"]:
    """From hips to shoulders, as usual; NaN if they are never known at once."""
    trunk = _middle(track, "shoulder") - _middle(track, "hip")
    known = trunk[np.isfinite(trunk).all(1)]
    return np.median(known, axis=0) if len(known) else np.full(3, np.nan)


def _is_normalised(track: PoseTrack) -> bool:
    """Whether the points are fractions of a picture.

    Then y is down, z is relative to the hips, and x and y are not: the hips are somewhere in the
    picture.
    """
    trunk = _trunk(track)
    if not np.isfinite(trunk).all():
        return False
    hips, shoulders = (np.nanmedian(_middle(track, part), axis=0) for part in ("hip", "shoulder"))
    low, high = _PICTURE
    within = all(low < x < high for x in (*hips[:2], *shoulders[:2]))
    centred = np.nanmedian(np.linalg.norm(_middle(track, "hip"), axis=1)) < _CENTRED
    down = trunk[1] < 0 and np.abs(trunk).argmax() == 1
    inside = np.nanpercentile(track.joints[..., :2], 2) > low
    return bool(within and inside and not centred and down and abs(hips[2]) < _NO_DEPTH)


def _is_flat(track: PoseTrack, height: float) -> bool:
    """Whether all points of the body have nearly the same x, y or z."""
    joints = track.joints[np.isfinite(track.joints).all(2).sum(1) > 3]
    extent = np.nanmax(joints, axis=1) - np.nanmin(joints, axis=1)
    return bool((np.median(extent, axis=0) < _FLAT * height).any())


def _upright(track: PoseTrack) -> PoseTrack:
    """Finds the axis that is up, and turns it to z; y down stays the axes of a camera."""
    trunk = _trunk(track)
    axis = int(np.abs(trunk).argmax())
    if axis == 1 and trunk[1] < 0:
        return track
    up = np.sign(trunk[axis]) * np.eye(3)[axis]
    # Right-handed axes with z up: which way x points is found later.
    first = np.eye(3)[(axis + 1) % 3]
    turned = track.joints @ np.stack([first, np.cross(up, first), up], 1)
    return dataclasses.replace(track, joints=turned, axes=UPRIGHT)


def _not_mirrored(track: PoseTrack, path: Path) -> PoseTrack:
    """The track, unless both feet point backwards: then left and right are on the wrong sides.

    Judged are instants at which feet, hips and shoulders are seen well, the shanks are in line with
    the trunk (else the person kneels, or bends over), and left and right are well apart.

    Raises:
      UserError: they do. Left-handed axes, as those of game engines, mirror the body.
    """
    seen = track.masked(track.confidence >= _SEEN_WELL)
    left = sum(seen.at(f"left_{part}") - seen.at(f"right_{part}") for part in ("hip", "shoulder"))
    trunk = _middle(seen, "shoulder") - _middle(seen, "hip")
    forward = np.cross(left, trunk)
    trusted = _length(forward) > _APART * _length(trunk) ** 2
    backwards = trusted.copy()
    for side in SIDES:
        heel, ankle, knee = (seen.at(f"{side}_{part}") for part in ("heel", "ankle", "knee"))
        foot = seen.at(f"{side}_toe") - np.where(np.isfinite(heel), heel, ankle)
        trusted &= np.isfinite(foot).all(1) & (_cosine(knee - ankle, trunk) > _IN_LINE)
        backwards &= _cosine(foot, forward) < _BACKWARDS
    enough = max(_JUDGED * len(trusted), track.rate)
    if trusted.sum() >= enough and backwards[trusted].mean() > _MOSTLY:
        raise UserError(
            f"{path}: both feet point backwards, so left and right are on the wrong sides; the "
            "axes are left-handed (turn the sign of one of them), the names are exchanged, or the "
            "side from which the film was taken was set wrongly (visible_side of Sports2D)"
        )
    return track


def _length(vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, " T"]:
    return np.linalg.norm(vectors, axis=1)


def _cosine(a: Float[np.ndarray, "T 3"], b: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, " T"]:
    """Of the angle between two vectors at each instant; NaN if one is unknown."""
    length = _length(a) * _length(b)
    return np.sum(a * b, 1) / np.where(length > 0, length, np.nan)


def _frames(content: Any) -> list[Any]:
    if isinstance(content, dict):
        content = content.get("frames", content.get("results"))
    return content if isinstance(content, list) else []


def _people(frame: Any, nested: int = 2) -> list[list[Any]]:
    """The landmarks of everybody in a picture; world landmarks if there are both.

    Args:
      frame: a picture of the file.
      nested: how many lists may be around the landmarks of a person.
    """
    if isinstance(frame, dict):
        lists = {squash(k): v for k, v in frame.items() if isinstance(v, list)}
        keys = sorted(
            (k for k in lists if "landmark" in k and "face" not in k and "hand" not in k),
            key=lambda key: ("world" not in key, key),
        )
        frame = lists[keys[0]] if keys else []
    if not isinstance(frame, list) or not frame:
        return []
    count = len(BLAZEPOSE_33)
    if nested and len(frame) < count and all(isinstance(part, list) for part in frame):
        return [person for part in frame for person in _people(part, nested - 1)]
    return [frame] if len(frame) == count else []


def _is_landmarks(path: Path) -> bool:
    """Whether a JSON file has pictures with 33 landmarks, as MediaPipe's."""
    return any(_people(frame) for frame in _frames(readers.load_json(path)))


def _landmarks(path: Path, rate: float) -> Table:
    frames = _frames(readers.load_json(path))
    values = np.full((len(frames), len(BLAZEPOSE_33), 3), np.nan)
    confidence = np.zeros(values.shape[:2])
    for i, frame in enumerate(frames):
        people = _people(frame)
        if len(people) > 1:
            raise UserError(f"{path}: {len(people)} people in picture {i}; keep one per picture")
        for j, point in enumerate(people[0] if people else ()):
            values[i, j], confidence[i, j] = _landmark(point, f"{path}, picture {i}")
    clock, frame = _numbers_of(frames, _UNITS), _numbers_of(frames, dict.fromkeys(FRAMES, ""))
    return with_times(
        path,
        Table(BLAZEPOSE_33, values, fractions(confidence)),
        rate,
        None if clock is None else seconds(*clock),
        None if frame is None else frame[0],
    )


def _numbers_of(
    frames: Sequence[Any], units: Mapping[str, str]
) -> tuple[Float[np.ndarray, " T"], str] | None:
    """A number that every picture has under one of the names, and the unit of the name."""
    for name, unit in units.items():
        given = [
            [
                _float(v)
                for k, v in frame.items()
                if squash(k) == name and isinstance(v, int | float)
            ]
            if isinstance(frame, dict)
            else []
            for frame in frames
        ]
        if given and all(given):
            return np.array([numbers[0] for numbers in given]), unit
    return None


def _float(number: int | float) -> float:
    """NaN for a whole number that is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.nan


def _landmark(point: Any, where: str) -> tuple[list[float], float]:
    try:
        if isinstance(point, dict):
            return [float(point[axis]) for axis in "xyz"], float(point.get("visibility", 1.0))
        x, y, z, *rest = point
        return [float(x), float(y), float(z)], float(rest[0]) if rest else 1.0
    except (TypeError, ValueError, KeyError, OverflowError):
        raise UserError(f"{where}: a landmark needs x, y, z (and visibility)") from None


def _array(path: Path, rate: float) -> Table:
    with readers.refused_if_damaged(path):
        # Mapped, not loaded: a damaged header may promise more than fits into memory.
        values = np.lib.format.open_memmap(path, mode="r")
    if values.dtype.kind not in "iuf":
        raise UserError(f"{path}: an array of {values.dtype}; expected numbers")
    shape = values.shape
    if len(shape) != 3 or not shape[0] or shape[1] < len(BLAZEPOSE_33) or shape[2] != 3:
        raise UserError(f"{path}: {list(shape)}; expected [pictures, 33 or more, 3]")
    if shape[0] > MOST_STEPS:
        raise UserError(f"{path}: {shape[0]} pictures; expected up to {MOST_STEPS}")
    return Table(BLAZEPOSE_33, np.array(values[:, : len(BLAZEPOSE_33)], np.float64))


def _c3d(path: Path, rate: float) -> Table:
    """Origins of Theia3D's segments if there are some, else markers."""
    segments = c3d.read_segments(path)
    if segments is None:
        return read_channels(path, rate)
    names, places, segment_rate, start = segments
    clock = start + np.arange(len(places)) / segment_rate
    return Table(names, places, None, checked(path, clock))


def _angles(path: Path, rate: float) -> PoseTrack:
    motion = opensim.read_motion(path)
    if _IN_PICTURE.intersection(map(squash, motion.names)):
        raise UserError(
            f"{path}: 2-D angles, as of Sports2D, which make no body; give its .trc (in m) instead"
        )
    degrees = 1.0 if motion.unit == "deg" else math.degrees(1.0)
    angles = {
        name: values * degrees
        for name, values in zip(motion.names, motion.values.T, strict=True)
        if not name.endswith(("_tx", "_ty", "_tz"))
    }
    joints = joints_from_angles(angles, str(path))
    table = with_times(path, Table(ANGLE_NAMES, joints), rate, motion.times, nominal=motion.rate)
    known = np.isfinite(table.values).all(2).astype(float)
    times = _times(table, path, rate)
    return PoseTrack(ANGLE_NAMES, times, table.values, known, None, path.name, UPRIGHT)


def _points_2d(path: Path, rate: float) -> PoseTrack:
    detected = keypoints.read(path)
    if not rate > 0:
        raise UserError(f"{path}: keypoints have no times; say the rate of the film (Hz)")
    shape = detected.points.shape[:2]
    return PoseTrack(
        names=detected.joints,
        times=checked(path, detected.frame / rate),
        joints=np.full((*shape, 3), np.nan),
        confidence=np.nan_to_num(detected.points[..., 2]),
        points_2d=detected.points[..., :2],
        source=path.name,
    )
