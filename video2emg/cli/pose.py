"""Estimates the 3-D pose of the person who exercises in a film.

One recording is one --video per camera. Before it, `fetch-pose` downloads the weights once. See
docs/film.md. Exit statuses: 0; 3 if the whole film is refused.
"""

import dataclasses
from pathlib import Path

from video2emg.cli.flags import Film, FilmFlags, Repeated, existing, tell
from video2emg.core.errors import UserError

FINE, REFUSED = 0, 3


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      video: a film, or a folder of pictures; once per camera.
      track: instead of --video, what another program found: .trc, .mot, .c3d, .csv, .json, .npy.
      out: folder for the results.
      no_overlay: write the tables only, without overlay.mp4 and people.png.
      film: how the pose is estimated.
    """

    video: Repeated = ()
    track: str = ""
    out: str = "runs/pose"
    no_overlay: bool = False
    film: Film = FilmFlags()


def run(options: Options) -> int:
    """Estimates and writes; returns the exit status."""
    if bool(options.video) == bool(options.track):
        raise UserError("say of what, e.g. --video squat.mp4 or --track pose.trc; see --help")
    options.film.check_height()
    from video2emg.core.files import folder
    from video2emg.data import film_pose
    from video2emg.data.readers.poses import read_pose
    from video2emg.inference.output import pose_files, pose_overlay

    out = folder(options.out, "--out")
    if options.track:
        track = read_pose(Path(options.track).expanduser(), options.film.rate)
        pose = film_pose.track_to_pose(track, options.film.body())
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
