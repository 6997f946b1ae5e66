"""C3D files (c3d.org), read with ezc3d in another process, because damaged files can crash it."""

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError
from video2emg.data import readers, workers
from video2emg.data.readers.channel import Channel

_TIMEOUT_S = 60.0  # a recording of a whole session takes a few seconds


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """Analog channels in their units, then marker coordinates `name_x`, `_y`, `_z` in metres."""
    del rate  # the file always says it
    return _call(_read, path)


def read_segments(
    path: Path,
) -> tuple[tuple[str, ...], Float[np.ndarray, "T N 3"], float, float] | None:
    """Names and origins of segments whose poses Theia3D writes, rate (Hz) and start (s).

    None if the file has no poses of segments. The unit is that of the file.
    """
    return _call(_read_segments, path)


def _call(function: Callable[[Path], Any], path: Path) -> Any:
    """The result of a function that reads the file in another process."""
    readers.library("ezc3d", path)
    with readers.refused_if_damaged(path):
        try:
            return workers.call(function, path, timeout=_TIMEOUT_S)
        except workers.WorkerError:
            raise UserError(f"{path}: damaged C3D file (its reader crashed)") from None
        except TimeoutError:
            late = f"not read within {_TIMEOUT_S:g} s"
            raise UserError(f"{path}: damaged C3D file ({late})") from None


def _read(path: Path) -> list[Channel]:
    import ezc3d

    file = ezc3d.c3d(str(path))
    analog, point = file["parameters"]["ANALOG"], file["parameters"]["POINT"]
    names = _names(analog)
    units = [str(unit).strip() for unit in analog.get("UNITS", {}).get("value", [])]
    values = np.asarray(file["data"]["analogs"], np.float64)[0]
    rate = float(analog["RATE"]["value"][0]) if len(values) else 0.0
    points = np.asarray(file["data"]["points"], np.float64)
    start = _start(path, point, points.shape[-1])
    point_rate = float(point["RATE"]["value"][0]) if points.shape[1] else 0.0
    if (len(values) and rate <= 0) or (points.shape[1] and point_rate <= 0):
        raise UserError(f"{path}: rates of {rate:g} Hz (analog) and {point_rate:g} Hz (markers)")
    if max(values.shape[-1] if len(values) else 0, points.shape[-1]) == 0:
        raise UserError(f"{path}: the file has no samples")
    channels = [
        Channel(name, values[i], rate, start, units[i] if i < len(units) else "")
        for i, name in enumerate(names[: len(values)])
    ]
    lengths = [str(unit).strip().lower() for unit in point.get("UNITS", {}).get("value", [])]
    scale = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}.get(lengths[0] if lengths else "mm")
    if scale is None:
        raise UserError(f"{path}: marker unit {lengths[0]!r} is not mm, cm or m")
    for i, name in enumerate(_names(point)[: points.shape[1]]):
        for a, axis in enumerate("xyz"):
            channels.append(Channel(f"{name}_{axis}", scale * points[a, i], point_rate, start, "m"))
    return channels


def _read_segments(path: Path) -> Any:
    import ezc3d

    file = ezc3d.c3d(str(path))
    rotation = file["parameters"].get("ROTATION")
    poses = np.asarray(file["data"].get("rotations", []), np.float64)
    if rotation is None or poses.ndim != 4 or not poses.shape[2] or not poses.shape[3]:
        return None
    names = tuple(_names(rotation)[: poses.shape[2]])
    rate = float(np.ravel(rotation["RATE"]["value"])[0])
    if not rate > 0:
        raise UserError(f"{path}: a rate of {rate:g} Hz of its segments")
    places = np.moveaxis(poses[:3, 3], -1, 0).transpose(0, 2, 1)[:, : len(names)]
    frames = np.shape(file["data"]["points"])[-1]  # also of a file without markers
    return names, places, rate, _start(path, file["parameters"]["POINT"], frames)


def _start(path: Path, point: Mapping[str, Any], frames: int) -> float:
    """Of the first frame, s: frame 1 is at 0; trials cut out of longer ones begin at a later one.

    Args:
      path: see `_first_frame`.
      point: the parameters of the markers, whose rate is that of the frames.
      frames: see `_first_frame`.
    """
    first = _first_frame(path, frames)
    rate = float(point["RATE"]["value"][0])
    return first / rate if rate > 0 else 0.0


def _first_frame(path: Path, frames: int) -> int:
    """Number of frames before the first; refuses a truncated file, of which ezc3d returns the rest.

    The header's words 4 and 5 are the numbers of the first and the last frame (https://www.c3d.org).
    They say nothing about files with more frames than fit into 16 bits.
    """
    with path.open("rb") as file:
        header = file.read(512)
        file.seek(512 * (header[0] - 1) + 3)
        order = ">" if file.read(1) == bytes([86]) else "<"  # 86: written on a MIPS processor
    first, last = struct.unpack(f"{order}2H", header[6:10])
    if frames < last - first + 1 < 0xFFFF:
        raise UserError(f"{path}: cut off: {frames} of {last - first + 1} frames are in it")
    return max(first - 1, 0)


def _names(group: dict) -> list[str]:
    """The labels of all channels; beyond 255 they continue in LABELS2 and so on."""
    keys = ["LABELS", *(f"LABELS{n}" for n in range(2, 9))]
    return [str(name).strip() for key in keys for name in group.get(key, {}).get("value", [])]
