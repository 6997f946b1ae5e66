"""Estimates the 3-D pose of the person who exercises in a film.

One recording is one --video per camera. Before it, `fetch-pose` downloads the weights once. See
docs/film.md. Exit statuses: 0; 3 if the whole film is refused.
"""

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from video2emg.cli.flags import Repeated
from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.data.film_pose import FilmOptions
    from video2emg.pose.body import BodyOptions

FINE, REFUSED = 0, 3


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      video: a film, or a folder of pictures; once per camera.
      track: instead of --video, what another program found: .trc, .mot, .c3d, .csv, .json, .npy.
      out: folder for the results.
      net: lite, full or heavy.
      pose_weights: folder of the weights; else where fetch-pose put them.
      pose_rate: pictures per second that are looked at, at most.
      person: whom to follow, from the left, from 1; else the one who exercises.
      height: of the person, m.
      pitch: by which the camera looks down, degrees; else estimated.
      roll: by which the vertical leans to the right of the picture, degrees; else estimated.
      facing: of the person, degrees: 0 to the camera, 90 to the right of the picture.
      calibration: of several cameras, Pose2Sim's .toml or Qualisys' .qca.txt.
      rate: of a folder of pictures, or of a track without times, Hz.
      no_overlay: write the tables only, without overlay.mp4 and people.png.
    """

    video: Repeated = ()
    track: str = ""
    out: str = "runs/pose"
    net: str = "full"
    pose_weights: str = ""
    pose_rate: float = 15.0
    person: int = 0
    height: float = math.nan
    pitch: float = math.nan
    roll: float = math.nan
    facing: float = math.nan
    calibration: str = ""
    rate: float = math.nan
    no_overlay: bool = False


def run(options: Options) -> int:
    """Estimates and writes; returns the exit status."""
    if bool(options.video) == bool(options.track):
        raise UserError("say of what, e.g. --video squat.mp4 or --track pose.trc; see --help")
    if not (math.isnan(options.height) or 0.5 <= options.height <= 2.5):
        raise UserError(f"--height {options.height:g}: expected 0.5 to 2.5 m")
    from video2emg.core.files import folder
    from video2emg.data import film_pose
    from video2emg.data.readers.poses import read_pose
    from video2emg.inference.output import pose_files, pose_overlay
    from video2emg.pose.body import BodyOptions

    out = folder(options.out, "--out")
    body = BodyOptions(options.height, options.pitch, options.roll, options.facing)
    if options.track:
        track = read_pose(Path(options.track).expanduser(), options.rate)
        pose = film_pose.track_to_pose(track, body)
    else:
        pose = film_pose.film_to_pose(_films(options.video), _settings(options, body), _say)
    pose_files.write(pose, out)
    if pose.films and not options.no_overlay:
        pose_overlay.write(pose, out, options.rate)
    for line in (*pose.remarks, *map(str, pose.verdict.spans)):
        _say(line)
    movement, refused = pose.verdict.repeated, pose.verdict.refused
    count = f"{len(movement.turns)} repetition{'s' if len(movement.turns) > 1 else ''}"
    moves = f"{count}; the {movement.angle} moves by {movement.range:.0f}°"
    _say(f"refused: {refused}" if refused else moves)
    print(out)
    return REFUSED if refused else FINE


def _films(videos: Sequence[str]) -> list[Path]:
    paths = [Path(video).expanduser() for video in videos]
    for path in paths:
        if not path.exists():
            raise UserError(f"--video {path}: no such file")
    return paths


def _settings(options: Options, body: "BodyOptions") -> "FilmOptions":
    from video2emg.data.film_pose import FilmOptions

    return FilmOptions(
        net=options.net,
        weights=options.pose_weights,
        rate=options.pose_rate,
        person=options.person,
        body=body,
        calibration=Path(options.calibration).expanduser() if options.calibration else None,
        folder_rate=options.rate,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
