"""Errors of the pose from films, against four calibrated cameras.

    python -m analyses.film_pose --videos ../shared/data/videos/pose2sim --write

The films are the demonstration of Pose2Sim (BSD-3-Clause): one man who balances, 1.7 s, four
cameras with Qualisys' calibration. The reference is the triangulation of all four cameras from the
points in the pictures that the last net (heavy) finds; it is therefore no measurement of its own,
but its errors are small beside those of a single camera, since nothing of a net's depth is in it.
Errors are root mean squares of joint angles over time, both sides, and cameras, in degrees. Writes
results/film_pose.json and the table in docs/film.md.
"""

import argparse
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np

from video2emg.core.files import write_json
from video2emg.core.pose_track import PoseTrack
from video2emg.data.film_pose import FilmOptions, SeenFilm, watch_film
from video2emg.pose import body as body_lib
from video2emg.pose import cameras, cleaning, estimate, gravity, lengths
from video2emg.pose.angles import KINDS, limb_angles
from video2emg.run.pages import ROOT, put

RATE = 60.0  # Hz, of the films


def errors(tracks: Sequence[PoseTrack], reference: np.ndarray) -> dict[str, float]:
    """Root mean square by kind of angle, and of all, degrees."""
    away = np.stack([limb_angles(track.joints, track.names) for track in tracks]) - reference
    away = away.reshape(len(tracks), len(reference), 2, len(KINDS))
    rms = np.sqrt(np.nanmean(away**2, axis=(0, 1, 2)))
    found = dict(zip(KINDS, rms.tolist(), strict=True))
    return found | {"all": float(np.sqrt(np.nanmean(away**2)))}


def triangulated(films: Sequence[SeenFilm], calibrated: Sequence[cameras.Camera]) -> np.ndarray:
    """Limb angles [T, A] by all cameras, smoothed, degrees."""
    mended = [cleaning.undo_exchanges(film.watched.track)[0] for film in films]
    sizes = [film.watched.size for film in films]
    track = cleaning.smooth(cameras.triangulate(mended, calibrated, sizes)[0])
    return limb_angles(track.joints, track.names)


def steps(
    films: Sequence[SeenFilm], calibrated: Sequence[cameras.Camera], reference: np.ndarray
) -> dict[str, dict[str, float]]:
    """Errors of each step from the net to several cameras."""
    raw = [film.watched.track for film in films]
    mended = [cleaning.undo_exchanges(track)[0] for track in raw]
    sizes = [film.watched.size for film in films]
    smooth = [cleaning.smooth(track) for track in mended]
    refined = [lengths.refine_depth(t, s) for t, s in zip(smooth, sizes, strict=True)]
    bodies = [body_lib.to_body(t, s).track for t, s in zip(mended, sizes, strict=True)]
    whole = [with_all_joints(track) for track in refined]
    table = {
        "one camera, as the net says": errors(raw, reference),
        "left and right exchanged back": errors(mended, reference),
        "6 Hz low-pass": errors(smooth, reference),
        "on the rays, depth by lengths": errors(refined, reference),
        "lengths by height, unseen joints masked": errors(bodies, reference),
        "four cameras, median": errors([body_lib.median_of_views(whole)], reference),
    }
    pairs = []
    for pair in itertools.combinations(range(len(films)), 2):
        chosen = [mended[i] for i in pair], [calibrated[i] for i in pair], [sizes[i] for i in pair]
        pairs.append(cleaning.smooth(cameras.triangulate(*chosen)[0]))
    by_pair = [errors([pair], reference) for pair in pairs]
    table["two calibrated cameras, all pairs"] = errors(pairs, reference)
    table["two calibrated cameras, best pair"] = min(by_pair, key=lambda e: e["all"])
    return table


def with_all_joints(track: PoseTrack) -> PoseTrack:
    """The body with joints that would be masked, in its own axes."""
    stands = gravity.upright(track, *gravity.estimate_up(track))
    return lengths.with_lengths(gravity.facing_x(stands, gravity.facing(stands)))


def verticals(
    films: Sequence[SeenFilm], calibrated: Sequence[cameras.Camera]
) -> list[dict[str, float]]:
    """Pitch and roll of each camera, true and estimated, and the angle between the verticals."""
    found = []
    for film, camera in zip(films, calibrated, strict=True):
        true = camera.rotation @ [0.0, 0.0, 1.0]
        body = body_lib.to_body(film.watched.track, film.watched.size)
        guess = gravity.up_in_camera(body.view.pitch, body.view.roll)
        off = np.degrees(np.arccos(np.clip(true @ guess, -1, 1)))
        untouched = np.degrees(np.arccos(np.clip(-true[1], -1, 1)))
        found.append({"estimated": float(off), "picture": float(untouched)})
    return found


def markdown(result: dict) -> str:
    """The table of docs/film.md."""
    lines = []
    for net, rows in result["nets"].items():
        lines += [f"| `{net}` | " + " | ".join((*KINDS, "all")) + " |", "|---" * 6 + "|"]
        for name, row in rows.items():
            cells = (f"{row[kind]:.0f}" for kind in (*KINDS, "all"))
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    off = ", ".join(f"{v['estimated']:.0f}°" for v in result["verticals"])
    up = ", ".join(f"{v['picture']:.0f}°" for v in result["verticals"])
    lines.append(f"Error of the vertical in the four films: {off}; of the picture's edge: {up}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--videos", type=pathlib.Path, required=True)
    parser.add_argument("--weights", default="", help="folder of the weights")
    parser.add_argument("--nets", default="lite,full,heavy")
    parser.add_argument("--write", action="store_true", help="results/ and docs/")
    options = parser.parse_args()
    calibrated = cameras.read_calibration(options.videos / "calibration" / "Calib.qca.txt")
    result: dict = {
        "films": "pose2sim demonstration, cam01 to cam04",
        "unit": "degrees",
        "nets": {},
    }
    films = {}
    for net in options.nets.split(","):
        model = estimate.load(net, options.weights)
        paths = sorted(options.videos.glob("cam0*.mp4"))
        films[net] = [watch_film(path, FilmOptions(net=net, rate=RATE), model) for path in paths]
    reference = triangulated(films[net], calibrated)
    result["nets"] = {net: steps(seen, calibrated, reference) for net, seen in films.items()}
    result["verticals"] = verticals(films.get("full", films[net]), calibrated)
    text = markdown(result)
    print(text)
    if options.write:
        write_json(ROOT / "results" / "film_pose.json", result)
        put(ROOT / "docs" / "film.md", text, "film")


if __name__ == "__main__":
    main()
