"""A prediction as one HTML file with video, EMG, muscles, score and feedback; needs no network."""

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

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.data import readers
from video2emg.fkg.feedback import Finding
from video2emg.fkg.graph import Graph
from video2emg.inference.counterfactual import to_text
from video2emg.inference.output import bodymap, video
from video2emg.inference.output.pose_overlay import with_skeleton
from video2emg.inference.prediction import Prediction, Repetition
from video2emg.viz.theme import plain, unit

# The file must stay small enough to be mailed and to be opened on a phone.
_LARGEST_VIDEO = 9 * 2**20  # bytes, before base64
_LONGEST_VIDEO = 600.0  # s
_VIDEO_SIZE, _VIDEO_RATE = 480, 15.0  # px of the longer edge, Hz
_QUALITIES = (26, 32, 38)  # of H.264, tried in this order
_MOST_SAMPLES = 30_000  # of each trace; longer ones are thinned out
_TORQUES = 3  # largest of a repetition, that are told
_MISSING = 65535  # the 16-bit sample that stands for NaN
ASSETS = importlib.resources.files("video2emg.inference.output") / "assets"


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
      graph: knowledge graph of the AQA head, which names the key steps; None without a head.
      rate: frame rate of folders of pictures, Hz.
      measured: [N] measured envelopes by channel, on `prediction.time` and in its unit; NaN where
        there is none.
    """
    video_bytes, no_video_reason = _video(prediction, rate)
    data = _data(prediction, graph, measured or {}) | {"no_video_reason": no_video_reason}

    def asset(name: str) -> str:
        return (ASSETS / name).read_text(encoding="utf-8")

    fields = {
        "title": html.escape(f"{prediction.name}: muscles, score and feedback"),
        "style": asset("uPlot.min.css") + asset("report.css"),
        "body": bodymap.svg(prediction.muscles),
        # Without "<", no text of a user can end the script element.
        "data": json.dumps(data).replace("<", "\\u003c"),
        "video": base64.b64encode(video_bytes).decode(),
        "library": asset("uPlot.iife.min.js"),
        "script": asset("report.js"),
    }
    # A single pass, so that inserted text is not searched for placeholders.
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: fields[match[1]], asset("report.html"))
    write_text(path, page)


def _data(
    prediction: Prediction, graph: Graph | None, measured: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """What the script shows, but for the video."""
    stride = -(-max(len(prediction.time), 1) // _MOST_SAMPLES)
    period = float(prediction.time[1]) if len(prediction.time) > 1 else 1.0
    arrays = [x for x in (prediction.emg, prediction.high, *measured.values()) if x is not None]
    highest = max((float(np.nanmax(x, initial=0.0)) for x in arrays), default=0.0)
    quantum = max(highest, 0.01) / (_MISSING - 1)

    def samples(values: np.ndarray | None) -> str | None:
        return None if values is None else _encode(values[::stride], quantum)

    channels = []
    for c in _most_active_first(prediction):
        name = prediction.muscles[c]
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
    peaks = [_peak(x) for x in (prediction.emg, *measured.values())] or [0.0]
    peaks += [] if prediction.high is None else [_peak(prediction.high)]
    workdir, dataset = prediction.run["workdir"], prediction.run["dataset"]
    return {
        "title": prediction.name,
        "about": _about(prediction, graph),
        "method": f"EMG envelopes predicted from {_read(prediction)} by {workdir} (trained on "
        f"{dataset}), {unit(prediction.normalisation)}.",
        "warnings": list(prediction.warnings),
        "followed": ". ".join(f"Followed in {line}" for line in prediction.followed),
        "score": prediction.score,
        "has_aqa_head": graph is not None,
        "duration": prediction.duration,
        "unit": unit(prediction.normalisation).removeprefix("% "),
        "level": prediction.level,
        "period": period * stride,
        "quantum": quantum,
        "colour_max": max(peaks[0], 0.05),
        "chart_max": 1.05 * max(*peaks, 0.05),
        "channels": channels,
        "repetitions": [_repetition(prediction, r, graph) for r in prediction.repetitions],
    }


def _read(prediction: Prediction) -> str:
    """What the model was given, in words."""
    if prediction.pose is None:
        return "video"
    return "the pose in the film" if prediction.pose.films else "the pose of another program"


def _most_active_first(prediction: Prediction) -> list[int]:
    """Channels by the peak of their muscle, on either side."""
    peaks: dict[str, float] = {}
    names = [vocabulary.split_channel(name)[1] for name in prediction.muscles]
    for c, muscle in enumerate(names):
        peaks[muscle] = max(peaks.get(muscle, 0.0), _peak(prediction.emg[:, c]))
    return sorted(range(len(names)), key=lambda c: (-peaks[names[c]], names[c]))


def _peak(values: np.ndarray) -> float:
    """Highest value but for moments; 0 if nothing is known."""
    known = values[np.isfinite(values)]
    return float(np.quantile(known, 0.998)) if len(known) else 0.0


def _encode(values: np.ndarray, quantum: float) -> str:
    """Samples as base64 of little-endian 16-bit multiples of `quantum`."""
    x = np.asarray(values, np.float64)
    whole = np.where(np.isfinite(x), np.round(np.nan_to_num(x) / quantum), _MISSING)
    return base64.b64encode(np.clip(whole, 0, _MISSING).astype("<u2").tobytes()).decode()


def _about(prediction: Prediction, graph: Graph | None) -> str:
    """The line below the title."""
    action = plain(prediction.action)
    if graph is not None and prediction.action in graph.actions:
        action = graph.actions[prediction.action].name or action
    if prediction.recognition is not None:
        action += " (recognised)" if prediction.recognition.is_sure else " (not sure)"
    parts = [action]
    parts += [] if prediction.load is None else [f"{prediction.load:g} kg (given)"]
    parts += [f"{prediction.duration:.1f} s", f"{len(prediction.repetitions)} repetitions"]
    return " · ".join(parts)


def _repetition(
    prediction: Prediction, repetition: Repetition, graph: Graph | None
) -> dict[str, Any]:
    findings = () if repetition.feedback is None else repetition.feedback.findings
    penalties = sum(finding.penalty for finding in findings)
    steps = []
    for step, start, end in repetition.phases:
        node = graph.action(prediction.action).step(step) if graph is not None else None
        name = plain(step) if node is None else node.name or step
        phase = "" if node is None else node.phase
        steps.append({"name": name, "phase": phase, "start": start, "end": end})
    return {
        "start": repetition.start,
        "end": repetition.end,
        "score": repetition.score,
        # What the score differs by from 100 minus the listed penalties.
        "remainder": 0.0 if repetition.score is None else repetition.score - (100 - penalties),
        "steps": steps,
        "findings": [_finding(finding) for finding in findings],
        "summary": ". ".join(_summary(prediction, repetition, graph is not None)) + ".",
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "error": finding.error_name,
        "step": finding.step_name,
        "probability": finding.probability,
        "penalty": finding.penalty,
        "start": finding.start,
        "end": finding.end,
        "meaning": finding.meaning,
        "advice": list(finding.advice),
        "effects": finding.effects_text,
    }


def _summary(prediction: Prediction, repetition: Repetition, has_aqa_head: bool) -> Iterator[str]:
    yield f"{repetition.start:.1f} to {repetition.end:.1f} s"
    if not repetition.in_domain:
        yield "Out of domain: not to be trusted"
    elif repetition.no_score_reason and has_aqa_head:
        yield f"No score: {repetition.no_score_reason}"
    if (movement := repetition.movement) is not None:
        sides = " and ".join(
            f"{side} {degrees:.0f}°"
            for side, degrees in (("left", movement.left), ("right", movement.right))
            if np.isfinite(degrees)
        )
        apart = f" (left − right {movement.difference:+.0f}°)"
        known = np.isfinite(movement.difference)
        yield f"{movement.joint.capitalize()} moves by {sides}{apart if known else ''}"
        if np.isfinite(movement.first_half):
            yield f"Tempo {movement.first_half:.1f} s and {movement.second_half:.1f} s"
    peaks = {k: v for k, v in prediction.peak_torque(repetition).items() if np.isfinite(v)}
    if largest := sorted(peaks, key=lambda name: -abs(peaks[name]))[:_TORQUES]:
        words = (f"{plain(name)} {peaks[name]:+.0f} N·m" for name in largest)
        yield f"Largest joint torques: {', '.join(words)}"
    if repetition.predicted_load is not None and repetition.in_domain:
        yield f"Predicted load: {repetition.predicted_load:.0f} kg"
    mean = dict(zip(prediction.muscles, prediction.mean_emg(repetition), strict=True))
    for name, left in mean.items():
        side, muscle = vocabulary.split_channel(name)
        right = mean.get(vocabulary.mirror(name))
        if side == "left" and right is not None and left + right > 0:
            yield f"{plain(muscle).capitalize()}: {left / (left + right):.0%} left"
    if repetition.corrections:
        yield to_text(repetition.corrections).rstrip(".")


def _video(prediction: Prediction, rate: float) -> tuple[bytes, str]:
    """The first video as a small MP4; or no bytes, and the reason."""
    if not prediction.videos:
        from_memory = prediction.pose is None
        return b"", "the frames came from memory." if from_memory else "a pose file has no film."
    if prediction.duration > _LONGEST_VIDEO:
        return b"", f"it is longer than {_LONGEST_VIDEO / 60:g} minutes."
    source = Path(next(iter(prediction.videos.values())))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        for quality in _QUALITIES:
            frames = video.downsampled(source, rate, _VIDEO_SIZE, _VIDEO_RATE)
            if prediction.pose is not None:
                frames = with_skeleton(prediction.pose, frames)
            video.write(path, frames, rate=_VIDEO_RATE, quality=quality)
            if path.stat().st_size <= _LARGEST_VIDEO:
                return path.read_bytes(), ""
    return b"", "it is too large even when compressed."


def measured_envelopes(prediction: Prediction, path: Path) -> dict[str, np.ndarray]:
    """Reads measured envelopes and interpolates them at the prediction's times.

    Args:
      prediction: whose channels are looked for by name.
      path: a table in the prediction's unit, on the clock of the video; see `data.readers`.

    Returns:
      [N] envelope by channel, NaN outside the measurement.

    Raises:
      UserError: the file has none of the channels, or no sampling times.
    """
    measured = {}
    for channel in readers.read(path):
        if channel.name in prediction.muscles:
            if not channel.rate > 0:
                raise UserError(f"{path}: no time in it; add a column `time` (s)")
            measured[channel.name] = np.interp(
                prediction.time, channel.time, channel.values, left=np.nan, right=np.nan
            )
    if not measured:
        raise UserError(
            f"{path}: has none of the predicted channels ({', '.join(prediction.muscles)})"
        )
    return measured
