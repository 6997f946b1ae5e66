"""Writing an H.264 (or lossless) video file, and reading a video thinned out."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image

from video2emg.data import readers
from video2emg.data.readers import film

_TICKS = 90_000  # per second: common frame rates are written without visible rounding


def write(
    path: Path,
    pictures: Iterable[tuple[float, Image.Image]],
    *,
    rate: float,
    quality: int = 23,
    lossless: bool = False,
) -> None:
    """Encodes pictures with their own times; the file appears when it is complete.

    Args:
      path: of the video; FFV1 needs a container such as Matroska (`.mkv`).
      pictures: (s, RGB picture) in order of time, all of one size; H.264 drops the last row or
        column of odd sizes.
      rate: nominal, Hz; there is one key frame per second.
      quality: H.264's constant rate factor, 0 (best) to 51.
      lossless: encode with FFV1, which keeps every pixel.

    Raises:
      UserError: PyAV is not installed.
    """
    av = readers.library("av", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished_{path.name}")
    # The index comes before the pictures, so that a player can start before it has the whole file.
    options = {} if lossless else {"movflags": "faststart"}
    try:
        with av.open(str(unfinished), "w", options=options) as container:
            stream = None
            for time, picture in pictures:
                if stream is None:
                    codec = "ffv1" if lossless else "libx264"
                    stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(999))
                    stream.width, stream.height = (
                        n if lossless else n // 2 * 2 for n in picture.size
                    )
                    stream.pix_fmt = "bgr0" if lossless else "yuv420p"
                    stream.codec_context.time_base = Fraction(1, _TICKS)
                    stream.codec_context.gop_size = max(round(rate), 1)
                    if not lossless:
                        stream.options = {"crf": str(quality), "preset": "veryfast"}
                    box = (0, 0, stream.width, stream.height)
                frame = av.VideoFrame.from_image(picture.crop(box))
                frame.pts, frame.time_base = round(time * _TICKS), Fraction(1, _TICKS)
                container.mux(stream.encode(frame))
            if stream is not None:
                container.mux(stream.encode())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def downsampled(
    path: Path, folder_rate: float, size: int, max_rate: float
) -> Iterator[tuple[float, Image.Image]]:
    """Yields (s, picture) of a video.

    Args:
      path: of the video, or a folder of pictures.
      folder_rate: frame rate of a folder of pictures, Hz.
      size: largest length of the longer edge, px.
      max_rate: frames that come faster are left out, Hz.
    """
    due = 0.0
    for time, decode in film.read_frames(path, folder_rate, size):
        if time < due - 5e-4:
            continue
        due = max(due + 1 / max_rate, time + 0.5 / max_rate)
        picture = decode()
        picture.thumbnail((size, size))
        yield time, picture
