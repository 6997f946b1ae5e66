"""The overlay of a camera: skeleton, muscles and traces, drawn while the film comes in."""

import collections
from pathlib import Path

import numpy as np
from PIL import Image

from video2emg.inference.output.overlay import Panel, Shown
from video2emg.inference.output.pose_overlay import with_skeleton
from video2emg.inference.output.video import VideoWriter
from video2emg.inference.stream import StreamUpdate
from video2emg.viz.theme import plain

_HISTORY_S = 20.0  # of the EMG that chooses the scale and the muscles with a trace


class LiveOverlay:
    """Writes `overlay.mp4` of a stream, as a context.

    A picture is written when the EMG of its instant has come. The file is complete after the end of
    the stream, also if the camera is lost.
    """

    def __init__(
        self,
        path: Path,
        muscles: tuple[str, ...],
        action: str,
        normalisation: str,
        simulated: bool,
        rate: float,
    ) -> None:
        """Opens the file.

        Args:
          path: of the mp4.
          muscles: C channels of the stream.
          action: the exercise; may be empty.
          normalisation: unit of the EMG.
          simulated: whether the model was trained on simulated people.
          rate: pictures per second, at most.
        """
        self._writer = VideoWriter(path, rate=rate, keep=True)
        self._panel = Panel(muscles, normalisation, simulated)
        self._title = plain(action)
        self._time, self._emg = np.zeros(0), np.zeros((0, len(muscles)))
        self._waiting: collections.deque[tuple[float, Image.Image]] = collections.deque()

    def __enter__(self) -> "LiveOverlay":
        self._writer.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._writer.__exit__(*error)

    def add(self, update: StreamUpdate) -> None:
        """Draws the skeleton on new pictures, and writes those whose EMG is there."""
        if update.pose is not None:
            self._waiting.extend(with_skeleton(update.pose, iter(update.pictures)))
        if not len(update.time):
            return
        keep = self._time >= update.time[-1] - _HISTORY_S
        self._time = np.concatenate([self._time[keep], update.time])
        self._emg = np.concatenate([self._emg[keep], update.emg])
        self._panel.fit(self._emg)
        shown = Shown(self._time, self._emg, self._title, update.in_domain)
        half = np.median(np.diff(self._time)) if len(self._time) > 1 else 0.0
        while self._waiting and self._waiting[0][0] <= self._time[-1] + half:
            time, picture = self._waiting.popleft()
            self._writer.add(time, self._panel.beside(picture, shown, time))
