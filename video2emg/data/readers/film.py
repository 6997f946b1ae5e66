"""Videos and folders of pictures → upright pictures with presentation times."""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from video2emg.data import readers
from video2emg.errors import UserError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def frames(
    path: Path, rate: float = math.nan, wanted: Callable[[float], bool] = lambda time: True
) -> Iterator[tuple[float, Image.Image]]:
    """Yields (seconds from the first frame, RGB picture), upright, in order of time.

    Args:
      path: anything that FFmpeg opens, or a folder of pictures in order of their names.
      rate: of a folder, Hz; videos carry their own presentation times.
      wanted: asked of every frame's time, in order; others are not made into pictures.

    Raises:
      UserError: the file is damaged or has no frames, or a folder has no rate.
    """
    if path.is_dir():
        yield from _folder(path, rate, wanted)
        return
    av = readers.library("av", path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    first = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path}: no video stream in it")
            for frame in container.decode(container.streams.video[0]):
                if frame.pts is None:
                    continue
                time = float(frame.pts * frame.time_base)
                first = time if first is None else first
                if not wanted(time - first):
                    continue
                picture = frame.to_image()
                # Phones film sideways and write the rotation beside the pixels.
                if frame.rotation:
                    picture = picture.rotate(frame.rotation, expand=True)
                yield time - first, picture
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: damaged, or not a video ({error.strerror})") from error
    if first is None:
        raise UserError(f"{path}: no frame in it")


def _folder(
    path: Path, rate: float, wanted: Callable[[float], bool]
) -> Iterator[tuple[float, Image.Image]]:
    if not rate > 0:
        raise UserError(f"{path}: a folder of pictures needs its rate: set video_rate (Hz)")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise UserError(f"{path}: no pictures ({', '.join(PICTURES)}) in it")
    for i, file in enumerate(files):
        if not wanted(i / rate):
            continue
        try:
            with Image.open(file) as image:
                yield i / rate, ImageOps.exif_transpose(image).convert("RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise UserError(f"{file}: damaged picture ({error})") from None


def timeline(path: Path, rate: float = math.nan) -> tuple[np.ndarray, tuple[int, int]]:
    """[F] seconds of all frames from the first, and (width, height) of the upright picture, px."""
    times: list[float] = []

    def first(time: float) -> bool:
        times.append(time)
        return len(times) == 1

    [size] = [picture.size for _, picture in frames(path, rate, first)]
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

    def wanted(time: float) -> bool:
        nonlocal due
        # Half a millisecond for time bases that cannot write 1/fps.
        if time < start or time < due - 5e-4:
            return False
        due = time + 1 / fps if due == -math.inf else max(due + 1 / fps, time + 0.5 / fps)
        return True

    for time, picture in frames(path, rate, wanted):
        if time > end:
            break
        memory = io.BytesIO()
        ImageOps.pad(picture, (size, size)).save(memory, "JPEG", quality=quality)
        kept.append(memory.getvalue())
        times.append(time)
    if not kept:
        raise UserError(f"{path}: no frame between {start:g} and {end:g} s")
    return kept, np.array(times)
