"""Videos and folders of pictures → upright RGB pictures with presentation times."""

import array
import contextlib
import functools
import io
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from video2emg.core.errors import UserError
from video2emg.core.thinning import thinned
from video2emg.data import readers
from video2emg.data.video import letterbox

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_QUALITY = 90  # of stored JPEGs
_SAME_RATE = 0.05  # two rates of a video that differ by less are the same
_CUT_OFF = 0.25  # s by which the frames may end before the container says
_UNEVEN = 0.25  # share of a step by which the numbers of pictures may differ
_LOOKED_AT = 32  # pictures of a folder from which the depth of grey is found
# Signs of a display matrix (a, b, c, d): the pixel (x, y) is shown at (a x + c y, b x + d y).
_TURNS = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}

# Returns a frame as an RGB picture. Most frames are skipped, so only the chosen ones are converted.
Decode = Callable[[], Image.Image]


def read_frames(
    path: Path, rate: float = math.nan, longest: int = 0
) -> Iterator[tuple[float, Decode]]:
    """Yields (seconds from the first frame, function that returns the upright picture), in order.

    Args:
      path: any file that FFmpeg opens, or a folder of pictures in the order of their numbers.
      rate: of a folder, or of a raw stream without presentation times, Hz; other videos carry their
        own times.
      longest: of the edges of the pictures of a video, px; larger ones are shrunk while they are
        converted. 0 keeps their size.

    Raises:
      UserError: the file is damaged or has no frames, or a folder has no rate.
        After the last frame: the file is cut off.
    """
    if path.is_dir():
        yield from _read_folder(path, rate)
        return
    av = readers.library("av", path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise UserError(f"{path}: no video stream in it")
            yield from _decode(container, path, rate, longest)
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: damaged, or not a video ({error.strerror})") from error


def _decode(container, path: Path, rate: float, longest: int) -> Iterator[tuple[float, Decode]]:
    stream = container.streams.video[0]
    aspect = float(stream.sample_aspect_ratio or 1)
    first, end, count, turn = None, 0.0, 0, None
    for count, frame in enumerate(container.decode(stream), 1):
        if count == 1:
            turn = turn_of(frame)
        decode = functools.partial(turned, frame, turn, aspect, longest)
        timed = frame.pts is not None
        if not timed and (first is not None or not rate > 0):
            continue
        if timed:
            time = float(frame.pts * frame.time_base)
            end = time + float((frame.duration or 0) * frame.time_base)
            if first is None:
                first = time
            yield time - first, decode
        else:
            yield (count - 1) / rate, decode
    if not count:
        raise UserError(f"{path}: no frame in it")
    if first is None and not rate > 0:
        raise UserError(
            f"{path}: its {count} frames have no times, as in a raw stream; set video_rate "
            "(Hz), or put it into a container (MP4)"
        )
    stated = _stated_end(container, stream)
    if first is not None and stated - end > _CUT_OFF:
        raise UserError(
            f"{path}: cut off: its frames end at {end - first:.2f} s, but it says "
            f"{stated - first:.2f}"
        )


def _stated_end(container, stream) -> float:
    """When the last frame ends by what the container says, s; NaN if it says nothing."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return 3600 * float(tag[1]) + 60 * float(tag[2]) + float(tag[3])
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6
    return math.nan


def turn_of(frame) -> Image.Transpose | float | None:
    """How a frame is to be turned: phones film sideways, and mirrored, and store it as a matrix.

    A frame whose side data were looked at refers to itself, so that its memory is freed late: only
    the first frame of a film is looked at.
    """
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return None
    a, b, _, c, d = np.sign(np.frombuffer(bytes(matrix), "<i4")[:5]).tolist()
    return _TURNS.get((a, b, c, d), float(frame.rotation))


def turned(
    frame, turn: Image.Transpose | float | None, aspect: float = 1.0, longest: int = 0
) -> Image.Image:
    """A decoded frame as an RGB picture, as players show it.

    Args:
      frame: of PyAV.
      turn: of the film, see `turn_of`.
      aspect: width of a stored pixel by its height.
      longest: of the edges, px; a larger picture is shrunk. 0 keeps its size.
    """
    factor = longest / max(frame.width, frame.height)
    if 0 < factor < 1:
        width, height = (max(1, round(edge * factor)) for edge in (frame.width, frame.height))
        picture = frame.to_image(width=width, height=height, interpolation="AREA")
    else:
        picture = frame.to_image()
    if aspect > 1:
        picture = picture.resize((round(picture.width * aspect), picture.height))
    elif 0 < aspect < 1:
        picture = picture.resize((picture.width, round(picture.height / aspect)))
    if isinstance(turn, Image.Transpose):
        return picture.transpose(turn)
    return picture.rotate(turn, expand=True) if turn else picture


def _read_folder(path: Path, rate: float) -> Iterator[tuple[float, Decode]]:
    if not rate > 0:
        raise UserError(f"{path}: a folder of pictures needs its rate: set video_rate (Hz)")
    files = sorted(
        (
            file
            for file in path.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
        ),
        key=_natural,
    )
    if not files:
        raise UserError(f"{path}: no pictures ({', '.join(IMAGE_SUFFIXES)}) in it")
    largest = _largest_value(files)
    for position, file in zip(_positions(files), files, strict=True):
        yield position / rate, functools.partial(_open_picture, file, largest)


def _natural(file: Path) -> tuple:
    """Sorts `frame2` before `frame10`."""
    parts = re.split(r"(\d+)", file.name)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _positions(files: list[Path]) -> list[int]:
    """Place of each picture in the film, by the numbers at the ends of their names.

    Numbers may be missing, and may count in steps. Pictures whose names differ in something else
    follow one another.
    """
    matches = [re.fullmatch(r"(.*?)(\d+)", file.stem) for file in files]
    numbers = [int(match[2]) for match in matches if match]
    if len(numbers) < len(files) or len({match[1] for match in matches if match}) > 1:
        return list(range(len(files)))
    steps = np.diff(numbers)
    usual = max(float(np.median(steps)), 1.0) if len(steps) else 1.0
    places = np.round(steps / usual).astype(int)
    wrong = (places < 1) | (np.abs(steps / usual - places) > _UNEVEN)
    if wrong.any():
        i = int(wrong.argmax())
        raise UserError(
            f"{files[i + 1]}: follows {files[i].name}, but the numbers of most pictures rise by "
            f"{usual:g}; number them in steps of one"
        )
    return [0, *np.cumsum(places).tolist()]


def _largest_value(files: list[Path]) -> int:
    """The largest value that the grey pictures' bits can hold; 255 for other pictures.

    Cameras write 10, 12 or 14 bits into files of 16 bits.
    """
    with contextlib.suppress(UnidentifiedImageError, OSError), Image.open(files[0]) as image:
        if not image.mode.startswith("I"):
            return 255
    peak = 0
    for i in np.unique(np.linspace(0, len(files) - 1, _LOOKED_AT).astype(int)):
        with contextlib.suppress(UnidentifiedImageError, OSError), Image.open(files[i]) as image:
            peak = max(peak, int(np.asarray(image).max()))
    return next((2**bits - 1 for bits in (8, 10, 12, 14, 16) if peak < 2**bits), peak)


def _open_picture(file: Path, largest: int) -> Image.Image:
    try:
        with Image.open(file) as image:
            if image.mode.startswith("I"):
                values = np.asarray(image, np.float64) * (255 / largest)
                grey = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
                return ImageOps.exif_transpose(grey).convert("RGB")
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
    """[F] seconds of all frames from the first, and (width, height) of the upright picture, px.

    Raises:
      UserError: see `read_frames`, or pixels that are not square, since programs disagree on which
        pixels they count.
    """
    _refuse_wide_pixels(path)
    times, size = [], (0, 0)
    for time, decode in read_frames(path, rate):
        size = size if times else decode().size
        times.append(time)
    return np.array(times), size


def check_rate(path: Path, rate: float) -> None:
    """Refuses a rate that is given for a video which itself says another one.

    Raises:
      UserError: the two differ.
    """
    with _first_stream(path) as stream:
        stated = (
            (stream.average_rate, stream.guessed_rate)
            if stream and stream.start_time is not None
            else ()
        )
        own = [float(x) for x in stated if x]
    if own and all(abs(x / rate - 1) > _SAME_RATE for x in own):
        raise UserError(
            f"{path}: video_rate is {rate:g} Hz, but the video says {own[0]:g}; video_rate is for "
            "folders of pictures: write the true rate into the video (e.g. ffmpeg -itsscale)"
        )


def _refuse_wide_pixels(path: Path) -> None:
    with _first_stream(path) as stream:
        aspect = float((stream and stream.sample_aspect_ratio) or 1)
    if aspect != 1:
        raise UserError(
            f"{path}: its pixels are {aspect:.3g} times as wide as high, so that the pixels of "
            "keypoints may be these or those shown; write it with square pixels"
        )


@contextlib.contextmanager
def _first_stream(path: Path) -> Iterator[Any]:
    """The video stream of a file; None of a folder or of what is not a video."""
    if path.is_dir():
        yield None
        return
    av = readers.library("av", path)
    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.error.FFmpegError:
        yield None
        return
    with container:
        yield next(iter(container.streams.video), None)


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
    until_end = itertools.takewhile(lambda frame: frame[0] <= end, read_frames(path, rate))
    between = (frame for frame in until_end if frame[0] >= start)
    for time, decode in thinned(between, fps):
        buffer = io.BytesIO()
        letterbox(decode(), size).save(buffer, "JPEG", quality=_QUALITY)
        jpegs.append(buffer.getvalue())
        times.append(time)
    if not jpegs:
        raise UserError(f"{path}: no frame between {start:g} and {end:g} s")
    return jpegs, np.array(times)
