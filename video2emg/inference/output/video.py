"""Pictures → an H.264 (or lossless) video file."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from PIL import Image

from video2emg.data import readers

_TICKS = 90_000  # per second: writes the common frame rates without rounding that shows


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
      pictures: (s, RGB picture) in order of time, all of one size; odd sizes lose a row or column.
      rate: nominal, Hz; sets the spacing of key frames, one per second.
      quality: H.264's constant rate factor, 0 (best) to 51.
      lossless: FFV1, which gives the very pixels back.

    Raises:
      UserError: PyAV is not installed.
    """
    av = readers.library("av", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished_{path.name}")
    # The index before the pictures, so that a player can begin before it has the whole file.
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
