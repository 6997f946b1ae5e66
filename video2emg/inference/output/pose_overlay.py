"""A film with the skeleton drawn on it, and a picture of everybody who was seen."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from video2emg.core.pose_track import PoseTrack
from video2emg.core.vocabulary import SIDES
from video2emg.data.film_pose import FilmPose, SeenFilm
from video2emg.inference.output import video
from video2emg.pose import estimate
from video2emg.viz.theme import BLUE, ORANGE

FILM, PEOPLE = "overlay.mp4", "people.png"

_SIZE, _RATE = 640, 25.0  # px of the longer edge, Hz
_COLOURS = {"left": BLUE, "right": ORANGE}
_INK, _PAPER, _REFUSED = "#ffffff", "#000000", "#d03030"
_LINES = (
    *(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
    *(
        ("ankle", "heel"),
        ("heel", "toe"),
        ("ankle", "toe"),
        ("shoulder", "hip"),
        ("wrist", "index"),
    ),
)
_FAINT = 0.5  # confidence below which a joint is not drawn


def write(pose: FilmPose, folder: Path, rate: float = math.nan) -> None:
    """Writes `overlay.mp4` of the first film and the pictures of `write_people`.

    Args:
      pose: of `data.film_pose.film_to_pose`.
      folder: to write into.
      rate: of a folder of pictures, Hz.
    """
    film = pose.films[0]
    frames = video.downsampled(film.path, rate, _SIZE, _RATE)
    video.write(folder / FILM, with_skeleton(pose, frames), rate=_RATE)
    write_people(pose, folder, rate)


def write_people(
    pose: FilmPose, folder: Path, rate: float = math.nan, fewest: int = 0
) -> list[Path]:
    """Writes `people.png` of the first film, `people_2.png` of the second, …; returns the paths.

    Args:
      pose: as of `write`, as are folder and rate.
      folder: to write into.
      rate: Hz.
      fewest: people in a film of which a picture is worth it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, film in enumerate(pose.films, 1):
        if len(film.people) >= fewest:
            paths.append(folder / (PEOPLE if number == 1 else f"people_{number}.png"))
            draw_people(film, rate).save(paths[-1])
    return paths


def with_skeleton(
    pose: FilmPose, frames: Iterator[tuple[float, Image.Image]]
) -> Iterator[tuple[float, Image.Image]]:
    """Draws the skeleton, and what is not used and why, onto pictures of the first film."""
    track, film = pose.seen, pose.films[0]
    for time, picture in frames:
        scale = max(picture.size) / max(film.watched.size)
        i = int(np.abs(track.times - time).argmin()) if len(track.times) else -1
        if i >= 0:
            draw_skeleton(picture, track, i, scale)
        reason = next((s.reason for s in pose.gated.spans if s.start <= time < s.end), "")
        if reason:
            _note(picture, f"not used: {reason}")
        yield time, picture


def draw_skeleton(picture: Image.Image, track: PoseTrack, instant: int, scale: float = 1.0) -> None:
    """Draws the joints that were seen onto a picture; left blue, right orange.

    Args:
      picture: RGB, changed in place.
      track: with points in the picture.
      instant: index into the track.
      scale: of the picture by the film.
    """
    assert track.points_2d is not None
    points = track.points_2d[instant] * scale
    shown = track.confidence[instant] >= _FAINT
    at = {n: p for n, p, s in zip(track.names, points, shown, strict=True) if s}
    pen = ImageDraw.Draw(picture)
    width = max(2, round(max(picture.size) / 200))
    for part in ("shoulder", "hip"):
        _line(pen, at, f"left_{part}", f"right_{part}", _INK, width)
    for side in SIDES:
        for a, b in _LINES:
            _line(pen, at, f"{side}_{a}", f"{side}_{b}", _COLOURS[side], width)


def _line(
    pen: ImageDraw.ImageDraw,
    at: dict[str, Float[np.ndarray, " 2"]],
    a: str,
    b: str,
    colour: str,
    width: int,
) -> None:
    if a in at and b in at:
        pen.line([tuple(at[a].tolist()), tuple(at[b].tolist())], colour, width)


def draw_people(film: SeenFilm, rate: float = math.nan) -> Image.Image:
    """The picture of the film in which most people were seen, each with a number."""
    times = [time for person in film.people for time in person.times]
    best = max(sorted(set(times)), key=times.count, default=0.0)
    pictures = video.downsampled(film.path, rate, _SIZE, math.inf)
    picture = next(picture for time, picture in pictures if time >= best - 1e-6)
    font = ImageFont.load_default(size=max(12, round(max(picture.size) / 20)))
    pen = ImageDraw.Draw(picture)
    scale = max(picture.size) / estimate.SIZE if max(film.watched.size) > estimate.SIZE else 1.0
    for person in film.people:
        if best not in person.times:
            continue
        track = person.track()
        instant = person.times.index(best)
        draw_skeleton(picture, track, instant, scale)
        region = person.regions[instant].scaled(scale)
        label = f"{person.number}{' (mirror)' if person.reflection else ''}"
        place = (region.x, region.y)
        pen.text(place, label, _INK, font, anchor="mm", stroke_width=2, stroke_fill=_PAPER)
    return picture


def _note(picture: Image.Image, text: str) -> None:
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, round(picture.width / 28)))
    pen.rectangle([(0, 0), (picture.width, 1.6 * font.size)], _REFUSED)
    pen.text((6, 0.2 * font.size), text, _INK, font)
