"""The prediction for one recording."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import vocabulary
from video2emg.data.film_pose import FilmPose
from video2emg.fkg.feedback import Feedback
from video2emg.inference.counterfactual import Correction
from video2emg.inference.recognition import Recognition

FORMAT = 2  # of prediction.json; docs/predict.md describes it
RELATIVE = "relative"  # normalisation of EMG for an unknown load


@dataclasses.dataclass(frozen=True)
class Movement:
    """How a body moves in one repetition.

    Attributes:
      joint: knee, hip, elbow, shoulder or arm_spread, the one that moves most in the recording.
      left, right: range of its angle on each side, degrees; NaN if it is hardly seen.
      first_half: time from the start to the turning point, s.
      second_half: time from there to the end, s.
    """

    joint: str
    left: float
    right: float
    first_half: float
    second_half: float

    @property
    def difference(self) -> float:
        """By how much the range of the left side is larger, degrees; NaN if a side is unknown."""
        return self.left - self.right

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "joint": self.joint,
            "range_left_deg": _finite(self.left),
            "range_right_deg": _finite(self.right),
            "range_left_minus_right_deg": _finite(self.difference),
            "first_half_s": _finite(self.first_half),
            "second_half_s": _finite(self.second_half),
        }


@dataclasses.dataclass(frozen=True)
class Repetition:
    """One repetition.

    Attributes:
      start, end: s from the start of the video.
      distance: to the training clips; above 1 the repetition is out of domain.
      motion: mean change between frames, relative to the smallest that is accepted; below 1 the
        repetition is out of domain.
      predicted_load: kg; None if the model does not predict the load.
      score: 0-100; None without an AQA head, or where `no_score_reason` says why.
      errors: probability of every (key step, error) of the action; empty without a score.
      phases: (key step, start, end), s from the start of the video; empty without a score.
      feedback: with times from the start of the video; None without a score.
      no_score_reason: why there is no score; empty if there is one.
      movement: of the body; None if no pose was estimated.
      corrections: of its errors, see `counterfactual`; empty if they were not asked for.
    """

    start: float
    end: float
    distance: float
    motion: float
    predicted_load: float | None
    score: float | None = None
    errors: Mapping[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    phases: tuple[tuple[str, float, float], ...] = ()
    feedback: Feedback | None = None
    no_score_reason: str = ""
    movement: Movement | None = None
    corrections: tuple[Correction, ...] = ()

    @property
    def in_domain(self) -> bool:
        """Whether the frames resemble the training clips."""
        return self.distance <= 1 and self.motion >= 1

    def holds(self, time: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
        """[N] which of some times (s) lie in the repetition; its end does not."""
        return (time >= self.start) & (time < self.end)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction for one recording. N samples, C channels.

    Attributes:
      name: of the recording.
      videos: file of each view; empty for frames from memory.
      duration: s.
      action: given by the caller or recognised; empty if the model knows none.
      recognition: how the action was recognised; None if it was given.
      load: kg, given by the caller; None if not given.
      normalisation: what one unit of EMG means, e.g. `mvc`; `relative` if the model knows how the
        effort changes, but was not told the load.
      simulated: whether the model was trained on simulated recordings.
      time: [N] s from the start of the video.
      muscles: C channel names.
      emg: [N, C] predicted envelope, in units of the normalisation.
      low, high: [N, C] bounds of the prediction interval; None if it could not be calibrated.
      level: nominal coverage of the prediction interval, 0-1.
      sample_in_domain: [N] whether the frames around a sample resemble the training clips.
      repetitions: in order of time.
      warnings: sentences for the user.
      run: `workdir` and `dataset` of the trained run.
      pose: of the film, if the model reads poses; None if it reads pictures.
      torque: [N, D] joint torques of `vocabulary.DOFS`, N·m, by the mechanics of the pose as the
        model cleans it, NaN where the pose is unknown; None if the load or its place is not told.
    """

    name: str
    videos: Mapping[str, str]
    duration: float
    action: str
    recognition: Recognition | None
    load: float | None
    normalisation: str
    simulated: bool
    time: Float[np.ndarray, " N"]
    muscles: tuple[str, ...]
    emg: Float[np.ndarray, "N C"]
    low: Float[np.ndarray, "N C"] | None
    high: Float[np.ndarray, "N C"] | None
    level: float
    sample_in_domain: Bool[np.ndarray, " N"]
    repetitions: tuple[Repetition, ...]
    warnings: tuple[str, ...]
    run: Mapping[str, str]
    pose: FilmPose | None = None
    torque: Float[np.ndarray, "N D"] | None = None

    @property
    def in_domain(self) -> bool:
        """Whether more than half of the repetitions are in domain."""
        in_domain = [repetition.in_domain for repetition in self.repetitions]
        return bool(in_domain) and 2 * sum(in_domain) > len(in_domain)

    @property
    def score(self) -> float | None:
        """Mean score over the repetitions that have one; None without any, or out of domain."""
        scores = [r.score for r in self.repetitions if r.score is not None]
        return float(np.mean(scores)) if scores and self.in_domain else None

    @property
    def followed(self) -> tuple[str, ...]:
        """Who was followed in each film whose pose was estimated, and why."""
        films = () if self.pose is None else self.pose.films
        return tuple(f"{film.path.name}: {film.who}" for film in films)

    @property
    def unit(self) -> str:
        """Of the EMG, in words."""
        if self.normalisation == RELATIVE:
            return "relative effort, for an unknown load"
        return f"fraction of {self.normalisation}"

    def mean_emg(self, repetition: Repetition) -> Float[np.ndarray, " C"]:
        """[C] mean envelope over one repetition; NaN if it holds no sample."""
        within = repetition.holds(self.time)
        return self.emg[within].mean(0) if within.any() else np.full(len(self.muscles), np.nan)

    def peak_torque(self, repetition: Repetition) -> dict[str, float]:
        """The largest torque of each joint in one repetition, with its sign, N·m.

        It is empty without torques, and NaN if a torque is never known.
        """
        if self.torque is None:
            return {}
        within = repetition.holds(self.time)
        known = self.torque[within]
        known = known[np.isfinite(known).all(1)]
        if not len(known):
            return dict.fromkeys(vocabulary.DOFS, math.nan)
        peaks = np.abs(known).argmax(0)
        return {name: float(known[peaks[d], d]) for d, name in enumerate(vocabulary.DOFS)}

    def to_json(self) -> dict[str, Any]:
        """Everything but the samples, as plain values; the samples are in the tables."""
        return {
            "format": FORMAT,
            "name": self.name,
            "videos": dict(self.videos),
            "duration_s": round(self.duration, 3),
            "in_domain": self.in_domain,
            "warnings": list(self.warnings),
            "followed": list(self.followed),
            "action": self.action,
            "action_votes": None if self.recognition is None else self.recognition.share,
            "action_is_sure": self.recognition is None or self.recognition.is_sure,
            "votes": {} if self.recognition is None else dict(self.recognition.votes),
            "load_kg": self.load,
            "score": self.score,
            "emg": {
                "muscles": list(self.muscles),
                "unit": self.unit,
                "rate_hz": None if len(self.time) < 2 else round(1 / float(self.time[1]), 6),
                "samples": len(self.time),
                "simulated_training": self.simulated,
                "interval": None if self.low is None else self.level,
            },
            "repetitions": [
                self._repetition_to_json(number, repetition)
                for number, repetition in enumerate(self.repetitions, 1)
            ],
            "run": dict(self.run),
        }

    def _repetition_to_json(self, number: int, repetition: Repetition) -> dict[str, Any]:
        mean = self.mean_emg(repetition)
        return {
            "number": number,
            "start_s": repetition.start,
            "end_s": repetition.end,
            "in_domain": repetition.in_domain,
            "distance": _finite(repetition.distance),
            "motion": _finite(repetition.motion),
            "predicted_load_kg": repetition.predicted_load,
            "peak_torque_nm": {
                name: _finite(round(peak, 1)) for name, peak in self.peak_torque(repetition).items()
            },
            "mean_emg": {m: _finite(float(x)) for m, x in zip(self.muscles, mean, strict=True)},
            "score": repetition.score,
            "no_score_reason": repetition.no_score_reason,
            "movement": None if repetition.movement is None else repetition.movement.to_json(),
            "phases": [
                {"step": step, "start_s": start, "end_s": end}
                for step, start, end in repetition.phases
            ],
            "errors": [
                {"step": step, "error": error, "probability": probability}
                for (step, error), probability in repetition.errors.items()
            ],
            "feedback": None if repetition.feedback is None else repetition.feedback.to_json(),
            "corrections": [correction.to_json() for correction in repetition.corrections],
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
