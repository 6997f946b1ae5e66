"""Cameras and streams: frames as they arrive, and those of them that a model asks for."""

import contextlib
import dataclasses
import functools
import platform
import re
import sys
import time as clock
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.readers.film import Look, upright

_SILENCE_S = 10.0  # that an address may stay silent
# How FFmpeg calls cameras: (format, name of number n).
_CAMERAS = {
    "Linux": ("v4l2", "/dev/video{}"),
    "Darwin": ("avfoundation", "{}"),
    "Windows": ("dshow", "video={}"),
}
_OPTIONS = {"analyzeduration": "500000"}  # µs of the stream that must tell what it is


@dataclasses.dataclass(frozen=True)
class Arrival:
    """One frame.

    Attributes:
      at: when it was decoded, s of `time.perf_counter`.
      time: when it was taken, s from the first frame.
      look: makes the picture.
    """

    at: float
    time: float
    look: Look


@dataclasses.dataclass(frozen=True)
class Beat:
    """The frame for one instant of a model's clock.

    Attributes:
      number: of the instant; it lies at number / rate s.
      at, look: of the frame.
      anew: whether what came before is too long ago to count; true for the first.
    """

    number: int
    at: float
    look: Look
    anew: bool


def arrivals(source: str) -> Iterator[Arrival]:
    """Yields frames as they are decoded, until the stream ends.

    Args:
      source: number of a camera, address (`rtsp://…`, `http://…`), `-` for standard input, or a
        file or device that FFmpeg opens.

    Raises:
      UserError: it cannot be opened or read, or has no video.
    """
    av = readers.library("av", Path("--camera"))
    first = last = None
    try:
        with av.open(metadata_errors="replace", **_opening(source)) as container:
            if not container.streams.video:
                raise UserError(f"--camera {source}: no video stream in it")
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # threads by frame would each hold a frame back
            for frame in _decoded(container, stream):
                at = clock.perf_counter()
                taken = at if frame.pts is None else float(frame.pts * frame.time_base)
                if first is None or last is None:
                    first = last = taken
                elif taken < last - 1:  # the sender began anew
                    first += taken - last
                elif taken <= last:
                    continue
                last = taken
                yield Arrival(at, taken - first, functools.partial(upright, frame))
    except av.error.FFmpegError as error:
        if first is not None and last is not None:
            raise UserError(f"--camera {source}: lost after {last - first:.1f} s "
                            f"({error.strerror})") from error  # fmt: skip
        raise UserError(f"--camera {source}: cannot be read ({error.strerror}); a pipe must carry "
                        "what can be read as it comes, e.g. MPEG-TS") from error  # fmt: skip
    if first is None:
        raise UserError(f"--camera {source}: no frame came")


def _decoded(container, stream) -> Iterator[Any]:
    """Frames; packets that are damaged, or of a picture from before we came, are left out."""
    invalid = readers.library("av", Path("--camera")).error.InvalidDataError
    for packet in container.demux(stream):
        with contextlib.suppress(invalid):
            yield from packet.decode()


def _opening(source: str) -> dict[str, Any]:
    """Arguments of `av.open`."""
    if source == "-":
        # Unbuffered: a buffered read waits for a whole block, which may be seconds of video.
        return {"file": sys.stdin.buffer.raw, "options": _OPTIONS}  # pyright: ignore
    if source.isdigit():
        kind, name = _CAMERAS[platform.system()]
        return {"file": name.format(source), "format": kind}
    if re.match(r"[a-z]+://", source):
        options = _OPTIONS | ({"rtsp_transport": "tcp"} if source.startswith("rtsp") else {})
        return {"file": source, "options": options, "timeout": _SILENCE_S}
    if not Path(source).expanduser().exists():
        raise UserError(
            f"--camera {source}: no such file; else a camera's number, an address, or -"
        )
    return {"file": str(Path(source).expanduser()), "options": _OPTIONS}


def on_beat(stream: Iterable[Arrival], rate: float, patience_s: float) -> Iterator[Beat]:
    """Yields a frame for every instant 0, 1/rate, 2/rate, … s, as soon as it has arrived.

    It is the nearest in time if frames come evenly: none that is to come can be nearer. Instants
    for which none came are given the one before.

    Args:
      stream: `arrivals`.
      rate: of the instants, Hz.
      patience_s: what came before a pause longer than this counts no more.
    """
    due, before = 0, None
    for frame in stream:
        half = 0.0 if before is None else min(frame.time - before.time, 1 / rate) / 2
        number = int((frame.time + half) * rate + 1e-6)
        if number < due:
            before = frame
            continue
        anew = before is None or (number - due) / rate > patience_s
        if not anew and before is not None:
            for missed in range(due, number):
                yield Beat(missed, frame.at, before.look, False)
        yield Beat(number, frame.at, frame.look, anew)
        due, before = number + 1, frame
