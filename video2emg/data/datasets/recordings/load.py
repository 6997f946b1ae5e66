"""A row of the table of recordings → a Clip, with all signals on one clock."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from video2emg.core import skeleton as pose_lib
from video2emg.core import units
from video2emg.core.clip import Clip, Repetition, validate
from video2emg.core.errors import UserError
from video2emg.data import film_pose, pose_cache, readers, sync
from video2emg.data.datasets import poses
from video2emg.data.datasets.recordings.table import Rate, Row
from video2emg.data.film_pose import FilmOptions
from video2emg.data.found_repetitions import found_spans
from video2emg.data.readers import film, keypoints
from video2emg.data.readers.channel import SAME_RATE, Channel
from video2emg.data.readers.poses import read_pose
from video2emg.pose.body import BodyOptions
from video2emg.pose.lengths import HEIGHT

FPS = 10.0  # most frames per second that are kept
SIZE = 112  # of the square frames, px
_SINCE_1970 = 1e8  # s; a recording that starts later than three years counts from 1970
_BEYOND = 0.1  # s by which a repetition may end after the last sample
_STALE = 30.0  # s before or after the clip, beyond which a reading of a heart rate does not count


def load_clip(row: Row, fps: float = FPS, size: int = SIZE, estimate_pose: str = "") -> Clip:
    """Reads the files of a row and cuts out the repetition or set.

    Args:
      row: from `table.read_table`.
      fps: most frames per second to keep of each video.
      size: of the square frames, px.
      estimate_pose: net (`lite`, `full`, `heavy`) that estimates the pose of rows that have videos
        and no pose; if empty, only of rows that ask for it.

    Raises:
      UserError: naming row and file.
    """
    fields: dict = {}
    if row.videos:
        fields |= _videos(row, fps, size)
    if row.keypoints:
        fields |= _keypoints(row)
    if row.emg is not None:
        fields |= _emg(row, row.emg)
    facts: dict = {}
    if row.pose is not None:
        fields |= _pose(row, row.pose)
    elif row.pose_estimate or (estimate_pose and row.videos):
        estimated, facts = _estimated_pose(row, estimate_pose or "full")
        fields |= estimated
    phases = [(step, start, min(end, row.end)) for step, start, end in row.phases]
    clip = Clip(
        clip_id=row.clip_id,
        dataset="recordings",
        subject=row.subject,
        action=row.action,
        load=0.0 if row.equipment == "none" and math.isnan(row.load) else row.load,
        score=row.score,
        errors=row.errors,
        phases=tuple((step, start - row.start, end - row.start) for step, start, end in phases),
        provenance={
            "simulated": False,
            "row": row.where.rpartition("/")[2],
            "emg_kind": row.emg_kind,
            "emg_offset_s": row.emg_offset,
            "emg_drift": row.emg_drift,
            "licence": row.licence,
        }
        | ({"graph": row.graph} if row.graph else {})
        | ({"equipment": row.equipment} if row.equipment else {})
        | facts
        | _subject(row),
        **fields,
    )
    rates = _rate(row, "heart", row.heart, clip.end) | _rate(row, "breath", row.breath, clip.end)
    return validate(dataclasses.replace(clip, repetitions=_repetitions(row, clip), **rates))


def _repetitions(row: Row, clip: Clip) -> tuple[Repetition, ...] | None:
    """Those of a set on the clip's clock; None if the row is a single repetition."""
    spans = row.repetitions
    if row.find_repetitions:
        if len(clip.pose_time) < 2:
            raise UserError(f"{row.where}, repetitions: to find them, a pose is needed")
        spans = [(row.start + a, row.start + b) for a, b in found_spans(clip)]
        if not spans:
            raise UserError(f"{row.where}, repetitions: none is found in the pose; give them")
    if spans is None:
        return None
    if spans and spans[-1][1] - row.start > clip.end + _BEYOND:
        raise UserError(
            f"{row.where}, repetitions: {spans[-1][1]:g} s is after the end of the recordings at "
            f"{row.start + clip.end:g} s"
        )
    return tuple(Repetition(start=a - row.start, end=b - row.start) for a, b in spans)


def _subject(row: Row) -> dict:
    """What is known of the person, in the form that `data.person.traits` reads."""
    traits = {"height_m": row.height, "mass_kg": row.mass}
    known: dict = {name: value for name, value in traits.items() if not math.isnan(value)}
    if row.sex:
        known["female"] = row.sex == "female"
    return {"subject": known} if known else {}


def _videos(row: Row, fps: float, size: int) -> dict:
    frames, view, time = [], [], []
    # Beside a folder of pictures, the rate is that of the folder.
    of_films = row.video_rate > 0 and not any(path.is_dir() for path in row.videos.values())
    for v, path in enumerate(row.videos.values()):
        if of_films:
            film.check_rate(path, row.video_rate)
        jpegs, times = film.encode_frames(
            path, fps=fps, size=size, start=row.start, end=row.end, rate=row.video_rate
        )
        frames += jpegs
        view.append(np.full(len(times), v, np.int32))
        time.append(times - row.start)
    return {
        "views": tuple(row.videos),
        "frames": frames,
        "frame_view": np.concatenate(view),
        "frame_time": np.concatenate(time),
    }


def _emg(row: Row, path: Path) -> dict:
    where = f"{row.where}: {path.name}"
    channels = readers.select(readers.read(path, row.emg_rate), list(row.emg_channels), where)
    rates, starts = {round(c.rate, 3) for c in channels}, {round(c.start, 6) for c in channels}
    if (len(rates) > 1 and not all(math.isnan(rate) for rate in rates)) or len(starts) > 1:
        raise UserError(
            f"{where}: the chosen channels have different rates or starts ({sorted(rates)} Hz); a "
            "clip's EMG needs one clock"
        )
    rate = _common_rate(channels[0].rate, row.emg_rate, f"{row.where}, emg_rate", path)
    channel_units = [_emg_unit(channel, row, path) for channel in channels]
    unit = channel_units[0]
    length = min(len(channel.values) for channel in channels)
    scales = np.array([units.factor(other, unit, where) for other in channel_units])
    values = scales * np.stack([channel.values[:length] for channel in channels], axis=1)
    clock = sync.Clock(row.emg_offset, row.emg_drift)
    start = _relative(channels[0].start, row.emg_offset)
    time = clock.to_video(start + np.arange(length) / rate)
    inside = (time >= row.start - 0.5 / rate) & (time <= row.end)
    if inside.sum() < 2:
        raise UserError(
            f"{where} covers {time[0]:.2f} to {time[-1]:.2f} s of the video's clock, none of "
            f"{row.start:g} to {row.end:g} s"
        )
    values, time = values[inside], time[inside]
    for c, channel in enumerate(channels):
        gaps = ~np.isfinite(values[:, c])
        if gaps.any():
            raise UserError(
                f"{where}, channel {channel.name!r}: {gaps.sum()} missing samples, first at "
                f"{time[gaps.argmax()]:.3f} s"
            )
    muscles = tuple(row.emg_channels.values())
    unknown = set(row.emg_max) - set(muscles)
    if unknown:
        raise UserError(f"{row.where}, emg_max: {sorted(unknown)[0]!r} is not in emg_channels")
    largest = np.array([row.emg_max.get(m, math.nan) for m in muscles])
    return {
        "muscles": muscles,
        "emg": values.astype(np.float32),
        "emg_unit": unit,
        "emg_rate": clock.rate(rate),
        "emg_start": float(time[0] - row.start),
        "emg_max": (scales * largest).astype(np.float32),
    }


def _common_rate(of_file: float, of_row: float, where: str, path: Path) -> float:
    """The rate, Hz, that file and table agree upon."""
    if math.isnan(of_file) and math.isnan(of_row):
        raise UserError(f"{where}: {path.name} does not say its rate; give it in Hz")
    if abs(of_row / of_file - 1) > SAME_RATE:
        raise UserError(f"{where}: {of_row:g} Hz, but {path.name} says {of_file:.7g}")
    return of_row if math.isnan(of_file) else of_file


def _emg_unit(channel: Channel, row: Row, path: Path) -> str:
    """The unit that file and table agree upon."""
    if not (channel.unit or row.emg_unit):
        raise UserError(
            f"{row.where}, emg_unit: {path.name} does not say its unit; give it (mV, …)"
        )
    stated = units.find(channel.unit)
    unit = units.canonical(channel.unit if stated else row.emg_unit or channel.unit)
    if stated and row.emg_unit and unit != units.canonical(row.emg_unit):
        raise UserError(
            f"{row.where}, emg_unit: {row.emg_unit}, but {path.name} says {channel.unit} for "
            f"{channel.name!r}"
        )
    if units.find(unit) is None:
        raise UserError(
            f"{row.where}, emg_unit: {path.name} gives the unit of {channel.name!r} as {unit!r}, "
            "which is not known; say it in emg_unit (V, mV, uV, nV; adc, fraction, %)"
        )
    return unit


def _relative(start: float, offset: float) -> float:
    """Start on a clock that counts from the first sample if the file counts from 1970.

    A row with an offset as large means the file's own clock.
    """
    return 0.0 if start > _SINCE_1970 > abs(offset) else start


def _pose(row: Row, path: Path) -> dict:
    where = f"{row.where}: {path.name}"
    if path.suffix.lower() in (".mot", ".sto"):
        return _pose_of_angles(row, path)
    if path.is_dir() or path.suffix.lower() == ".json":
        raise UserError(
            f"{row.where}, pose: {path.name}: keypoints of one picture have no depth and no "
            "metres; name them in keypoints_<view>"
        )
    axes = poses.axes(row.pose_axes, f"{row.where}, pose_axes")
    joints = pose_lib.skeleton(row.pose_skeleton, f"{row.where}, pose_skeleton")
    unknown = set(row.pose_joints) - set(joints)
    if unknown:
        raise UserError(
            f"{row.where}, pose_joints: {sorted(unknown)[0]!r} is not a joint of "
            f"{row.pose_skeleton}"
        )
    markers = row.pose_joints or {joint: (joint,) for joint in joints}
    names = [f"{m}_{axis}" for group in markers.values() for m in group for axis in "xyz"]
    channels = readers.select(readers.read(path, row.pose_rate), names, where)
    rate = _common_rate(channels[0].rate, row.pose_rate, f"{row.where}, pose_rate", path)
    length = min(len(channel.values) for channel in channels)
    scale = np.array([units.factor(channel.unit or "m", "m", where) for channel in channels])
    values = scale * np.stack([channel.values[:length] for channel in channels], axis=1)
    values = poses.without_lost(values.reshape(length, -1, 3)).reshape(values.shape)
    start = _relative(channels[0].start, row.pose_offset)
    time = row.pose_offset + start + np.arange(length) / rate
    inside = (time >= row.start) & (time <= row.end) & np.isfinite(values).all(1)
    if not inside.any():
        raise UserError(f"{where} has no complete pose between {row.start:g} and {row.end:g} s")
    ends = np.cumsum([len(group) for group in markers.values()])
    groups = np.split(values[inside].reshape(inside.sum(), -1, 3), ends[:-1], axis=1)
    values = np.stack([group.mean(1) for group in groups], axis=1).astype(np.float32) @ axes
    # All clips get the same skeleton, so that one model can be trained on all of them.
    target = pose_lib.skeleton("flex_21")
    values = pose_lib.arrange(values, list(markers), target)
    missing = [name for name, x in zip(target, values[0], strict=True) if np.isnan(x).any()]
    if missing:
        raise UserError(f"{where} has nothing for {', '.join(missing)}")
    return {"joints": target, "pose": values, "pose_time": time[inside] - row.start}


def _pose_of_angles(row: Row, path: Path) -> dict:
    """The joints of a body of the row's height with the joint angles of an OpenSim file."""
    plain = {field.name: field.default for field in dataclasses.fields(Row)}
    for name in ("pose_axes", "pose_skeleton"):
        if getattr(row, name) != plain[name]:
            raise UserError(f"{row.where}, {name}: has no meaning for joint angles ({path.name})")
    if row.pose_joints:
        raise UserError(f"{row.where}, pose_joints: has no meaning for joint angles ({path.name})")
    try:
        track = read_pose(path, row.pose_rate)
    except UserError as error:
        raise UserError(f"{row.where}, pose: {error}") from None
    size = 1.0 if math.isnan(row.height) else row.height / HEIGHT
    target = pose_lib.skeleton("flex_21")
    values = pose_lib.arrange(size * track.joints, track.names, target)
    time = row.pose_offset + track.times
    inside = (time >= row.start) & (time <= row.end) & np.isfinite(values).any((1, 2))
    if not inside.any():
        raise UserError(
            f"{row.where}: {path.name} has no pose between {row.start:g} and {row.end:g} s"
        )
    return {
        "joints": target,
        "pose": values[inside].astype(np.float32),
        "pose_time": time[inside] - row.start,
    }


def _estimated_pose(row: Row, net: str) -> tuple[dict, dict]:
    """The pose by `data.pose_cache`, and what is written about it."""
    options = FilmOptions(net=net, body=BodyOptions(height=row.height), folder_rate=row.video_rate)
    films = list(row.videos.values())
    target = pose_lib.skeleton("flex_21")
    where = f"{row.where}, pose"
    values, time, who = pose_cache.estimated_pose(films, options, row.folder, target, where)
    inside = (time >= row.start) & (time <= row.end) & np.isfinite(values).any((1, 2))
    if not inside.any():
        raise UserError(f"{where}: none can be estimated from {row.start:g} to {row.end:g} s")
    fields = {"joints": target, "pose": values[inside], "pose_time": time[inside] - row.start}
    return fields, {"pose_estimated": {"net": net, "version": film_pose.VERSION, "who": who}}


def _keypoints(row: Row) -> dict:
    """2-D keypoints of every view, on the clip's clock and in the coordinates of stored frames."""
    points, view, time, skeletons = [], [], [], set()
    for name, path in row.keypoints.items():
        detected = keypoints.read(path, row.keypoints_largest)
        skeletons.add(detected.joints)
        if len(skeletons) > 1:
            raise UserError(f"{row.where}, keypoints_{name}: another skeleton than the other views")
        clock, size = film.frame_times(row.videos[name], row.video_rate)
        frame = detected.frame - row.keypoints_first
        if frame[0] < 0 or frame[-1] >= len(clock):
            raise UserError(
                f"{row.where}, keypoints_{name}: frames {detected.frame[0]} to "
                f"{detected.frame[-1]}, but the video has {len(clock)}; what is the number of its "
                "first one (keypoints_first)?"
            )
        inside = (clock[frame] >= row.start) & (clock[frame] <= row.end)
        scaled = detected.points[inside].astype(np.float32)
        scaled[..., :2] = 0.5 + (scaled[..., :2] - np.array(size) / 2) / max(size)
        points.append(scaled)
        view.append(np.full(len(scaled), list(row.videos).index(name), np.int32))
        time.append(clock[frame][inside] - row.start)
    return {
        "keypoint_joints": skeletons.pop(),
        "keypoints": np.concatenate(points),
        "keypoint_view": np.concatenate(view),
        "keypoint_time": np.concatenate(time),
    }


def _rate(row: Row, kind: str, rate: Rate | None, end: float) -> dict:
    """Readings of heart or breath rate from 0 to `end` s, and the nearest before and after."""
    if rate is None:
        return {}
    if rate.file is None:
        values, time = np.array([rate.value]), np.zeros(1)
    else:
        log = readers.readings(rate.file)
        channels = [channel for channel, _ in log]
        if not rate.channel and len(log) > 1:
            known = ", ".join(repr(channel.name) for channel in channels)
            raise UserError(f"{row.where}, {kind}_channel: which of {known}?")
        name = rate.channel or channels[0].name
        [channel] = readers.select(
            channels, [name], f"{row.where}, {kind}_channel: {rate.file.name}"
        )
        time = next(time for other, time in log if other is channel)
        time = time + rate.offset - row.start
        near = (time >= -_STALE) & (time <= end + _STALE) & np.isfinite(channel.values)
        if not near.any():
            raise UserError(
                f"{row.where}, {kind}_rate: {rate.file.name} has no reading within {_STALE:g} s of "
                "the clip"
            )
        values, time = channel.values[near], time[near]
        first = max(np.searchsorted(time, 0.0, "right") - 1, 0)
        last = np.searchsorted(time, end) + 1
        values, time = values[first:last], time[first:last]
        if channel.unit.lower() == "hz":
            values = 60 * values
    return {f"{kind}_rate": values.astype(np.float32), f"{kind}_time": time}
