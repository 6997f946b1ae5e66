"""Videos and folders of pictures → upright pictures with presentation times."""

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

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


# Most frames of a video are passed over; one is turned into pixels only when it is looked at.
Look = Callable[[], Image.Image]


def frames(path: Path, rate: float = math.nan) -> Iterator[tuple[float, Image.Image]]:
    """Yields (seconds from the first frame, RGB picture), upright, in order of time.

    Args:
      path: anything that FFmpeg opens, or a folder of pictures in order of their names.
      rate: of a folder, Hz; videos carry their own presentation times.

    Raises:
      UserError: the file is damaged or has no frames, or a folder has no rate.
    """
    return ((time, look()) for time, look in shown(path, rate))


def shown(path: Path, rate: float = math.nan) -> Iterator[tuple[float, Look]]:
    """As `frames`, with a function that makes the picture in place of it."""
    if path.is_dir():
        yield from _folder(path, rate)
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
    # Phones film sideways and write the rotation beside the pixels.
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def _folder(path: Path, rate: float) -> Iterator[tuple[float, Look]]:
    if not rate > 0:
        raise UserError(f"{path}: a folder of pictures needs its rate: set video_rate (Hz)")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise UserError(f"{path}: no pictures ({', '.join(PICTURES)}) in it")
    for i, file in enumerate(files):
        yield i / rate, functools.partial(_open, file)


def _open(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{file}: damaged picture ({error})") from None


def sample(
    path: Path, rate: float, size: int, folder_rate: float = math.nan
) -> Iterator[UInt8[np.ndarray, "S S 3"]]:
    """`sample_shown` of a file.

    Args:
      path: see `frames`.
      rate: Hz.
      size: S, px.
      folder_rate: of a folder of pictures, Hz.

    Raises:
      UserError: see `frames`.
    """
    return sample_shown(shown(path, folder_rate), rate, size)


def of_arrays(pictures: UInt8[np.ndarray, "F H W 3"], rate: float) -> Iterator[tuple[float, Look]]:
    """As `shown`, of pictures in memory that follow one another at `rate` Hz."""
    for i, picture in enumerate(pictures):
        yield i / rate, functools.partial(Image.fromarray, picture)


def sample_shown(
    stream: Iterable[tuple[float, Look]], rate: float, size: int
) -> Iterator[UInt8[np.ndarray, "S S 3"]]:
    """Yields, for the instants 0, 1/rate, 2/rate, … s, the frame that is nearest in time.

    Which frame is nearest, and how long the last one counts, is as in `data.video.nearest_frames`;
    only two frames are held at a time. Nothing comes out of a single frame.

    Args:
      stream: see `shown`.
      rate: Hz.
      size: S, px; the picture is fitted into the square, with black beside it.
    """
    times = array.array("d")
    before: Look | None = None
    fitted: tuple[Look, np.ndarray] | None = None
    count = 0

    def pixels(look: Look) -> np.ndarray:
        nonlocal fitted
        if fitted is None or fitted[0] is not look:
            fitted = look, fit(look(), size)
        return fitted[1]

    for time, look in stream:
        if times and time <= times[-1]:  # a damaged index may step back
            continue
        if before is not None:
            while (instant := count / rate) <= time:
                yield pixels(before if instant - times[-1] <= time - instant else look)
                count += 1
        times.append(time)
        before = look
    if before is None or len(times) < 2:
        return
    last = times[-1] + np.median(np.diff(times))
    while count / rate <= last:
        yield pixels(before)
        count += 1


def fit(picture: Image.Image, size: int) -> UInt8[np.ndarray, "S S 3"]:
    """The picture in a square of `size` px, with black beside it if it is not square."""
    longest = max(picture.size)
    width, height = (max(round(n * size / longest), 1) for n in picture.size)
    small = picture.convert("RGB")
    if small.size != (width, height):
        small = small.resize((width, height), Image.Resampling.BOX)
    square = np.zeros((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = np.asarray(small)
    return square


def timeline(path: Path, rate: float = math.nan) -> tuple[np.ndarray, tuple[int, int]]:
    """[F] seconds of all frames from the first, and (width, height) of the upright picture, px."""
    times, size = [], (0, 0)
    for time, look in shown(path, rate):
        size = size if times else look().size
        times.append(time)
    return np.array(times), size


def record(
    path: Path,
    *,
    fps: float,
    size: int,
    start: float = 0.0,
    end: float = math.inf,
    rate: float = math.nan,
    quality: int = 90,
) -> tuple[list[bytes], np.ndarray]:
    """Frames between two instants as square JPEGs, thinned out to at most `fps`.

    A frame is kept as it was shown, with its own time: nothing is interpolated. The picture is
    fitted into the square, with black beside it.

    Args:
      path: see `frames`.
      fps: Hz.
      size: px.
      start: s.
      end: s.
      rate: of a folder of pictures, Hz.
      quality: of the JPEGs.

    Returns:
      JPEG bytes, and [F] seconds from the first frame of the file.
    """
    kept, times = [], []
    due = -math.inf
    for time, look in shown(path, rate):
        if time > end:
            break
        # Half a millisecond for time bases that cannot write 1/fps.
        if time < start or time < due - 5e-4:
            continue
        due = time + 1 / fps if due == -math.inf else max(due + 1 / fps, time + 0.5 / fps)
        memory = io.BytesIO()
        ImageOps.pad(look(), (size, size)).save(memory, "JPEG", quality=quality)
        kept.append(memory.getvalue())
        times.append(time)
    if not kept:
        raise UserError(f"{path}: no frame between {start:g} and {end:g} s")
    return kept, np.array(times)
