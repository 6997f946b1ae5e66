"""What is said of one recording."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from video2emg.fkg.feedback import Feedback

FORMAT = 1  # of prediction.json; docs/predict.md describes it


@dataclasses.dataclass(frozen=True)
class Repetition:
    """One repetition.

    Attributes:
      start, end: s from the start of the video.
      distance: to the run's own clips; beyond 1 the model was not made for such pictures.
      motion: in units of the least that a repetition of the run's own clips shows; below 1 there
        is none.
      load: kg, as the model sees it; None if it was not trained to.
      score: 0-100; None without a judge, or if the repetition is not to be judged.
      errors: probability of every (key step, error) of the action; empty where there is no score.
      phases: (key step, start, end), s from the start of the video.
      feedback: in words, with times from the start of the video; None where there is no score.
      not_judged: why there is no score; empty if there is one.
    """

    start: float
    end: float
    distance: float
    motion: float
    load: float | None
    score: float | None = None
    errors: Mapping[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    phases: tuple[tuple[str, float, float], ...] = ()
    feedback: Feedback | None = None
    not_judged: str = ""

    @property
    def in_domain(self) -> bool:
        """Whether the model has learned from pictures like these."""
        return self.distance <= 1 and self.motion >= 1


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One recording. N samples, C channels.

    Attributes:
      name: of the recording.
      videos: file by view.
      duration: s.
      action: as told, or recognised; empty if the model knows none.
      action_votes: share of the repetitions' votes for a recognised action; None if it was told.
      told_load: kg; None if it was not told. No model uses it.
      reference: what one unit of EMG means, e.g. `mvc`.
      simulated: whether the model was trained on simulated EMG.
      time: [N] s from the start of the video.
      muscles: C channel names.
      emg: [N, C] predicted envelope, in units of the reference.
      low, high: [N, C] bounds; None where the run has not calibrated any that hold here.
      level: share of samples that lie between them on validation clips.
      inside: [N] false where the pictures are unlike those that the model knows.
      repetitions: in order.
      warnings: for people.
      checkpoint: workdir of the run; and config hash, dataset.
    """

    name: str
    videos: Mapping[str, str]
    duration: float
    action: str
    action_votes: float | None
    told_load: float | None
    reference: str
    simulated: bool
    time: Float[np.ndarray, " N"]
    muscles: tuple[str, ...]
    emg: Float[np.ndarray, "N C"]
    low: Float[np.ndarray, "N C"] | None
    high: Float[np.ndarray, "N C"] | None
    level: float
    inside: Bool[np.ndarray, " N"]
    repetitions: tuple[Repetition, ...]
    warnings: tuple[str, ...]
    checkpoint: Mapping[str, str]

    @property
    def in_domain(self) -> bool:
        """Whether there are repetitions, most of which the model was made for."""
        known = [r.in_domain for r in self.repetitions]
        return bool(known) and 2 * sum(known) > len(known)

    @property
    def score(self) -> float | None:
        """Mean score of the judged repetitions, None without any."""
        judged = [r.score for r in self.repetitions if r.score is not None]
        return float(np.mean(judged)) if judged and self.in_domain else None

    def mean_emg(self, repetition: Repetition) -> Float[np.ndarray, " C"]:
        """[C] mean envelope over one repetition."""
        within = (self.time >= repetition.start) & (self.time < repetition.end)
        return self.emg[within].mean(0) if within.any() else np.full(len(self.muscles), np.nan)

    def to_json(self) -> dict[str, Any]:
        """As plain values; the samples themselves are in the tables."""
        return {
            "format": FORMAT,
            "name": self.name,
            "videos": dict(self.videos),
            "duration_s": round(self.duration, 3),
            "in_domain": self.in_domain,
            "warnings": list(self.warnings),
            "action": self.action,
            "action_votes": self.action_votes,
            "load_kg": self.told_load,
            "score": self.score,
            "emg": {
                "muscles": list(self.muscles),
                "unit": f"fraction of {self.reference}",
                "rate_hz": None if len(self.time) < 2 else round(1 / float(self.time[1]), 6),
                "samples": len(self.time),
                "simulated_training": self.simulated,
                "interval": None if self.low is None else self.level,
            },
            "repetitions": [self._repetition(n, r) for n, r in enumerate(self.repetitions, 1)],
            "checkpoint": dict(self.checkpoint),
        }

    def _repetition(self, number: int, one: Repetition) -> dict[str, Any]:
        mean = self.mean_emg(one)
        return {
            "number": number,
            "start_s": one.start,
            "end_s": one.end,
            "in_domain": one.in_domain,
            "distance": _finite(one.distance),
            "motion": _finite(one.motion),
            "load_kg_seen": one.load,
            "mean_emg": {m: _finite(float(x)) for m, x in zip(self.muscles, mean, strict=True)},
            "score": one.score,
            "not_judged": one.not_judged,
            "phases": [{"step": s, "start_s": a, "end_s": b} for s, a, b in one.phases],
            "errors": [
                {"step": step, "error": error, "probability": p}
                for (step, error), p in one.errors.items()
            ],
            "feedback": None if one.feedback is None else one.feedback.to_json(),
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
