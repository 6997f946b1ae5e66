"""Writing an H.264 (or lossless) video file, and reading a video thinned out."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from video2emg.core.thinning import thinned
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
      path: as of `VideoWriter`, as are rate, quality and lossless.
      pictures: (s, RGB picture) in order of time, all of one size.
      rate: Hz.
      quality: of H.264.
      lossless: with FFV1.

    Raises:
      UserError: PyAV is not installed.
    """
    with VideoWriter(path, rate=rate, quality=quality, lossless=lossless) as writer:
        for time, picture in pictures:
            writer.add(time, picture)


class VideoWriter:
    """A video file that grows by a picture at a time, as a context.

    The file appears at the end of the context, if a picture was added. If the context ends with an
    error, the file is dropped, or with `keep` completed with the pictures so far.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate: float,
        quality: int = 23,
        lossless: bool = False,
        keep: bool = False,
    ) -> None:
        """Opens the file.

        Args:
          path: of the video; FFV1 needs a container such as Matroska (`.mkv`).
          rate: nominal, Hz; there is one key frame per second.
          quality: H.264's constant rate factor, 0 (best) to 51.
          lossless: encode with FFV1, which keeps every pixel.
          keep: what was added before an error.

        Raises:
          UserError: PyAV is not installed.
        """
        self._av = readers.library("av", path)
        self._path, self._keep = path, keep
        self._rate, self._quality, self._lossless = rate, quality, lossless
        path.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished = path.with_name(f".unfinished_{path.name}")
        # The index comes before the pictures, so a player can start before it has the whole file.
        options = {} if lossless else {"movflags": "faststart"}
        self._container = self._av.open(str(self._unfinished), "w", options=options)
        self._stream: Any = None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        complete = kind is None or self._keep
        try:
            if complete and self._stream is not None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if complete and self._stream is not None:
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)

    def add(self, time: float, picture: Image.Image) -> None:
        """Encodes the next picture.

        Args:
          time: s, later than that of the picture before.
          picture: RGB, of the size of the first; H.264 drops the last row or column of odd sizes.
        """
        if self._stream is None:
            self._stream = self._open_stream(picture.size)
        stream = self._stream
        box = (0, 0, stream.width, stream.height)
        frame = self._av.VideoFrame.from_image(picture.crop(box))
        frame.pts, frame.time_base = round(time * _TICKS), Fraction(1, _TICKS)
        self._container.mux(stream.encode(frame))

    def _open_stream(self, size: tuple[int, int]) -> Any:
        codec = "ffv1" if self._lossless else "libx264"
        rate = Fraction(self._rate).limit_denominator(999)
        stream: Any = self._container.add_stream(codec, rate=rate)
        stream.width, stream.height = (n if self._lossless else n // 2 * 2 for n in size)
        stream.pix_fmt = "bgr0" if self._lossless else "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.gop_size = max(round(self._rate), 1)
        if not self._lossless:
            stream.options = {"crf": str(self._quality), "preset": "veryfast"}
        return stream


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
    for time, decode in thinned(film.read_frames(path, folder_rate, size), max_rate):
        picture = decode()
        picture.thumbnail((size, size))
        yield time, picture
