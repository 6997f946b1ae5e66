"""Videos and folders of pictures → upright RGB pictures with presentation times."""

import array
import functools
import io
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.video import letterbox

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_QUALITY = 90  # of stored JPEGs

# Returns a frame as an RGB picture. Most frames are skipped, so only the chosen ones are converted.
Decode = Callable[[], Image.Image]


def read_frames(path: Path, rate: float = math.nan) -> Iterator[tuple[float, Decode]]:
    """Yields (seconds from the first frame, function that returns the upright picture), in order.

    Args:
      path: any file that FFmpeg opens, or a folder of pictures in the order of their names.
      rate: of a folder, Hz; videos carry their own presentation times.

    Raises:
      UserError: the file is damaged or has no frames, or a folder has no rate.
    """
    if path.is_dir():
        yield from _read_folder(path, rate)
        return
    av = readers.library("av", path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    first = None
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise UserError(f"{path}: no video stream in it")
            for frame in container.decode(container.streams.video[0]):
                if frame.pts is None:
                    continue
                time = float(frame.pts * frame.time_base)
                first = time if first is None else first
                yield time - first, functools.partial(upright, frame)
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: damaged, or not a video ({error.strerror})") from error
    if first is None:
        raise UserError(f"{path}: no frame in it")


def upright(frame) -> Image.Image:
    """A decoded frame as an RGB picture."""
    picture = frame.to_image()
    # Phones film sideways and store the rotation next to the pixels.
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def _read_folder(path: Path, rate: float) -> Iterator[tuple[float, Decode]]:
    if not rate > 0:
        raise UserError(f"{path}: a folder of pictures needs its rate: set video_rate (Hz)")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise UserError(f"{path}: no pictures ({', '.join(IMAGE_SUFFIXES)}) in it")
    for i, file in enumerate(files):
        yield i / rate, functools.partial(_open_picture, file)


def _open_picture(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{file}: damaged picture ({error})") from None


def frames_from_arrays(
    pictures: UInt8[np.ndarray, "F H W 3"], rate: float
) -> Iterator[tuple[float, Decode]]:
    """As `read_frames`, of pictures in memory that follow one another at `rate` Hz."""
    for i, picture in enumerate(pictures):
        yield i / rate, functools.partial(Image.fromarray, picture)


def sample_frames(
    frames: Iterable[tuple[float, Decode]], rate: float, size: int
) -> Iterator[UInt8[np.ndarray, "S S 3"]]:
    """Yields the frame nearest in time to each of the instants 0, 1/rate, 2/rate, … s.

    Which frame is nearest, and how long the last one counts, is the same as in
    `data.video.nearest_frames`, but only two frames are held at a time. A single frame has no
    duration, so that nothing is yielded.

    Args:
      frames: see `read_frames`.
      rate: Hz.
      size: S, px; see `data.video.letterbox`.
    """
    times = array.array("d")
    previous: Decode | None = None
    cached: tuple[Decode, np.ndarray] | None = None
    count = 0

    def pixels(decode: Decode) -> np.ndarray:
        nonlocal cached
        if cached is None or cached[0] is not decode:
            cached = decode, np.asarray(letterbox(decode(), size))
        return cached[1]

    for time, decode in frames:
        if times and time <= times[-1]:  # times of a damaged file may step back
            continue
        if previous is not None:
            while (instant := count / rate) <= time:
                yield pixels(previous if instant - times[-1] <= time - instant else decode)
                count += 1
        times.append(time)
        previous = decode
    if previous is None or len(times) < 2:
        return
    end = times[-1] + np.median(np.diff(times))
    while count / rate <= end:
        yield pixels(previous)
        count += 1


def frame_times(path: Path, rate: float = math.nan) -> tuple[np.ndarray, tuple[int, int]]:
    """[F] seconds of all frames from the first, and (width, height) of the upright picture, px."""
    times, size = [], (0, 0)
    for time, decode in read_frames(path, rate):
        size = size if times else decode().size
        times.append(time)
    return np.array(times), size


def encode_frames(
    path: Path,
    *,
    fps: float,
    size: int,
    start: float = 0.0,
    end: float = math.inf,
    rate: float = math.nan,
) -> tuple[list[bytes], np.ndarray]:
    """Frames between two instants as square JPEGs, at most `fps` of them per second.

    A frame is kept with its own time; nothing is interpolated.

    Args:
      path: see `read_frames`.
      fps: Hz.
      size: px; see `data.video.letterbox`.
      start: s.
      end: s.
      rate: of a folder of pictures, Hz.

    Returns:
      JPEG bytes, and [F] seconds from the first frame of the file.

    Raises:
      UserError: see `read_frames`, or no frame between the two instants.
    """
    jpegs, times = [], []
    due = -math.inf
    for time, decode in read_frames(path, rate):
        if time > end:
            break
        # Half a millisecond of tolerance for time bases in which 1/fps has no exact value.
        if time < start or time < due - 5e-4:
            continue
        due = time + 1 / fps if due == -math.inf else max(due + 1 / fps, time + 0.5 / fps)
        buffer = io.BytesIO()
        letterbox(decode(), size).save(buffer, "JPEG", quality=_QUALITY)
        jpegs.append(buffer.getvalue())
        times.append(time)
    if not jpegs:
        raise UserError(f"{path}: no frame between {start:g} and {end:g} s")
    return jpegs, np.array(times)
