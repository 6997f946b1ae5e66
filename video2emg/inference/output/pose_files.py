"""A pose as files: tables, files of OpenSim and C3D, and what was found in words."""

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core.files import write_json, write_text
from video2emg.core.pose_track import PoseTrack
from video2emg.data.film_pose import FilmPose
from video2emg.inference.output import c3d_file
from video2emg.inference.output.c3d_file import Signals
from video2emg.inference.output.storage import storage
from video2emg.pose.opensim_angles import angles_from_joints

CSV, TRC, JSON, POINTS = "pose.csv", "pose.trc", "pose.json", "points.csv"
ANGLES, C3D = "angles.mot", "pose.c3d"
FORMAT = 1  # of `pose.json`

# Joints that touch the floor.
_FEET = ("ankle", "heel", "toe")


def write(pose: FilmPose, folder: Path, *signals: Signals) -> list[Path]:
    """Writes all files of the pose of a film; returns the paths.

    Args:
      pose: of the film.
      folder: receives them; `pose.c3d` only if ezc3d is installed, `points.csv` only of a film.
      *signals: that were predicted from the pose, for `pose.c3d`.
    """
    names = [CSV, TRC, ANGLES, JSON]
    write_csv(pose.track, folder / CSV)
    write_trc(pose.track, folder / TRC)
    write_angles(pose.track, folder / ANGLES)
    if c3d_file.is_available() and len(pose.track.times) > 1:
        c3d_file.write(folder / C3D, on_floor(pose.track), *signals)
        names.append(C3D)
    if pose.seen.points_2d is not None:
        write_points(pose.seen, folder / POINTS)
        names.append(POINTS)
    write_json(folder / JSON, describe(pose))
    return [folder / name for name in names]


def describe(pose: FilmPose) -> dict[str, Any]:
    """What was seen, chosen and refused."""
    gated, movement = pose.gated, pose.gated.repeated
    return {
        "format": FORMAT,
        "source": pose.track.source,
        "films": [
            {
                "path": str(film.path),
                "who": film.who,
                "people": len(film.people),
                "width": film.watched.size[0],
                "height": film.watched.size[1],
                "cuts_s": list(film.watched.cuts),
                "warnings": list(film.warnings),
            }
            for film in pose.films
        ],
        "camera_pitch_deg": _finite(pose.view.pitch),
        "camera_roll_deg": _finite(pose.view.roll),
        "facing_deg": _finite(pose.view.facing),
        "refused": gated.refused,
        "refused_spans": [
            {"start_s": s.start, "end_s": s.end, "reason": s.reason, "advice": s.advice}
            for s in gated.spans
        ],
        "movement": {
            "angle": movement.angle,
            "range_deg": _finite(movement.range),
            "turning_points_s": list(movement.turns) if movement.is_exercise else [],
        },
        "seen": {
            name: float(share)
            for name, share in zip(pose.track.names, pose.track.seen.mean(0), strict=True)
        },
        "remarks": list(pose.remarks),
    }


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def write_csv(track: PoseTrack, path: Path) -> None:
    """One row per instant: time, and x, y, z in m and confidence of each joint; empty if unseen.

    `clips.csv` reads it with `pose_skeleton=blazepose_33` and the joints' own names.
    """
    header = ["time [s]"]
    header += [f"{name}_{axis} [m]" for name in track.names for axis in "xyz"]
    header += [f"{name}_confidence" for name in track.names]
    rows = np.concatenate([track.times[:, None], track.joints.reshape(len(track.times), -1)], 1)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    for row, confidence in zip(rows, track.confidence, strict=True):
        cells = [f"{row[0]:.4f}", *(f"{x:.4f}" if np.isfinite(x) else "" for x in row[1:])]
        table.writerow([*cells, *(f"{c:.2f}" for c in confidence)])
    write_text(path, text.getvalue())


def write_points(track: PoseTrack, path: Path) -> None:
    """One row per instant: time, and x and y in px of each joint as the estimator saw it."""
    assert track.points_2d is not None
    header = ["time [s]", *(f"{name}_{axis} [px]" for name in track.names for axis in "xy")]
    lines = [",".join(header)]
    for time, points in zip(
        track.times, track.points_2d.reshape(len(track.times), -1), strict=True
    ):
        lines.append(
            ",".join([f"{time:.4f}", *(f"{p:.1f}" if np.isfinite(p) else "" for p in points)])
        )
    write_text(path, "\n".join(lines) + "\n")


def write_trc(track: PoseTrack, path: Path) -> None:
    """OpenSim's marker file: x forward, y up, z to the right, mm, the lowest foot on the floor."""
    forward, left, up = np.moveaxis(on_floor(track).joints, -1, 0)
    places = 1000 * np.stack([forward, up, -left], -1)
    rate = track.rate if len(track.times) > 1 else 0.0
    count, names = len(track.times), track.names
    facts = {
        "DataRate": f"{rate:.6g}",
        "CameraRate": f"{rate:.6g}",
        "NumFrames": count,
        "NumMarkers": len(names),
        "Units": "mm",
        "OrigDataRate": f"{rate:.6g}",
        "OrigDataStartFrame": 1,
        "OrigNumFrames": count,
    }
    lines = [f"PathFileType\t4\t(X/Y/Z)\t{path.name}"]
    lines += ["\t".join(facts), "\t".join(map(str, facts.values()))]
    lines.append("\t".join(["Frame#", "Time", *(f"{name}\t\t" for name in names)]))
    axes = [f"{axis}{n}" for n in range(1, len(names) + 1) for axis in "XYZ"]
    lines += ["\t".join(["", "", *axes]), ""]
    for i, (time, row) in enumerate(zip(track.times, places.reshape(count, -1), strict=True), 1):
        cells = [f"{x:.2f}" if np.isfinite(x) else "" for x in row]
        lines.append("\t".join([str(i), f"{time:.5f}", *cells]))
    write_text(path, "\n".join(lines) + "\n")


def write_angles(track: PoseTrack, path: Path) -> None:
    """Joint angles of OpenSim's whole-body models, degrees; NaN where a joint was not seen."""
    angles = angles_from_joints(track.joints, track.names)
    values = np.stack(list(angles.values()), 1)
    write_text(path, storage(path.stem, track.times, tuple(angles), values, degrees=True))


def on_floor(track: PoseTrack) -> PoseTrack:
    """The track, moved up or down at each instant so that the lowest foot is at height 0."""
    feet = [i for i, name in enumerate(track.names) if name.endswith(_FEET)]
    heights = track.joints[:, feet, 2]
    known = np.isfinite(heights).any(1)
    lowest = np.full(len(heights), np.nan)
    lowest[known] = np.nanmin(heights[known], axis=1)
    if known.any():
        lowest = np.interp(track.times, track.times[known], lowest[known])
    down = np.stack([np.zeros_like(lowest)] * 2 + [np.nan_to_num(lowest)], 1)
    return dataclasses.replace(track, joints=track.joints - down[:, None])
