"""A video with the prediction beside the frames: activation on a body, and running traces."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.inference.output import bodymap, video
from video2emg.inference.output.pose_overlay import with_skeleton
from video2emg.inference.prediction import Prediction
from video2emg.viz.theme import BLUE, ORANGE, plain, unit

_HEIGHT, _RATE = 480, 25.0  # px of the frames, Hz
_SPAN_S = 6.0  # s of the traces that are visible
_MARGIN = 12
_PAGE, _INK, _QUIET, _SKIN, _OTHER = "#ffffff", "#1b1f24", "#515a64", "#e2e6ea", "#cfd5db"
_RAMP = np.array([[253, 243, 224], [240, 149, 74], [143, 13, 13]])  # of activation
_SIDE = {"left": BLUE, "right": ORANGE}


def write(prediction: Prediction, path: Path, rate: float = float("nan")) -> None:
    """Writes the video.

    Args:
      prediction: of files.
      path: of the mp4.
      rate: frame rate of a folder of pictures, Hz.

    Raises:
      UserError: the frames came from memory.
    """
    if not prediction.videos:
        raise UserError("an overlay needs a video file; these frames came from memory")
    source = Path(next(iter(prediction.videos.values())))
    video.write(path, _frames(prediction, source, rate), rate=_RATE)


def _frames(
    prediction: Prediction, source: Path, rate: float
) -> Iterator[tuple[float, Image.Image]]:
    known = prediction.emg[np.isfinite(prediction.emg)]
    peak = max(float(np.quantile(known, 0.998)) if len(known) else 0.0, 0.05)
    panel = _Panel(prediction, peak)
    frames = video.downsampled(source, rate, _HEIGHT, _RATE)
    if prediction.pose is not None:
        frames = with_skeleton(prediction.pose, frames)
    for time, picture in frames:
        frame = Image.new("RGB", (picture.width + panel.width, _HEIGHT), _PAGE)
        frame.paste(picture, (0, (_HEIGHT - picture.height) // 2))
        frame.paste(panel.draw(time), (picture.width, 0))
        yield time, frame


class _Panel:
    """The panel beside the frames.

    Attributes:
      width: px.
    """

    def __init__(self, prediction: Prediction, peak: float) -> None:
        """Lays the panel out; EMG of `peak` has the darkest colour and the full height."""
        self._prediction, self._peak = prediction, peak
        self._font, self._small = (ImageFont.load_default(size) for size in (15, 12))
        names = [vocabulary.split_channel(name)[1] for name in prediction.muscles]
        self._muscles = tuple(dict.fromkeys(names))
        self._scale = 0.5 * _HEIGHT / bodymap.HEIGHT
        self._body = [bodymap.figure(side) for side in bodymap.SIDES]
        self.width = round(2 * bodymap.WIDTH * self._scale) + 2 * _MARGIN
        self.width = max(self.width + self.width % 2, 300)

    def draw(self, time: float) -> Image.Image:
        """The panel at `time` s."""
        picture = Image.new("RGB", (self.width, _HEIGHT), _PAGE)
        pen = ImageDraw.Draw(picture)
        self._draw_title(pen, time)
        self._draw_body(pen, time)
        self._draw_traces(pen, time)
        return picture

    def _draw_title(self, pen: ImageDraw.ImageDraw, time: float) -> None:
        prediction = self._prediction
        line = f"{time:5.1f} s  {plain(prediction.action)}"
        for n, repetition in enumerate(prediction.repetitions, 1):
            if repetition.start <= time < repetition.end:
                score = "" if repetition.score is None else f", {repetition.score:.0f} of 100"
                line = f"{time:5.1f} s  repetition {n}{score}"
        pen.text((_MARGIN, 6), line, _INK, self._font)
        if not prediction.in_domain:
            pen.text((_MARGIN, 24), "out of domain: do not trust", ORANGE, self._font)

    def _draw_body(self, pen: ImageDraw.ImageDraw, time: float) -> None:
        prediction = self._prediction
        index = min(int(np.searchsorted(prediction.time, time)), len(prediction.time) - 1)
        activation = dict(zip(prediction.muscles, prediction.emg[index], strict=True))
        for n, (outline, shapes) in enumerate(self._body):
            corner = np.array([_MARGIN + n * bodymap.WIDTH * self._scale, 42])
            pen.polygon(_points(outline * self._scale + corner), _SKIN, _QUIET)
            for name, shape in shapes.items():
                fill = _OTHER
                if np.isfinite(activation.get(name, np.nan)):
                    fill = _colour(float(activation[name]) / self._peak)
                pen.polygon(_points(shape * self._scale + corner), fill, _QUIET)

    def _draw_traces(self, pen: ImageDraw.ImageDraw, time: float) -> None:
        prediction = self._prediction
        top = 0.5 * _HEIGHT + 54
        height = (_HEIGHT - top - 20) / max(len(self._muscles), 1)
        first, last = time - 0.75 * _SPAN_S, time + 0.25 * _SPAN_S
        within = np.flatnonzero((prediction.time >= first) & (prediction.time <= last))
        width = self.width - 2 * _MARGIN
        x = _MARGIN + width * (prediction.time[within] - first) / _SPAN_S
        for n, muscle in enumerate(self._muscles):
            floor = top + (n + 1) * height - 4
            pen.line([(_MARGIN, floor), (self.width - _MARGIN, floor)], _OTHER)
            for side in vocabulary.SIDES:
                name = vocabulary.channel(side, muscle)
                if name not in prediction.muscles or len(within) < 2:
                    continue
                emg = prediction.emg[within, prediction.muscles.index(name)]
                y = floor - (height - 22) * np.clip(emg / self._peak, 0, 1)
                pen.line(_points(np.stack([x, y], -1)), _SIDE[side], 2)
            pen.text((_MARGIN, floor - height + 4), plain(muscle), _INK, self._small)
        cursor = _MARGIN + 0.75 * width
        pen.line([(cursor, top), (cursor, _HEIGHT - 20)], _INK)
        gap = " " * 10
        legend = f"left {gap}right {gap}0-{self._peak:.0%} {unit(prediction.normalisation)[2:]}"
        pen.text((_MARGIN + 14, _HEIGHT - 17), legend, _INK, self._small)
        right = _MARGIN + 14 + self._small.getlength(f"left {gap}")
        for start, side in ((_MARGIN, "left"), (right - 14, "right")):
            pen.line([(start, _HEIGHT - 10), (start + 10, _HEIGHT - 10)], _SIDE[side], 3)


def _points(shape: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in shape]


def _colour(activation: float) -> tuple[int, int, int]:
    """Colour of an activation between 0 and 1."""
    position = np.clip(activation, 0, 1) * (len(_RAMP) - 1)
    r, g, b = (np.interp(position, np.arange(len(_RAMP)), column) for column in _RAMP.T)
    return round(float(r)), round(float(g)), round(float(b))
