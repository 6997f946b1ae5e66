"""Joint torques, floor forces and muscle activations of a recorded pose, without a trained model.

See docs/mechanics.md. The muscles are an estimate by mechanics alone, not a measurement.
"""

import dataclasses
import math
from typing import TYPE_CHECKING

from video2emg.cli.flags import Film, FilmFlags, existing, tell
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
      mass: of the person, kg; else that of an average build.
      anatomy: simulated, literature, or the path of a table in their form.
      cutoff: low-pass of the joints, Hz; 0 for none. Else 6, and 1.3 for what was seen in a film.
      absolute: positions are in the room, as of motion capture; else the feet are taken to stand.
      film: how the pose is estimated, and the height of the person; else it is that of the joints.
    """

    pose: str = ""
    video: str = ""
    out: str = "runs/mechanics"
    load: float = 0.0
    equipment: str = "none"
    mass: float = math.nan
    anatomy: str = "simulated"
    cutoff: float = math.nan
    absolute: bool = False
    film: Film = FilmFlags(pose_rate=30.0)


def run(options: Options) -> int:
    """Computes and writes; returns the exit status."""
    if bool(options.pose) == bool(options.video):
        raise UserError("say of what, e.g. --pose squat.trc or --video squat.mp4; see --help")
    options.film.check()
    from video2emg.core.files import folder
    from video2emg.inference import mechanics
    from video2emg.inference.output import mechanics_files

    out = folder(options.out, "--out")
    settings = mechanics.Settings(
        load=options.load,
        equipment=options.equipment,
        height=options.film.height,
        mass=options.mass,
        anatomy=options.anatomy,
        cutoff=options.cutoff,
        absolute=options.absolute,
    )
    track, estimated = _film(options) if options.video else _track(options)
    report = mechanics.analyse(track, settings, estimated)
    mechanics_files.write(report, track.source, out)
    for line in mechanics_files.summary(report):
        tell(line)
    print(out)
    return 0


def _track(options: Options) -> "tuple[PoseTrack, bool]":
    """The pose of a file, upright, and whether an estimator saw it."""
    from video2emg.core.pose_track import CAMERA
    from video2emg.data.film_pose import track_to_pose
    from video2emg.data.readers.poses import read_pose

    (path,) = existing([options.pose], "--pose")
    options.film.check_unused("net", "pose_weights", "person", "calibration", flag="--pose")
    track = read_pose(path, options.film.rate)
    if track.axes != CAMERA:
        return track, False
    return track_to_pose(track, options.film.body()).track, True


def _film(options: Options) -> "tuple[PoseTrack, bool]":
    from video2emg.data.film_pose import film_to_pose

    pose = film_to_pose(existing([options.video], "--video"), options.film.options(), tell)
    if pose.gated.refused:
        raise UserError(f"--video {options.video}: {pose.gated.refused}")
    return pose.track, True
