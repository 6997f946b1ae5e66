"""Joints and signals as a C3D file (https://www.c3d.org), for programs of motion laboratories.

Joints are points in mm, x forward, y left, z up. As the standard says, a joint that is unknown has
the residual -1 and coordinates of 0. Signals are analog channels at the same rate; unknown samples
are NaN, because the standard has no mark for them.
"""

import dataclasses
import importlib.util
import math
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core.files import write_atomically
from video2emg.core.pose_track import PoseTrack
from video2emg.parallel.hosts import log

_MOST_CHANNELS = 255  # names in one list of labels
_MOST_FRAMES = 65535  # that programs read: their numbers have 16 bits


@dataclasses.dataclass(frozen=True)
class Signals:
    """Channels on one clock.

    Attributes:
      names: C.
      unit: of the values.
      time: s, at a fixed rate.
      values: NaN where unknown.
    """

    names: tuple[str, ...]
    unit: str
    time: Float[np.ndarray, " K"]
    values: Float[np.ndarray, "K C"]


def is_available() -> bool:
    """Whether the library that writes such files is installed."""
    return importlib.util.find_spec("ezc3d") is not None


def write(path: Path, track: PoseTrack, *signals: Signals) -> None:
    """Writes the joints on the clock of the signals; on their own rate without signals.

    A recording that is too long for a C3D file is not written, and a line says so.

    Args:
      path: of the file.
      track: z up. Positions between its instants are interpolated, see `PoseTrack.sampled`.
      *signals: on one clock, of `_MOST_CHANNELS` channels at most.
    """
    import ezc3d

    time, rate = _clock(track, signals)
    if len(time) > _MOST_FRAMES:
        log(f"{path.name}: not written: {len(time)} frames, a C3D file has {_MOST_FRAMES} at most")
        return
    joints, known = track.sampled(time)
    file = ezc3d.c3d()
    points = np.full((4, len(track.names), len(time)), np.nan)
    points[:3] = 1000 * np.moveaxis(joints, 0, -1).swapaxes(0, 1)
    _describe(file, "POINT", track.names, ["mm"] * len(track.names), rate)
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])  # z is up
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(known.T, 0.0, -1.0)[None]
    names = [name for part in signals for name in part.names]
    assert len(names) <= _MOST_CHANNELS
    units = [part.unit for part in signals for _ in part.names]
    _describe(file, "ANALOG", names, units, rate)
    values = [part.values for part in signals] or [np.zeros((len(time), 0))]
    file["data"]["analogs"] = np.concatenate(values, 1).T[None].astype(np.float64)
    file["header"]["points"]["first_frame"] = round(time[0] * rate) if len(time) else 0
    with tempfile.TemporaryDirectory() as folder:  # the library writes by name only
        written = Path(folder) / "a.c3d"
        file.write(str(written))
        write_atomically(path, lambda out: out.write(written.read_bytes()))


def _describe(file, group: str, names, units, rate: float) -> None:
    parameters = file["parameters"][group]
    parameters["RATE"]["value"] = [rate]
    parameters["LABELS"]["value"] = list(names)
    parameters["DESCRIPTIONS"]["value"] = [""] * len(names)
    parameters["UNITS"]["value"] = list(units)


def _clock(track: PoseTrack, signals: tuple[Signals, ...]) -> tuple[Float[np.ndarray, " K"], float]:
    """Instants at a fixed rate, s, and the rate, Hz. Frame 1 is at 0 s."""
    time = signals[0].time if signals else track.times
    rate = float(1 / np.median(np.diff(time))) if len(time) > 1 else 1.0
    if signals or not len(time):
        return time, rate
    first, last = math.ceil(time[0] * rate - 1e-6), math.floor(time[-1] * rate + 1e-6)
    return np.arange(max(first, 0), last + 1) / rate, rate
