"""C3D (c3d.org), through ezc3d, in a process of its own: damaged files can take a parser down."""

import concurrent.futures
import multiprocessing
from pathlib import Path

import numpy as np

from video2emg.data import readers
from video2emg.data.readers.channel import Channel
from video2emg.errors import UserError

_PATIENCE = 60.0  # s; a whole session is read in a few


def read(path: Path) -> list[Channel]:
    """Analog channels in their units, then marker coordinates `name_x`, `_y`, `_z` in metres."""
    readers.library("ezc3d", path)
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(1, context)
    try:
        return pool.submit(_read, path).result(_PATIENCE)
    except concurrent.futures.process.BrokenProcessPool:
        raise UserError(f"{path}: damaged C3D file (its reader crashed)") from None
    except concurrent.futures.TimeoutError:
        for process in multiprocessing.active_children():
            process.kill()
        raise UserError(f"{path}: damaged C3D file (not read within {_PATIENCE:g} s)") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(path: Path) -> list[Channel]:
    import ezc3d

    file = ezc3d.c3d(str(path))
    analog, point = file["parameters"]["ANALOG"], file["parameters"]["POINT"]
    names = _names(analog)
    units = [str(unit).strip() for unit in analog.get("UNITS", {}).get("value", [])]
    values = np.asarray(file["data"]["analogs"], np.float64)[0]
    rate = float(analog["RATE"]["value"][0]) if len(values) else 0.0
    points = np.asarray(file["data"]["points"], np.float64)
    point_rate = float(point["RATE"]["value"][0]) if points.shape[1] else 0.0
    if (len(values) and rate <= 0) or (points.shape[1] and point_rate <= 0):
        raise UserError(f"{path}: rates of {rate:g} Hz (analog) and {point_rate:g} Hz (markers)")
    if max(values.shape[-1] if len(values) else 0, points.shape[-1]) == 0:
        raise UserError(f"{path}: the file has no samples")
    channels = [
        Channel(name, values[i], rate, unit=units[i] if i < len(units) else "")
        for i, name in enumerate(names[: len(values)])
    ]
    lengths = [str(unit).strip().lower() for unit in point.get("UNITS", {}).get("value", [])]
    scale = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}.get(lengths[0] if lengths else "mm")
    if scale is None:
        raise UserError(f"{path}: marker unit {lengths[0]!r} is not mm, cm or m")
    for i, name in enumerate(_names(point)[: points.shape[1]]):
        for a, axis in enumerate("xyz"):
            channels.append(Channel(f"{name}_{axis}", scale * points[a, i], point_rate, unit="m"))
    return channels


def _names(group: dict) -> list[str]:
    """LABELS, continued in LABELS2 … beyond 255."""
    keys = ["LABELS", *(f"LABELS{n}" for n in range(2, 9))]
    return [str(name).strip() for key in keys for name in group.get(key, {}).get("value", [])]
