"""Films of one person → the pose of the body, and what was seen, chosen and refused."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from video2emg.core.errors import UserError
from video2emg.core.pose_track import PoseTrack
from video2emg.core.thinning import thinned
from video2emg.data.readers import film
from video2emg.pose import agreement, cameras, cleaning, estimate, gates, gravity, people
from video2emg.pose import body as body_lib
from video2emg.pose.blazepose import BlazePose
from video2emg.pose.body import Body, BodyOptions
from video2emg.pose.gravity import View

_LATEST_START = 24 * 3600.0  # s; a clock that begins later is that of the day or of 1970
_SAY_WHO = (
    "say whom to follow in each camera: --person with one number per camera, from the left of its "
    "picture"
)
_ASSUMED = "the height of the person is unknown: 1.75 m is assumed (--height)"

VERSION = 2  # of the whole way from pictures to poses; a change makes kept poses worthless


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """How films are read.

    Attributes:
      net: `lite`, `full` or `heavy`.
      weights: folder of the weights; else the usual places, see `pose.weights.find`.
      rate: pictures per second that are looked at, at most.
      person: whom to follow in each film, from the left, from 1; 0 to choose by movement. One
        number is for all films; empty to choose in all.
      body: what the user knows of the body and the camera.
      calibration: of several cameras; None without.
      folder_rate: of a folder of pictures, Hz.
    """

    net: str = "full"
    weights: str = ""
    rate: float = 15.0
    person: tuple[int, ...] = ()
    body: BodyOptions = dataclasses.field(default_factory=BodyOptions)
    calibration: Path | None = None
    folder_rate: float = math.nan

    def of_each(self, films: int) -> "list[FilmOptions]":
        """The options of each of the films of one recording, with one `person` at most.

        Raises:
          UserError: there are more or fewer people than films.
        """
        if len(self.person) not in (0, 1, films):
            told = " ".join(map(str, self.person))
            raise UserError(
                f"--person {told}: {len(self.person)} numbers for {films} "
                f"film{'s' if films > 1 else ''}; give one per camera, or one for all"
            )
        numbers = self.person if len(self.person) == films else self.person * films
        return [dataclasses.replace(self, person=(n,)) for n in numbers] or [self] * films


@dataclasses.dataclass(frozen=True)
class SeenFilm:
    """What was seen in one film.

    Attributes:
      path: of the film.
      watched: of the person who was followed.
      people: everybody, from left to right, in pictures shrunk to `estimate.SIZE`.
      who: who was followed, and why.
      warnings: what is wrong with the set-up, a sentence each.
    """

    path: Path
    watched: estimate.Watched
    people: tuple[people.Person, ...]
    who: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class FilmPose:
    """The pose in one film, or in several films of one recording.

    Attributes:
      track: z up, x where the person faces, metres by height; refused times are masked.
      seen: of the first film, in the camera's axes with points in its picture, as the estimator saw
        the person, but for left and right, which are exchanged back where they were exchanged.
      gated: refused times and, if so, why the whole film is refused.
      view: of the first camera; NaN with a calibration.
      films: what was seen in each, with left and right as in `seen`; none if another program saw
        it.
      remarks: sentences for the user.
      differ: which cameras show different movements, in words; empty if all show the same.
    """

    track: PoseTrack
    seen: PoseTrack
    gated: gates.Gated
    view: View
    films: tuple[SeenFilm, ...]
    remarks: tuple[str, ...]
    differ: str = ""


def film_to_pose(
    paths: Path | Sequence[Path],
    options: FilmOptions | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> FilmPose:
    """Estimates the pose of the person who exercises.

    Args:
      paths: one film, or the films of several cameras that started together.
      options: how.
      say: is told what is found, while it is found.

    Raises:
      UserError: no weights, a film that cannot be read, or a calibration or people that do not fit
        the films.
    """
    options = options or FilmOptions()
    paths = [paths] if isinstance(paths, Path) else list(paths)
    each = options.of_each(len(paths))
    if not options.rate > 0:
        raise UserError(f"rate {options.rate:g}: must be pictures per second")
    calibrated = cameras.read_calibration(options.calibration) if options.calibration else None
    if calibrated and len(calibrated) != len(paths):
        raise UserError(
            f"{options.calibration}: {len(calibrated)} cameras for {len(paths)} films; give one "
            "film per camera, in the order of the file"
        )
    model = estimate.load(options.net, options.weights)
    films = tuple(watch_film(path, own, model, say) for path, own in zip(paths, each, strict=True))
    return assemble(films, options, calibrated)


def assemble(
    films: Sequence[SeenFilm],
    options: FilmOptions,
    calibrated: Sequence[cameras.Camera] | None = None,
) -> FilmPose:
    """The body of the person who was followed in each of the films."""
    first = films[0].watched
    remarks, mended, kept = [], [], []
    for film_ in films:
        watched = film_.watched.track.with_gaps_unseen(cleaning.GAP_S)
        track, exchanged = cleaning.undo_exchanges(watched, film_.watched.cuts)
        mended.append(track)
        kept.append(
            dataclasses.replace(film_, watched=dataclasses.replace(film_.watched, track=track))
        )
        if exchanged.any():
            remarks.append(
                f"{film_.path.name}: left and right were exchanged in {exchanged.mean():.0%} of "
                "the pictures, and are exchanged back"
            )
    bodies = [
        body_lib.to_body(track, film_.watched.size, film_.watched.cuts, options.body)
        for track, film_ in zip(mended, films, strict=True)
    ]
    seen, body = mended[0], bodies[0]
    if calibrated:
        sizes = [film_.watched.size for film_ in films]
        seen, error = cameras.triangulate(mended, calibrated, sizes)
        body = body_lib.to_body(seen, None, first.cuts, options.body)
        remarks.append(_triangulated(error))
    elif len(bodies) > 1:
        middle = body_lib.median_of_views([one.track for one in bodies])
        body = dataclasses.replace(body, track=middle)
    gated = gates.apply(seen, body, first.cuts)
    if differ := _differing(films, bodies):
        told = len(options.person) == len(films) and all(options.person)
        if told or all(len(film_.people) < 2 for film_ in films):
            remarks.append(f"{differ}; check who was followed, and that the films belong together")
        else:
            gated = gates.refuse(gated, differ, _SAY_WHO)
    if math.isnan(options.body.height):
        remarks.append(_ASSUMED)
    return FilmPose(gated.track, mended[0], gated, body.view, tuple(kept), tuple(remarks), differ)


def _differing(films: Sequence[SeenFilm], bodies: Sequence[Body]) -> str:
    """`FilmPose.differ`."""
    upright = [gravity.upright(b.smooth, b.view.pitch, b.view.roll) for b in bodies]
    groups = agreement.groups(upright)
    if len(groups) < 2:
        return ""
    named = (" and ".join(films[i].path.name for i in group) for group in groups)
    return (
        f"the cameras show different movements ({' / '.join(named)}), as if they followed "
        "different people or had not started together"
    )


def track_to_pose(track: PoseTrack, options: BodyOptions | None = None) -> FilmPose:
    """As `film_to_pose`, of what another program saw (`data.readers.poses.read_pose`).

    Raises:
      UserError: the track has no depth.
    """
    options = options or BodyOptions()
    remarks = [_ASSUMED] if math.isnan(options.height) else []
    track = track.with_gaps_unseen(cleaning.GAP_S)
    first = float(track.times[0]) if len(track.times) else 0.0
    if not 0 <= first <= _LATEST_START:
        track = dataclasses.replace(track, times=track.times - first)
        remarks.append(
            f"its times begin at {first:.10g} s: all times here count from its beginning"
        )
    body = body_lib.to_body(track, None, (), options)
    gated = gates.apply(track, body)
    return FilmPose(gated.track, track, gated, body.view, (), tuple(remarks))


def keypoints_to_pose(
    tracks: Sequence[PoseTrack],
    calibrated: Sequence[cameras.Camera],
    options: BodyOptions | None = None,
) -> FilmPose:
    """As `track_to_pose`, of points that another program saw in the films of several cameras.

    Args:
      tracks: with points in pictures of the size that was calibrated; all started together.
      calibrated: the cameras, in the same order.
      options: what the user knows.

    Raises:
      UserError: numbers of tracks and cameras differ, or a track has other joints or no points.
    """
    sizes = [(round(width), round(height)) for width, height in (c.size for c in calibrated)]
    seen, error = cameras.triangulate(tracks, calibrated, sizes)
    pose = track_to_pose(seen, options)
    return dataclasses.replace(pose, remarks=(_triangulated(error), *pose.remarks))


def _triangulated(error: float) -> str:
    return f"triangulated: {error:.0f} px between the cameras, in the median"


def watch_film(
    path: Path,
    options: FilmOptions,
    model: BlazePose,
    say: Callable[[str], None] = lambda line: None,
) -> SeenFilm:
    """Looks for people in the first seconds of a film, then follows one through all of it.

    Args:
      path: of the film.
      options: how; `person` has one number at most, see `FilmOptions.of_each`.
      model: the nets.
      say: is told who is followed, and what is wrong with the set-up.
    """
    scanned = list(_decoded(estimate.searched(_increasing(path, options))))
    found = people.find_people(scanned, model)
    chosen, who = people.choose(found, *options.person) if found else (None, "nobody was seen")
    say(f"{path.name}: {who}")
    size = scanned[0][1].size if scanned else (1, 1)
    warnings = tuple(gates.preflight(chosen, size, _rate(path, options)))
    for warning in warnings:
        say(f"{path.name}: {warning}")
    frames = thinned(_increasing(path, options), options.rate)
    watched = estimate.watch(_decoded(frames), model, chosen, _size(path, options))
    return SeenFilm(path, watched, tuple(found), who, warnings)


def _decoded(
    frames: Iterator[tuple[float, film.Decode]],
) -> Iterator[tuple[float, Image.Image]]:
    """Upright pictures, shrunk; only frames that are used are converted."""
    return ((time, estimate.shrink(decode())) for time, decode in frames)


def _size(path: Path, options: FilmOptions) -> tuple[int, int]:
    """Width and height of the upright film, px."""
    _, decode = next(film.read_frames(path, options.folder_rate))
    return decode().size


def _increasing(path: Path, options: FilmOptions) -> Iterator[tuple[float, film.Decode]]:
    """All frames but those whose times step back, in damaged films."""
    last = -math.inf
    for time, decode in film.read_frames(path, options.folder_rate, estimate.SIZE):
        if time > last:
            last = time
            yield time, decode


def _rate(path: Path, options: FilmOptions) -> float:
    """Pictures per second in the first second of a film, Hz."""
    times = []
    for time, _ in _increasing(path, options):
        times.append(time)
        if time > 1:
            break
    return float(1 / np.median(np.diff(times))) if len(times) > 1 else 0.0
