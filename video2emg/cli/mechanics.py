"""Joint torques, floor forces and muscle activations of a recorded pose, without a trained model.

See docs/mechanics.md. The muscles are an estimate by mechanics alone, not a measurement.
"""

import dataclasses
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.core.pose_track import PoseTrack


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      pose: joints over time: .trc, .c3d, .csv, .json, .npy, or .mot of joint angles.
      video: instead of --pose, a film; its pose is estimated as by the command pose.
      out: folder for the results.
      load: kg; of each hand for dumbbells, of the whole bar for barbells.
      equipment: none, dumbbell, dumbbell_left, dumbbell_right, barbell (in the hands),
        barbell_back, barbell_hips or ankle_weights.
      height: of the person, m; else from the joints.
      mass: of the person, kg; else that of an average build.
      anatomy: simulated, literature, or the path of a table in their form.
      cutoff: low-pass of the joints, Hz; 0 for none. Else 6, and 1.3 for what was seen in a film.
      absolute: positions are in the room, as of motion capture; else the feet are taken to stand.
      rate: of a pose without times, Hz.
      pose_weights: folder of the pose estimator's weights, for --video.
    """

    pose: str = ""
    video: str = ""
    out: str = "runs/mechanics"
    load: float = 0.0
    equipment: str = "none"
    height: float = math.nan
    mass: float = math.nan
    anatomy: str = "simulated"
    cutoff: float = math.nan
    absolute: bool = False
    rate: float = math.nan
    pose_weights: str = ""


def run(options: Options) -> int:
    """Computes and writes; returns the exit status."""
    if bool(options.pose) == bool(options.video):
        raise UserError("say of what, e.g. --pose squat.trc or --video squat.mp4; see --help")
    from video2emg.core.files import folder
    from video2emg.inference import mechanics
    from video2emg.inference.output import mechanics_files

    out = folder(options.out, "--out")
    given = {field.name for field in dataclasses.fields(mechanics.Settings)}
    settings = mechanics.Settings(
        **{name: value for name, value in dataclasses.asdict(options).items() if name in given}
    )
    track, estimated = _film(options) if options.video else _track(options)
    report = mechanics.analyse(track, settings, estimated)
    mechanics_files.write(report, track.source, out)
    for line in mechanics_files.summary(report):
        print(line, file=sys.stderr)
    print(out)
    return 0


def _track(options: Options) -> "tuple[PoseTrack, bool]":
    """The pose of a file, upright, and whether an estimator saw it."""
    from video2emg.core.pose_track import CAMERA
    from video2emg.data.film_pose import track_to_pose
    from video2emg.data.readers.poses import read_pose
    from video2emg.pose.body import BodyOptions

    path = Path(options.pose).expanduser()
    if not path.exists():
        raise UserError(f"--pose {path}: no such file")
    track = read_pose(path, options.rate)
    if track.axes != CAMERA:
        return track, False
    return track_to_pose(track, BodyOptions(options.height)).track, True


def _film(options: Options) -> "tuple[PoseTrack, bool]":
    from video2emg.data import film_pose
    from video2emg.pose.body import BodyOptions

    path = Path(options.video).expanduser()
    if not path.exists():
        raise UserError(f"--video {path}: no such file")
    settings = film_pose.FilmOptions(
        weights=options.pose_weights, rate=30.0, body=BodyOptions(options.height)
    )
    pose = film_pose.film_to_pose(path, settings, lambda line: print(line, file=sys.stderr))
    if pose.verdict.refused:
        raise UserError(f"--video {path}: {pose.verdict.refused}")
    return pose.track, True
