"""A prediction as one HTML file: video, traces, muscles, score, feedback; needs no network."""

import base64
import html
import importlib.resources
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.data import readers
from video2emg.data.readers import film
from video2emg.fkg.graph import Graph
from video2emg.inference.output import bodymap, video
from video2emg.inference.prediction import Prediction, Repetition
from video2emg.viz.style import plain, unit

# What one file may weigh: phones open it, mails carry it.
_LARGEST_FILM = 9 * 2**20  # bytes, before base64
_LONGEST_FILM = 600.0  # s
_FILM_SIZE, _FILM_RATE = 480, 15.0  # px of the longer edge, Hz
_QUALITIES = (26, 32, 38)
_MOST_SAMPLES = 30_000  # of each trace; longer ones are thinned out
ASSETS = importlib.resources.files("video2emg.inference.output") / "assets"
_ABSENT = 65535  # of 16-bit samples


def write(
    prediction: Prediction,
    path: Path,
    *,
    graph: Graph | None = None,
    rate: float = float("nan"),
    measured: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes the report.

    Args:
      prediction: of one recording.
      path: of the HTML file.
      graph: names key steps for people.
      rate: of folders of pictures, Hz.
      measured: [N] envelope by channel on `prediction.time`, in the same unit, NaN where there is
        none.
    """
    picture, no_film = _film(prediction, rate)
    data = _data(prediction, graph, measured or {}, no_film)

    def asset(name: str) -> str:
        return (ASSETS / name).read_text(encoding="utf-8")

    fields = {
        "title": html.escape(f"{prediction.name}: muscles, score and feedback"),
        "style": asset("uPlot.min.css") + asset("report.css"),
        "body": bodymap.svg(prediction.muscles),
        # No text from a file can end the script element, whatever it says.
        "data": json.dumps(data).replace("<", "\\u003c"),
        "film": base64.b64encode(picture).decode(),
        "library": asset("uPlot.iife.min.js"),
        "script": asset("report.js"),
    }
    # In one pass: what is put in is not searched again.
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], asset("report.html"))
    write_text(path, page)


def _data(
    prediction: Prediction,
    graph: Graph | None,
    measured: Mapping[str, np.ndarray],
    no_film: str,
) -> dict[str, Any]:
    """All that the script shows."""
    every = -(-max(len(prediction.time), 1) // _MOST_SAMPLES)
    step = float(prediction.time[1]) if len(prediction.time) > 1 else 1.0
    known = [x for x in (prediction.emg, prediction.high, *measured.values()) if x is not None]
    top = max((float(np.nanmax(x, initial=0.0)) for x in known), default=0.0)
    quantum = max(top, 0.01) / (_ABSENT - 1)

    def samples(values: np.ndarray | None) -> str | None:
        if values is None:
            return None
        x = np.asarray(values[::every], np.float64)
        whole = np.where(np.isfinite(x), np.round(np.nan_to_num(x) / quantum), _ABSENT)
        return base64.b64encode(np.clip(whole, 0, _ABSENT).astype("<u2").tobytes()).decode()

    channels = []
    for c, name in enumerate(prediction.muscles):
        side, muscle = vocabulary.split_channel(name)
        low, high = prediction.low, prediction.high
        channels.append(
            {
                "side": side,
                "muscle": muscle,
                "emg": samples(prediction.emg[:, c]),
                "low": samples(None if low is None else low[:, c]),
                "high": samples(None if high is None else high[:, c]),
                "measured": samples(measured.get(name)),
            }
        )
    shown = [x for x in (prediction.emg, *measured.values()) if np.size(x)]
    peaks = [float(np.nanquantile(x, 0.998)) for x in shown] or [0.0]
    peaks += [] if prediction.high is None else [float(np.nanquantile(prediction.high, 0.998))]
    action = plain(prediction.action)
    if graph is not None and prediction.action in graph.actions:
        action = graph.actions[prediction.action].name or action
    told = "" if prediction.told_load is None else f" · {prediction.told_load:g} kg (as told)"
    return {
        "title": prediction.name,
        "about": f"{action}{'' if prediction.action_votes is None else ' (recognised)'}{told} · "
        f"{prediction.duration:.1f} s · {len(prediction.repetitions)} repetitions",
        "method": f"EMG envelopes predicted from video by {prediction.checkpoint['workdir']} "
        f"(trained on {prediction.checkpoint['dataset']}), {unit(prediction.reference)}.",
        "warnings": list(prediction.warnings),
        "score": prediction.score,
        "judged": graph is not None,
        "duration": prediction.duration,
        "unit": unit(prediction.reference).removeprefix("% "),
        "level": prediction.level,
        "step": step * every,
        "quantum": quantum,
        "most": max(peaks[0], 0.05),
        "chart_most": 1.05 * max(*peaks, 0.05),
        "channels": channels,
        "no_film": no_film,
        "repetitions": [_repetition(prediction, one, graph) for one in prediction.repetitions],
    }


def _repetition(prediction: Prediction, one: Repetition, graph: Graph | None) -> dict[str, Any]:
    findings = [] if one.feedback is None else list(one.feedback.findings)
    lost = sum(found.penalty for found in findings)
    steps = []
    for step, start, end in one.phases:
        node = graph.action(prediction.action).step(step) if graph is not None else None
        name = plain(step) if node is None else node.name or step
        phase = "" if node is None else node.phase
        steps.append({"name": name, "phase": phase, "start": start, "end": end})
    return {
        "start": one.start,
        "end": one.end,
        "score": one.score,
        # What the listed penalties leave unexplained, with its sign.
        "rest": 0.0 if one.score is None else one.score - (100 - lost),
        "steps": steps,
        "findings": [
            {
                "error": found.error_name,
                "step": found.step_name,
                "probability": found.probability,
                "penalty": found.penalty,
                "start": found.start,
                "end": found.end,
                "meaning": found.meaning,
                "advice": list(found.advice),
            }
            for found in findings
        ],
        "summary": ". ".join(_summary(prediction, one, graph is not None)) + ".",
    }


def _summary(prediction: Prediction, one: Repetition, judged: bool) -> Iterator[str]:
    yield f"{one.start:.1f} to {one.end:.1f} s"
    if not one.in_domain:
        yield "Out of domain: not to be trusted"
    elif one.not_judged and judged:
        yield f"Not judged: {one.not_judged}"
    if one.load is not None and one.in_domain:
        yield f"Load as the model sees it: {one.load:.0f} kg"
    mean = dict(zip(prediction.muscles, prediction.mean_emg(one), strict=True))
    for name, left in mean.items():
        side, muscle = vocabulary.split_channel(name)
        right = mean.get(vocabulary.mirror(name))
        if side == "left" and right is not None and left + right > 0:
            yield f"{plain(muscle).capitalize()}: {left / (left + right):.0%} left"


def _film(prediction: Prediction, rate: float) -> tuple[bytes, str]:
    """The first video, small enough, and why there is none."""
    if not prediction.videos:
        return b"", "the frames came from memory."
    if prediction.duration > _LONGEST_FILM:
        return b"", f"it is longer than {_LONGEST_FILM / 60:g} minutes."
    source = Path(next(iter(prediction.videos.values())))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        for quality in _QUALITIES:
            video.write(path, small(source, rate), rate=_FILM_RATE, quality=quality)
            if path.stat().st_size <= _LARGEST_FILM:
                return path.read_bytes(), ""
    return b"", "it is too large even when compressed."


def small(
    source: Path, rate: float, size: int = _FILM_SIZE, most: float = _FILM_RATE
) -> Iterator[tuple[float, Image.Image]]:
    """(s, picture) of a video, thinned out to `most` Hz, the longer edge at most `size` px."""
    due = 0.0
    for time, look in film.shown(source, rate):
        if time < due - 5e-4:
            continue
        due = max(due + 1 / most, time + 0.5 / most)
        picture = look()
        picture.thumbnail((size, size))
        yield time, picture


def measured_envelopes(prediction: Prediction, path: Path) -> dict[str, np.ndarray]:
    """Measured envelopes of a file, by channel, brought to the prediction's clock.

    Args:
      prediction: whose channels are looked for by name.
      path: a table in the prediction's unit, on the clock of the video; see `data.readers`.

    Raises:
      UserError: the file has none of the channels, or does not say when they were sampled.
    """
    found = {}
    for channel in readers.read(path):
        if channel.name in prediction.muscles:
            if not channel.rate > 0:
                raise UserError(f"{path}: no time in it; add a column `time` (s)")
            found[channel.name] = np.interp(
                prediction.time, channel.time, channel.values, left=np.nan, right=np.nan
            )
    if not found:
        raise UserError(f"{path}: has none of the predicted channels "
                        f"({', '.join(prediction.muscles)})")  # fmt: skip
    return found
