"""Mechanics as files: tables, a summary, files of OpenSim and C3D, and a picture."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.files import write_json, write_text
from video2emg.core.pose_track import BODY, PoseTrack
from video2emg.inference.mechanics import MechanicsReport, floor_force
from video2emg.inference.output import c3d_file, pose_files
from video2emg.inference.output.c3d_file import Signals
from video2emg.inference.output.storage import storage
from video2emg.physics.dynamics import GRAVITY
from video2emg.physics.skeleton import JOINTS
from video2emg.viz import mechanics as picture

TABLE, SUMMARY, PICTURE = "mechanics.csv", "mechanics.json", "mechanics.png"
TORQUES, ACTIVATIONS, ANGLES = "torques.sto", "activations.sto", "angles.mot"
C3D = "mechanics.c3d"
FORMAT = 1  # of `mechanics.json`
# Muscles whose name a reader looks for first, of those that work most.
_SHOWN = 8


def write(report: MechanicsReport, source: str, folder: Path) -> None:
    """Writes all files; `mechanics.c3d` only if ezc3d is installed."""
    header, columns = table(report)
    text = io.StringIO()
    np.savetxt(
        text, columns, "%.6g", delimiter=",", header=",".join(header), comments="", encoding="utf-8"
    )
    write_text(folder / TABLE, text.getvalue().replace("nan", ""))
    write_text(folder / TORQUES, storage("torques", report.time, vocabulary.DOFS, report.torque))
    known = np.nan_to_num(report.activation)
    write_text(folder / ACTIVATIONS, storage("activations", report.time, report.channels, known))
    write_movement(report, source, folder)
    write_json(folder / SUMMARY, describe(report, source))
    picture.draw(
        folder / PICTURE,
        source=source,
        time=report.time,
        joints=report.joints,
        torque=report.torque,
        channels=report.channels,
        activation=report.activation,
        floor=floor_force(report),
    )


def write_movement(report: MechanicsReport, source: str, folder: Path) -> None:
    """Joint angles, and the joints with activations and torques as signals."""
    track = PoseTrack(
        names=JOINTS,
        times=report.time,
        joints=report.joints.astype(np.float64),
        confidence=np.isfinite(report.joints).all(2).astype(float),
        source=source,
        axes=BODY,
    )
    pose_files.write_angles(track, folder / ANGLES)
    if c3d_file.is_available():
        c3d_file.write(
            folder / C3D,
            pose_files.on_floor(track),
            Signals(report.channels, "0-1", report.time, report.activation),
            Signals(vocabulary.DOFS, "N.m", report.time, report.torque),
        )


def table(report: MechanicsReport) -> tuple[list[str], Float[np.ndarray, "K X"]]:
    """One row per instant, with units in the header."""
    forces = [f"{side}_foot_{axis}_[N]" for side in vocabulary.SIDES for axis in "xyz"]
    header = [
        "time_[s]",
        *(f"{name}_[N.m]" for name in vocabulary.DOFS),
        *forces,
        *(f"bench_{axis}_[N]" for axis in "xyz"),
        "outside_soles_[m]",
        *(f"{channel}_[0-1]" for channel in report.channels),
    ]
    columns = [
        report.time[:, None],
        report.torque,
        report.feet.reshape(len(report.time), -1),
        report.bench,
        report.residual[:, None],
        report.activation,
    ]
    return header, np.concatenate(columns, 1)


def describe(report: MechanicsReport, source: str) -> dict[str, Any]:
    """What was told, the body that was used, and the peaks."""
    settings = report.settings
    weight = report.mass * GRAVITY
    peaks = np.abs(report.torque).argmax(0)
    return {
        "format": FORMAT,
        "source": source,
        "model": "mechanics alone: inverse dynamics and static optimisation, nothing measured",
        "anatomy": settings.anatomy,
        "load_kg": settings.load,
        "equipment": settings.equipment,
        "height_m": round(report.height, 3),
        "mass_kg": round(report.mass, 1),
        "mass_is_told": bool(np.isfinite(settings.mass)),
        "peak_torque_nm": {
            name: round(float(report.torque[peaks[d], d]), 1)
            for d, name in enumerate(vocabulary.DOFS)
        },
        "peak_torque_of_weight_height": {
            name: round(float(report.torque[peaks[d], d]) / (weight * report.height), 4)
            for d, name in enumerate(vocabulary.DOFS)
        },
        "peak_activation": {
            channel: _peak(report.activation[:, c]) for c, channel in enumerate(report.channels)
        },
        "floor_and_bench_of_weight": round(float(np.median(floor_force(report))), 3),
        "outside_soles_m": round(float(np.percentile(report.residual, 95)), 3),
    }


def _peak(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.max()), 3) if len(known) else None


def summary(report: MechanicsReport) -> list[str]:
    """Lines for a reader: the body, the largest torques, and what works most."""
    peaks = np.abs(report.torque).max(0)
    first = np.argsort(-peaks)[:4]
    torques = ", ".join(
        f"{vocabulary.DOFS[d]} {report.torque[:, d][np.abs(report.torque[:, d]).argmax()]:.0f}"
        for d in first
    )
    highest = np.nan_to_num(report.activation).max(0)
    most = ", ".join(
        f"{report.channels[c]} {100 * highest[c]:.0f} %" for c in np.argsort(-highest)[:_SHOWN]
    )
    lines = [
        f"body: {report.height:.2f} m, {report.mass:.0f} kg",
        f"largest torques, N·m: {torques}",
        f"highest activations: {most}",
    ]
    outside = float(np.percentile(report.residual, 95))
    if outside > 0.03:
        lines.append(
            f"the centre of pressure lies up to {100 * outside:.0f} cm outside the soles: the "
            "load, its place, the vertical or a support is not as told"
        )
    return lines
