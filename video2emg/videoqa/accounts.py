"""What somebody says of one repetition: annotators and electrodes, or a model.

Questions are made of accounts of the first kind; a model whose account is at hand can be asked the
same way.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from video2emg.core import emg as emg_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.fkg.feedback import Feedback, feedback
from video2emg.fkg.graph import Graph

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Account:
    """See the module.

    Attributes:
      clip_id, action: of the repetition.
      subject: whose it is.
      spans: of each key step, (begin, end) s on the clip's clock; only what is known.
      probability: of each (key step, error) of the action, that it is made; 0 or 1 if annotated.
      extent: of the same, expected severity.
      threshold: probability from which an error counts as made.
      score: 0-100, NaN if unknown.
      activity: mean envelope by key step and channel, as a fraction of the reference.
      tilt: mean height of the left wrist above the right by key step, m.
    """

    clip_id: str
    action: str
    subject: str
    spans: Mapping[str, tuple[float, float]]
    probability: Mapping[Pair, float]
    extent: Mapping[Pair, float]
    threshold: float
    score: float
    activity: Mapping[str, Mapping[str, float]]
    tilt: Mapping[str, float]

    def makes(self, pair: Pair) -> bool:
        """Whether an error counts as made."""
        return self.probability.get(pair, 0.0) >= self.threshold

    def losses(self, graph: Graph) -> dict[Pair, float]:
        """Points of 100 that each error is expected to cost."""
        known = graph.action(self.action)
        total = sum(known.penalties)
        pairs = ((step.id, edge.error) for step, edge in known.pairs)
        return {
            pair: 100 * weight * self.expected_severity.get(pair, 0.0) / total
            for pair, weight in zip(pairs, known.penalties, strict=True)
        }

    def feedback_texts(self, graph: Graph) -> Feedback:
        """As feedback: what counts as made, the most costly first."""
        known = graph.action(self.action)
        pairs = [(step.id, edge.error) for step, edge in known.pairs]
        nowhere = (math.nan, math.nan)
        return feedback(
            graph,
            self.clip_id,
            self.action,
            self.score,
            np.array([self.probability.get(pair, 0.0) for pair in pairs]),
            np.array([self.expected_severity.get(pair, 0.0) for pair in pairs]),
            np.array([self.spans.get(step.id, nowhere)[0] for step in known.steps]),
            max((end for _, end in self.spans.values()), default=math.nan),
            self.threshold,
        )


def of_clip(clip: Clip, graph: Graph, reference: emg_lib.Normalisation | None) -> Account:
    """What annotators and electrodes say of a clip.

    Args:
      clip: with labels of this graph.
      graph: that it was labelled with.
      reference: that envelopes are divided by; None leaves the EMG out.

    Raises:
      UserError: labels of another graph, or an error that the graph does not know.
    """
    if clip.provenance.get("graph", graph.label) != graph.label:
        raise UserError(f"clip {clip.clip_id!r}: labelled with graph {clip.provenance['graph']!r}, "
                        f"not {graph.label!r}")  # fmt: skip
    known = graph.action(clip.action)
    extent = {(step.id, edge.error): 0.0 for step, edge in known.pairs}
    for step, error, severity in clip.errors:
        known.occurrence(step, error)  # or says what is wrong
        extent[step, error] = float(severity)
    spans = {step: (float(start), float(end)) for step, start, end in clip.phases}
    activity: dict[str, dict[str, float]] = {}
    if reference is not None and clip.muscles:
        envelope = emg_lib.clip_envelope(clip) / reference.scale(clip)
        activity = mean_activity(envelope, clip.emg_time, clip.muscles, spans)
    return Account(
        clip_id=clip.clip_id,
        action=clip.action,
        subject=clip.subject,
        spans=spans,
        probability={pair: float(value > 0) for pair, value in extent.items()},
        extent=extent,
        threshold=0.5,
        score=float(clip.score),
        activity=activity,
        tilt=mean_tilt(clip.pose, clip.pose_time, clip.joints, spans),
    )


def mean_activity(
    envelope: Float[np.ndarray, "N C"],
    time: Float[np.ndarray, " N"],
    muscles: tuple[str, ...],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, float]]:
    """Mean of each channel within each key step; steps without a sample are left out."""
    found = {}
    for step, (begin, end) in spans.items():
        inside = (time >= begin) & (time < end)
        if inside.any():
            mean = envelope[inside].mean(0)
            found[step] = {name: float(mean[c]) for c, name in enumerate(muscles)}
    return found


def mean_tilt(
    pose: Float[np.ndarray, "P J 3"],
    time: Float[np.ndarray, " P"],
    joints: tuple[str, ...],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, float]:
    """Mean height of the left wrist above the right within each key step, m; where it is known."""
    wrists = [f"{side}_wrist" for side in vocabulary.SIDES]
    if not set(wrists) <= set(joints):
        return {}
    left, right = (pose[:, joints.index(wrist), 2] for wrist in wrists)
    found = {}
    for step, (begin, end) in spans.items():
        gap = (left - right)[(time >= begin) & (time < end)]
        if np.isfinite(gap).any():
            found[step] = float(np.nanmean(gap))
    return found
