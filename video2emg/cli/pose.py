"""Estimates the 3-D pose of the person who exercises in a film.

One recording is one --video per camera. Before it, `fetch-pose` downloads the weights once.
Keypoints that another program saw are one --track per camera, with --calibration. See docs/film.md.
Exit statuses: 0; 3 if the whole film is refused.
"""

import dataclasses
from typing import TYPE_CHECKING

from video2emg.cli.flags import Film, FilmFlags, Repeated, existing, tell
from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.data.film_pose import FilmPose

FINE, REFUSED = 0, 3


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      video: a film, or a folder of pictures; once per camera.
      track: instead of --video, what another program found: .trc, .mot, .c3d, .csv, .json, .npy; or
        its 2-D keypoints (.json, or folders of them), once per camera.
      out: folder for the results.
      no_overlay: write the tables only, without overlay.mp4 and people.png.
      film: how the pose is estimated.
    """

    video: Repeated = ()
    track: Repeated = ()
    out: str = "runs/pose"
    no_overlay: bool = False
    film: Film = FilmFlags()


def run(options: Options) -> int:
    """Estimates and writes; returns the exit status."""
    if bool(options.video) == bool(options.track):
        raise UserError("say of what, e.g. --video squat.mp4 or --track pose.trc; see --help")
    options.film.check()
    from video2emg.core.files import folder
    from video2emg.data import film_pose
    from video2emg.inference.output import pose_files, pose_overlay

    out = folder(options.out, "--out")
    if options.track:
        pose = _of_tracks(options)
    else:
        pose = film_pose.film_to_pose(
            existing(options.video, "--video"), options.film.options(), tell
        )
    pose_files.write(pose, out)
    if pose.films and not options.no_overlay:
        pose_overlay.write(pose, out, options.film.rate)
    for line in (*pose.remarks, *map(str, pose.gated.spans)):
        tell(line)
    movement, refused = pose.gated.repeated, pose.gated.refused
    count = f"{len(movement.turns)} repetition{'s' if len(movement.turns) > 1 else ''}"
    moves = f"{count}; the {movement.angle} moves by {movement.range:.0f}°"
    tell(f"refused: {refused}" if refused else moves)
    print(out)
    return REFUSED if refused else FINE


def _of_tracks(options: Options) -> "FilmPose":
    """The pose of what another program found."""
    several = len(options.track) > 1
    unused = () if not several else ("net", "pose_weights", "pose_rate", "person")
    options.film.check_unused(*unused, flag="--track")
    from video2emg.data import film_pose
    from video2emg.data.readers.poses import read_pose
    from video2emg.pose import cameras

    calibration = options.film.options().calibration
    if several and calibration is None:
        raise UserError("several --track: keypoints of several cameras need their --calibration")
    files = existing(options.track, "--track")
    tracks = [read_pose(path, options.film.rate) for path in files]
    if calibration is None:
        return film_pose.track_to_pose(tracks[0], options.film.body())
    calibrated = cameras.read_calibration(calibration)
    return film_pose.keypoints_to_pose(tracks, calibrated, options.film.body())
