"""What was seen in films is kept, since looking at them takes longer than all of the rest.

A file is named by the content of the film, the net, the rate, the person who was asked for, and the
version of `film_pose`; a film that changes is looked at again.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from video2emg.core import skeleton
from video2emg.core.errors import UserError
from video2emg.core.files import write_arrays
from video2emg.core.pose_track import PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.data import film_pose
from video2emg.data.film_pose import FilmOptions, SeenFilm
from video2emg.pose import estimate
from video2emg.pose.blazepose import BlazePose

FOLDER = ".video2emg_poses"  # in the folder of the films, or below the user's cache

_CHUNK = 2**20


def seen_film(path: Path, options: FilmOptions, root: Path) -> SeenFilm:
    """As `film_pose.watch_film`, of a film that is looked at once.

    Args:
      path: film, or folder of pictures.
      options: how, with one `person` at most.
      root: folder that the cache is kept in; the user's cache if it cannot be written.

    Raises:
      UserError: no weights, or a film that cannot be read.
    """
    kept = _folder(root) / f"{_key(path, options)}.npz"
    with _lock(kept):
        if kept.is_file():
            with contextlib.suppress(OSError, ValueError, KeyError):
                return _read(kept, path)
        seen = film_pose.watch_film(path, options, _model(options.net, options.weights))
        _write(kept, seen)
    return seen


@functools.lru_cache(1)
def _model(net: str, weights: str) -> BlazePose:
    return estimate.load(net, weights)


def _folder(root: Path) -> Path:
    for base in (root, Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()):
        folder = base / FOLDER
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    raise UserError(f"{root}: cannot be written, nor the user's cache; set XDG_CACHE_HOME")


def _key(path: Path, options: FilmOptions) -> str:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(_content(file, status.st_size, status.st_mtime_ns))
    rate = options.folder_rate if path.is_dir() else ""
    (person,) = options.person or (0,)
    named = f"{options.net} {options.rate:g} {person} {rate} {film_pose.VERSION}"
    digest.update(named.encode())
    return f"{digest.hexdigest()[:32]}_{options.net}_{film_pose.VERSION}"


@functools.lru_cache(4096)
def _content(file: Path, size: int, changed: int) -> bytes:
    """SHA-256 of a file; size and time of change are there for the cache of this function."""
    del size, changed
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Two processes do not look at the same film at once."""
    with path.with_suffix(".lock").open("w") as file:
        with contextlib.suppress(OSError):  # file systems without locks do the work twice
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, seen: SeenFilm) -> None:
    track = seen.watched.track
    write_arrays(
        path,
        {
            "times": track.times,
            "joints": track.joints.astype(np.float32),
            "confidence": track.confidence.astype(np.float32),
            "points": np.asarray(track.points_2d, np.float32),
            "cuts": np.array(seen.watched.cuts, float),
            "size": np.array(seen.watched.size),
            "brightness": np.array(seen.watched.brightness),
            "who": np.array(seen.who),
            "warnings": np.array(seen.warnings, str),
        },
    )


def _read(kept: Path, path: Path) -> SeenFilm:
    with np.load(kept, allow_pickle=False) as arrays:
        track = PoseTrack(
            names=BLAZEPOSE_33,
            times=arrays["times"],
            joints=arrays["joints"],
            confidence=arrays["confidence"],
            points_2d=arrays["points"],
            source="BlazePose",
        )
        width, height = arrays["size"].tolist()
        watched = estimate.Watched(
            track, tuple(arrays["cuts"].tolist()), (width, height), float(arrays["brightness"])
        )
        return SeenFilm(path, watched, (), str(arrays["who"]), tuple(arrays["warnings"].tolist()))


def estimated_pose(
    films: list[Path], options: FilmOptions, root: Path, joints: tuple[str, ...], where: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """The pose of a recording without one, for a clip.

    Times that the gates refuse are NaN; a whole film is refused only if nothing of it is left,
    since its owner says what it shows.

    Args:
      films: of all cameras that started together.
      options: how.
      root: see `seen_film`.
      joints: J names that are wanted.
      where: for messages.

    Returns:
      [P, J, 3] float32 m, x forward, y left, z up, NaN where unknown; [P] s; and who was followed.

    Raises:
      UserError: nobody was seen, all times are refused, or the cameras show different people.
    """
    each = options.of_each(len(films))
    seen = [seen_film(film, own, root) for film, own in zip(films, each, strict=True)]
    pose = film_pose.assemble(seen, options)
    if pose.differ:
        raise UserError(f"{where}: {pose.differ}; name one camera only, or films of one person")
    track = pose.track
    placed = skeleton.arrange(track.joints, track.names, joints).astype(np.float32)
    if not np.isfinite(placed).any():
        reasons = "; ".join(map(str, pose.gated.spans)) or pose.gated.refused
        raise UserError(f"{where}: no pose can be estimated: {reasons}")
    return placed, track.times, seen[0].who
