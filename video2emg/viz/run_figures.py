"""The figures of one run, in `workdir/figures`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.data import video as video_lib
from video2emg.data.examples import Examples
from video2emg.eval import metrics
from video2emg.eval.baselines import Template
from video2emg.eval.series import ClipSeries
from video2emg.viz import figures as draw
from video2emg.viz.calibration import calibration

_STRIP_PIXELS = 96
_CHANNELS = 8  # at most, drawn of a clip


def figures(
    workdir: Path,
    results: Mapping[str, Any],
    examples: Examples,
    series: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    template: Template,
) -> None:
    """Draws envelopes of one clip per action, amplitudes, skill, intervals, course of training.

    Args:
      workdir: of the run.
      results: with `provenance` and `test`.
      examples: of the test split, for frames and phases.
      series: measured, in the order of `examples`.
      predictions: of the model.
      template: the baseline, drawn thin.
    """
    folder = workdir / "figures"
    folder.mkdir(exist_ok=True)
    about = dict(
        simulated=results["provenance"]["simulated"],
        normalisation=results["provenance"]["normalisation"],
    )
    for index in _typical(series, predictions):
        clip = examples.clip(index)
        first_view = np.flatnonzero(clip.frame_view == 0)
        video: dict[str, Any] = {}
        if len(first_view):
            frames = [video_lib.decode(clip, int(frame), _STRIP_PIXELS) for frame in first_view]
            video = dict(frames=np.stack(frames), frame_time=clip.frame_time[first_view])
        shown, columns = _loudest(series[index])
        steps = [step for repetition in clip.repetitions or () for step in repetition.phases]
        draw.envelopes(
            shown,
            predictions[index][:, columns],
            folder / f"envelopes_{clip.action}.png",
            phases=clip.phases or steps,
            template=template.predict(shown),
            **video,
            **about,
        )
    draw.scatter_by_muscle(series, predictions, folder / "amplitude.png", **about)
    draw.skill_by_action(results, folder / "skill.png")
    if results["test"].get("calibration"):
        calibration(results, folder / "calibration.png")
    metrics = workdir / "metrics.jsonl"
    if metrics.exists():  # an evaluation does not train
        draw.training_curves(metrics, folder / "training.png")


def _loudest(clip: ClipSeries) -> tuple[ClipSeries, Sequence[int]]:
    """The clip with a few channels: those with the highest measured peaks, in their own order."""
    peak = np.nan_to_num(metrics.peak(clip.target, clip.mask), nan=-1.0)
    columns = np.sort(np.argsort(-peak, kind="stable")[:_CHANNELS]).tolist()
    part = dataclasses.replace(
        clip,
        muscles=tuple(clip.muscles[c] for c in columns),
        target=clip.target[:, columns],
        mask=clip.mask[:, columns],
        scale=None,
    )
    return part, columns


def _typical(series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> list[int]:
    """The clip with the median error of each action: neither the best nor the worst."""
    error = np.array(
        [np.mean((s.target - p)[s.mask] ** 2) for s, p in zip(series, predictions, strict=True)]
    )
    chosen = []
    for action in sorted({s.action for s in series}):
        own = np.array([i for i, s in enumerate(series) if s.action == action])
        chosen.append(int(own[np.argsort(error[own])[len(own) // 2]]))
    return chosen
