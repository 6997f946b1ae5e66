"""Estimates the 3-D pose of the person who exercises in a film.

One recording is one --video per camera. Before it, `fetch-pose` downloads the weights once. See
docs/film.md. Exit statuses: 0; 3 if the whole film is refused.
"""

import dataclasses
import math
import sys
from pathlib import Path

from video2emg.cli.flags import Repeated
from video2emg.core.errors import UserError

FINE, REFUSED = 0, 3


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      video: a film, or a folder of pictures; once per camera.
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
      rate: of a folder of pictures, Hz.
      no_overlay: write the tables only, without overlay.mp4 and people.png.
    """

    video: Repeated = ()
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
    if not options.video:
        raise UserError("say which film, e.g. --video squat.mp4; see --help")
    paths = [Path(video).expanduser() for video in options.video]
    for path in paths:
        if not path.exists():
            raise UserError(f"--video {path}: no such file")
    if not (math.isnan(options.height) or 0.5 <= options.height <= 2.5):
        raise UserError(f"--height {options.height:g}: expected 0.5 to 2.5 m")
    from video2emg.core.files import folder
    from video2emg.data.film_pose import FilmOptions, film_to_pose
    from video2emg.inference.output import pose_files, pose_overlay
    from video2emg.pose.body import BodyOptions

    out = folder(options.out, "--out")
    pose = film_to_pose(
        paths,
        FilmOptions(
            net=options.net,
            weights=options.pose_weights,
            rate=options.pose_rate,
            person=options.person,
            body=BodyOptions(options.height, options.pitch, options.roll, options.facing),
            calibration=Path(options.calibration).expanduser() if options.calibration else None,
            folder_rate=options.rate,
        ),
        say=lambda line: print(line, file=sys.stderr),
    )
    pose_files.write(pose, out)
    if not options.no_overlay:
        pose_overlay.write(pose, out, options.rate)
    for line in (*pose.remarks, *map(str, pose.verdict.spans)):
        print(line, file=sys.stderr)
    movement = pose.verdict.repeated
    if pose.verdict.refused:
        print(f"refused: {pose.verdict.refused}", file=sys.stderr)
    else:
        print(
            f"{len(movement.turns)} repetitions; the {movement.angle} moves by "
            f"{movement.range:.0f}°",
            file=sys.stderr,
        )
    print(out)
    return REFUSED if pose.verdict.refused else FINE
