"""Labels or predictions of one repetition, from which questions are made and answered."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from video2emg.core import emg as emg_lib
from video2emg.core import joint_moments, vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.fkg.feedback import Feedback, feedback
from video2emg.fkg.graph import Graph

StepError = tuple[str, str]  # ids of a key step and of an error type


@dataclasses.dataclass(frozen=True)
class RepetitionRecord:
    """One repetition, as annotators and sensors describe it or as a model predicts it.

    Attributes:
      clip_id: id of the clip.
      action: id of the exercise.
      subject: id of the person.
      spans: (begin, end) of each key step, s on the clip's clock. Unknown steps are left out.
      probability: probability of each (key step, error) of the exercise; labels are 0 or 1.
      severity: expected severity of each (key step, error).
      threshold: probability from which an error counts as present.
      score: 0-100; NaN if unknown.
      activity: mean EMG envelope by key step and channel, as a fraction of the reference.
      tilt: mean height of the left wrist above the right wrist by key step, m.
      moments: peak moment by key step and joint of `core.joint_moments`, N·m.
    """

    clip_id: str
    action: str
    subject: str
    spans: Mapping[str, tuple[float, float]]
    probability: Mapping[StepError, float]
    severity: Mapping[StepError, float]
    threshold: float
    score: float
    activity: Mapping[str, Mapping[str, float]]
    tilt: Mapping[str, float]
    moments: Mapping[str, Mapping[str, float]]

    def has_error(self, step_error: StepError) -> bool:
        """Whether an error counts as present."""
        return self.probability.get(step_error, 0.0) >= self.threshold

    def points_lost(self, graph: Graph) -> dict[StepError, float]:
        """Expected loss of points (of 100) by (key step, error)."""
        action = graph.action(self.action)
        total = sum(action.penalties)
        step_errors = ((step.id, edge.error) for step, edge in action.pairs)
        return {
            step_error: 100 * penalty * self.severity.get(step_error, 0.0) / total
            for step_error, penalty in zip(step_errors, action.penalties, strict=True)
        }

    def to_feedback(self, graph: Graph) -> Feedback:
        """Feedback on the errors that are present, the most costly first."""
        action = graph.action(self.action)
        step_errors = [(step.id, edge.error) for step, edge in action.pairs]
        unknown = (math.nan, math.nan)
        return feedback(
            graph,
            self.clip_id,
            self.action,
            self.score,
            np.array([self.probability.get(pair, 0.0) for pair in step_errors]),
            np.array([self.severity.get(pair, 0.0) for pair in step_errors]),
            np.array([self.spans.get(step.id, unknown)[0] for step in action.steps]),
            max((end for _, end in self.spans.values()), default=math.nan),
            self.threshold,
        )


def from_clip(
    clip: Clip, graph: Graph, reference: emg_lib.Normalisation | None
) -> RepetitionRecord:
    """The record of a labelled clip.

    Args:
      clip: with labels of `graph`.
      graph: the knowledge graph of the labels.
      reference: envelopes are divided by it; None leaves the EMG out.

    Raises:
      UserError: the labels belong to another graph, or name an error that the graph does not have.
    """
    if clip.provenance.get("graph", graph.label) != graph.label:
        raise UserError(
            f"clip {clip.clip_id!r}: labelled with graph {clip.provenance['graph']!r}, "
            f"not {graph.label!r}"
        )
    action = graph.action(clip.action)
    severity = {(step.id, edge.error): 0.0 for step, edge in action.pairs}
    for step, error, value in clip.errors:
        action.occurrence(step, error)  # raises UserError for unknown errors
        severity[step, error] = float(value)
    spans = {step: (float(start), float(end)) for step, start, end in clip.phases}
    activity: dict[str, dict[str, float]] = {}
    if reference is not None and clip.muscles:
        envelope = emg_lib.clip_envelope(clip) / reference.scale(clip)
        activity = mean_activity(envelope, clip.emg_time, clip.muscles, spans)
    return RepetitionRecord(
        clip_id=clip.clip_id,
        action=clip.action,
        subject=clip.subject,
        spans=spans,
        probability={pair: float(value > 0) for pair, value in severity.items()},
        severity=severity,
        threshold=0.5,
        score=float(clip.score),
        activity=activity,
        tilt=mean_tilt(clip.pose, clip.pose_time, clip.joints, spans),
        moments=peak_moments(clip.torque, clip.pose_time, clip.dofs, spans),
    )


def mean_activity(
    envelope: Float[np.ndarray, "N C"],
    time: Float[np.ndarray, " N"],
    muscles: tuple[str, ...],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, float]]:
    """Mean of each channel within each key step. Steps without a sample are left out."""
    activity = {}
    for step, (begin, end) in spans.items():
        inside = (time >= begin) & (time < end)
        if inside.any():
            mean = envelope[inside].mean(0)
            activity[step] = {name: float(mean[c]) for c, name in enumerate(muscles)}
    return activity


def mean_tilt(
    pose: Float[np.ndarray, "P J 3"],
    time: Float[np.ndarray, " P"],
    joints: tuple[str, ...],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, float]:
    """Mean height of the left wrist above the right wrist within each key step, m.

    Steps in which a wrist is never visible are left out.
    """
    wrists = [f"{side}_wrist" for side in vocabulary.SIDES]
    if not set(wrists) <= set(joints):
        return {}
    left, right = (pose[:, joints.index(wrist), 2] for wrist in wrists)
    tilt = {}
    for step, (begin, end) in spans.items():
        difference = (left - right)[(time >= begin) & (time < end)]
        if np.isfinite(difference).any():
            tilt[step] = float(np.nanmean(difference))
    return tilt


def peak_moments(
    torque: Float[np.ndarray, "P D"],
    time: Float[np.ndarray, " P"],
    dofs: tuple[str, ...],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, float]]:
    """Peak moment of each joint within each key step, N·m.

    Steps without a sample in which all torques are known are left out.
    """
    if not set(vocabulary.DOFS) <= set(dofs):
        return {}
    ordered = torque[:, [dofs.index(name) for name in vocabulary.DOFS]]
    known = np.isfinite(ordered).all(1)
    moments = {}
    for step, (begin, end) in spans.items():
        inside = known & (time >= begin) & (time < end)
        if inside.any():
            moments[step] = joint_moments.peaks(ordered[inside])
    return moments
