"""Cameras and streams: frames as they arrive, and the frame for each instant of a model's clock."""

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
from video2emg.data.readers.film import Decode, turn_of, turned

_TIMEOUT_S = 10.0  # an address that sends nothing for longer is given up
# How FFmpeg calls cameras: (format, name of camera number n).
_CAMERAS = {
    "Linux": ("v4l2", "/dev/video{}"),
    "Darwin": ("avfoundation", "{}"),
    "Windows": ("dshow", "video={}"),
}
_OPTIONS = {"analyzeduration": "500000"}  # µs of the stream from which FFmpeg guesses its format


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """One frame of a stream.

    Attributes:
      received: when it was decoded, s of `time.perf_counter`.
      time: when it was taken, s from the first frame.
      decode: returns the picture.
    """

    received: float
    time: float
    decode: Decode


@dataclasses.dataclass(frozen=True)
class ClockFrame:
    """The frame for one instant of a model's clock.

    Attributes:
      number: of the instant, which lies at number / rate s.
      received, decode: of the frame.
      restart: true for the first frame, and after a pause so long that earlier frames do not count.
    """

    number: int
    received: float
    decode: Decode
    restart: bool


def live_frames(source: str) -> Iterator[LiveFrame]:
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
        with av.open(metadata_errors="replace", **_open_arguments(source)) as container:
            if not container.streams.video:
                raise UserError(f"--camera {source}: no video stream in it")
            stream = container.streams.video[0]
            aspect, turn = float(stream.sample_aspect_ratio or 1), None
            stream.thread_type = "SLICE"  # threads by frame would delay each frame
            for frame in _decode_packets(container, stream):
                received = clock.perf_counter()
                taken = received if frame.pts is None else float(frame.pts * frame.time_base)
                if first is None or last is None:
                    first = last = taken
                    turn = turn_of(frame)
                elif taken < last - 1:  # the sender started its clock again
                    first += taken - last
                elif taken <= last:
                    continue
                last = taken
                decode = functools.partial(turned, frame, turn, aspect)
                yield LiveFrame(received, taken - first, decode)
    except av.error.FFmpegError as error:
        if first is not None and last is not None:
            raise UserError(
                f"--camera {source}: lost after {last - first:.1f} s ({error.strerror})"
            ) from error
        raise UserError(
            f"--camera {source}: cannot be read ({error.strerror}); a pipe must carry a format "
            "that can be read from any point on, e.g. MPEG-TS"
        ) from error
    if first is None:
        raise UserError(f"--camera {source}: no frame came")


def _decode_packets(container, stream) -> Iterator[Any]:
    """Frames; skips damaged packets, and those that refer to a picture before the connection."""
    invalid = readers.library("av", Path("--camera")).error.InvalidDataError
    for packet in container.demux(stream):
        with contextlib.suppress(invalid):
            yield from packet.decode()


def _open_arguments(source: str) -> dict[str, Any]:
    """Arguments of `av.open`."""
    if source == "-":
        # Unbuffered: a buffered read waits for a whole block, which may be seconds of video.
        return {"file": sys.stdin.buffer.raw, "options": _OPTIONS}  # pyright: ignore
    if source.isdigit():
        kind, name = _CAMERAS[platform.system()]
        return {"file": name.format(source), "format": kind}
    if re.match(r"[a-z]+://", source):
        options = _OPTIONS | ({"rtsp_transport": "tcp"} if source.startswith("rtsp") else {})
        return {"file": source, "options": options, "timeout": _TIMEOUT_S}
    if not Path(source).expanduser().exists():
        raise UserError(
            f"--camera {source}: no such file; else a camera's number, an address, or -"
        )
    return {"file": str(Path(source).expanduser()), "options": _OPTIONS}


def frames_on_clock(
    stream: Iterable[LiveFrame], rate: float, longest_pause_s: float
) -> Iterator[ClockFrame]:
    """Yields a frame for each of the instants 0, 1/rate, 2/rate, … s, as soon as it has arrived.

    If frames come evenly it is the nearest in time, because no later one can be nearer. Instants
    without a frame get the frame before.

    Args:
      stream: `live_frames`.
      rate: of the instants, Hz.
      longest_pause_s: a longer pause is not filled; the first frame after it has `restart`.
    """
    due, previous = 0, None
    for frame in stream:
        half = 0.0 if previous is None else min(frame.time - previous.time, 1 / rate) / 2
        number = int((frame.time + half) * rate + 1e-6)
        if number < due:
            previous = frame
            continue
        restart = previous is None or (number - due) / rate > longest_pause_s
        if not restart and previous is not None:
            for skipped in range(due, number):
                yield ClockFrame(skipped, frame.received, previous.decode, False)
        yield ClockFrame(number, frame.received, frame.decode, restart)
        due, previous = number + 1, frame
