"""A video with the prediction beside the frames: activation on a body, and running traces."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.inference.output import bodymap, video
from video2emg.inference.output.pose_overlay import with_skeleton
from video2emg.inference.prediction import Prediction
from video2emg.viz.theme import BLUE, ORANGE, plain, unit

HEIGHT, _RATE = 480, 25.0  # px of the frames, Hz
_LEAST_PEAK = 0.05
_TRACES = 4  # muscles, at most
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
    panel = Panel(prediction.muscles, prediction.normalisation, prediction.simulated)
    panel.fit(prediction.emg)
    frames = video.downsampled(source, rate, HEIGHT, _RATE)
    if prediction.pose is not None:
        frames = with_skeleton(prediction.pose, frames)
    for time, picture in frames:
        title = _title(prediction, time)
        shown = Shown(prediction.time, prediction.emg, title, prediction.in_domain)
        yield time, panel.beside(picture, shown, time)


def _title(prediction: Prediction, time: float) -> str:
    for n, repetition in enumerate(prediction.repetitions, 1):
        if repetition.start <= time < repetition.end:
            score = "" if repetition.score is None else f", {repetition.score:.0f} of 100"
            return f"repetition {n}{score}"
    return plain(prediction.action)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a panel shows. N samples, C channels.

    Attributes:
      time: [N] s.
      emg: [N, C], NaN where unknown.
      title: first line, after the time.
      in_domain: whether to trust it.
    """

    time: Float[np.ndarray, " N"]
    emg: Float[np.ndarray, "N C"]
    title: str
    in_domain: bool


class Panel:
    """Muscles on a body, and traces, beside a picture.

    Attributes:
      width: px.
    """

    def __init__(self, channels: Sequence[str], normalisation: str, simulated: bool) -> None:
        """Lays the panel out for C channels of a model, maybe one of simulated people."""
        self._simulated = simulated
        self._channels, self._unit = tuple(channels), unit(normalisation)[2:]
        self._font, self._small = (ImageFont.load_default(size) for size in (15, 12))
        self._peak, self._traced = _LEAST_PEAK, ()
        self._scale = 0.5 * HEIGHT / bodymap.HEIGHT
        self._body = [bodymap.figure(side) for side in bodymap.SIDES]
        self.width = round(2 * bodymap.WIDTH * self._scale) + 2 * _MARGIN
        self.width = max(self.width + self.width % 2, 300)

    def fit(self, emg: Float[np.ndarray, "N C"]) -> None:
        """Chooses the scale and the muscles with a trace: those that work most in this EMG."""
        known = emg[np.isfinite(emg).all(1)]
        if not len(known):
            return
        self._peak = max(float(np.quantile(known, 0.998)), _LEAST_PEAK)
        highest: dict[str, float] = {}
        for name, peak in zip(self._channels, np.quantile(known, 0.95, axis=0), strict=True):
            muscle = vocabulary.split_channel(name)[1]
            highest[muscle] = max(highest.get(muscle, 0.0), float(peak))
        most = sorted(highest, key=lambda muscle: -highest[muscle])[:_TRACES]
        self._traced = tuple(muscle for muscle in highest if muscle in most)

    def beside(self, picture: Image.Image, shown: Shown, time: float) -> Image.Image:
        """A picture of at most `HEIGHT` px with the panel at `time` s on its right."""
        frame = Image.new("RGB", (picture.width + self.width, HEIGHT), _PAGE)
        frame.paste(picture, (0, (HEIGHT - picture.height) // 2))
        frame.paste(self._draw(shown, time), (picture.width, 0))
        return frame

    def _draw(self, shown: Shown, time: float) -> Image.Image:
        picture = Image.new("RGB", (self.width, HEIGHT), _PAGE)
        pen = ImageDraw.Draw(picture)
        pen.text((_MARGIN, 6), f"{time:5.1f} s  {shown.title}", _INK, self._font)
        if not shown.in_domain:
            pen.text((_MARGIN, 24), "out of domain: do not trust", ORANGE, self._font)
        if self._simulated:
            note = "predicted by a model of simulated people"
            pen.text((_MARGIN, 41), note, _QUIET, self._small)
        self._draw_body(pen, shown, time)
        self._draw_traces(pen, shown, time)
        return picture

    def _draw_body(self, pen: ImageDraw.ImageDraw, shown: Shown, time: float) -> None:
        index = min(int(np.searchsorted(shown.time, time)), len(shown.time) - 1)
        activation = dict(zip(self._channels, shown.emg[index], strict=True))
        for n, (outline, shapes) in enumerate(self._body):
            corner = np.array([_MARGIN + n * bodymap.WIDTH * self._scale, 54])
            pen.polygon(_points(outline * self._scale + corner), _SKIN, _QUIET)
            for name, shape in shapes.items():
                fill = _OTHER
                if np.isfinite(activation.get(name, np.nan)):
                    fill = _colour(float(activation[name]) / self._peak)
                pen.polygon(_points(shape * self._scale + corner), fill, _QUIET)

    def _draw_traces(self, pen: ImageDraw.ImageDraw, shown: Shown, time: float) -> None:
        top = 0.5 * HEIGHT + 54
        height = (HEIGHT - top - 20) / max(len(self._traced), 1)
        first, last = time - 0.75 * _SPAN_S, time + 0.25 * _SPAN_S
        within = np.flatnonzero((shown.time >= first) & (shown.time <= last))
        width = self.width - 2 * _MARGIN
        x = _MARGIN + width * (shown.time[within] - first) / _SPAN_S
        for n, muscle in enumerate(self._traced):
            floor = top + (n + 1) * height - 4
            pen.line([(_MARGIN, floor), (self.width - _MARGIN, floor)], _OTHER)
            for side in vocabulary.SIDES:
                name = vocabulary.channel(side, muscle)
                if name not in self._channels or len(within) < 2:
                    continue
                emg = shown.emg[within, self._channels.index(name)]
                y = floor - (height - 22) * np.clip(emg / self._peak, 0, 1)
                pen.line(_points(np.stack([x, y], -1)), _SIDE[side], 2)
            pen.text((_MARGIN, floor - height + 4), plain(muscle), _INK, self._small)
        cursor = _MARGIN + 0.75 * width
        pen.line([(cursor, top), (cursor, HEIGHT - 20)], _INK)
        gap = " " * 10
        legend = f"left {gap}right {gap}0-{self._peak:.0%} {self._unit}"
        pen.text((_MARGIN + 14, HEIGHT - 17), legend, _INK, self._small)
        right = _MARGIN + 14 + self._small.getlength(f"left {gap}")
        for start, side in ((_MARGIN, "left"), (right - 14, "right")):
            pen.line([(start, HEIGHT - 10), (start + 10, HEIGHT - 10)], _SIDE[side], 3)


def _points(shape: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in shape]


def _colour(activation: float) -> tuple[int, int, int]:
    """Colour of an activation between 0 and 1."""
    position = np.clip(activation, 0, 1) * (len(_RAMP) - 1)
    r, g, b = (np.interp(position, np.arange(len(_RAMP)), column) for column in _RAMP.T)
    return round(float(r)), round(float(g)), round(float(b))
