"""Feedback on a repetition: its errors, when they occur, their penalties and corrections."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.fkg.effects import UNITS, Effect, largest, to_text
from video2emg.fkg.graph import Graph

FORMAT = 2  # of the JSON; docs/fkg.md describes it


@dataclasses.dataclass(frozen=True)
class Finding:
    """One error of a repetition.

    Attributes:
      step, error: ids.
      phase: of the key step.
      step_name, error_name: for people; the ids if the graph has no names.
      tier: id; empty if unknown.
      probability: of the error, 0-1.
      severity: if the error occurred, 0-1.
      penalty: expected loss of score, points of 100.
      start, end: of the key step, s on the clip's clock; None if unknown.
      muscles, joints: involved.
      meaning: why the error matters.
      advice: corrections at this key step.
      effects: the largest in simulated people, in proportion to the severity; empty if the error is
        a matter of style; None if it was not measured.
    """

    step: str
    error: str
    phase: str
    step_name: str
    error_name: str
    tier: str
    probability: float
    severity: float
    penalty: float
    start: float | None
    end: float | None
    muscles: tuple[str, ...]
    joints: tuple[str, ...]
    meaning: str
    advice: tuple[str, ...]
    effects: tuple[Effect, ...] | None = None

    @property
    def effects_text(self) -> str:
        """One sentence about the effects; empty if they were not measured."""
        return to_text(self.effects)


@dataclasses.dataclass(frozen=True)
class Feedback:
    """The assessment of a repetition, for people.

    Attributes:
      clip_id: of the repetition.
      graph: name and version.
      action, action_name: id, and name for people.
      score: 0-100. Penalties need not add up to 100 − score if the score is predicted separately.
      findings: errors by expected penalty, largest first.
    """

    clip_id: str
    graph: str
    action: str
    action_name: str
    score: float
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values with the version of the format; every effect has its unit."""
        values = {"format": FORMAT, **dataclasses.asdict(self)}
        for finding in values["findings"]:
            for effect in finding["effects"] or ():
                effect |= {"unit": UNITS[effect["kind"]], "simulated": True}
        return values

    def to_text(self) -> str:
        """A short text for people."""
        lines = [f"{self.action_name}: {self.score:.0f} of 100"]
        if not self.findings:
            lines.append("No error found.")
        for n, finding in enumerate(self.findings, 1):
            start = "" if finding.start is None else f" from {finding.start:.1f} s"
            muscles = ", ".join(m.replace("_", " ") for m in finding.muscles)
            lines.append(
                f"{n}. {finding.error_name} ({finding.step_name.lower()}{start}; "
                f"{finding.probability:.0%} sure, costs {finding.penalty:.0f} points"
                f"{f'; {muscles}' if muscles else ''})"
            )
            lines += [f"   {text}" for text in (*finding.advice, finding.effects_text) if text]
        return "\n".join(lines)


def feedback(
    graph: Graph,
    clip_id: str,
    action: str,
    score: float,
    probability: Float[np.ndarray, " E"],
    expected_severity: Float[np.ndarray, " E"],
    boundary: Float[np.ndarray, " P"],
    end: float,
    threshold: float,
) -> Feedback:
    """Makes the feedback on one repetition.

    Args:
      graph: with texts.
      clip_id: of the repetition.
      action: id.
      score: 0-100.
      probability: of each error, in the order of the action's pairs; may be padded.
      expected_severity: of each error: probability times severity; may be padded.
      boundary: start of each key step, s; NaN if unknown; may be padded.
      end: of the repetition, s.
      threshold: less probable errors are left out.

    Raises:
      UserError: the action is not in the graph, or its weights are unknown.
    """
    node = graph.action(action)
    weights = node.penalties
    starts = [float(boundary[i]) for i in range(len(node.steps))]
    intervals = {
        step.id: (start, stop)
        for step, start, stop in zip(node.steps, starts, [*starts[1:], end], strict=True)
    }
    findings = []
    for i, (step, edge) in enumerate(node.pairs):
        if probability[i] < threshold:
            continue
        error = graph.errors[edge.error]
        start, stop = intervals[step.id]
        severity = float(expected_severity[i] / max(float(probability[i]), 1e-9))
        findings.append(
            Finding(
                step=step.id,
                error=edge.error,
                phase=step.phase,
                step_name=step.name or step.id,
                error_name=error.name or error.id,
                tier=error.tier,
                probability=float(probability[i]),
                severity=severity,
                penalty=100 * weights[i] * float(expected_severity[i]) / sum(weights),
                start=None if math.isnan(start) else start,
                end=None if math.isnan(stop) else stop,
                muscles=edge.muscles,
                joints=error.joints,
                meaning=error.meaning,
                advice=tuple(graph.feedback[key] for key in edge.feedback),
                effects=edge.effects
                and tuple(effect.at(severity) for effect in largest(edge.effects)),
            )
        )
    findings.sort(key=lambda finding: (-finding.penalty, finding.step, finding.error))
    name = node.name or action
    return Feedback(clip_id, graph.label, action, name, float(score), tuple(findings))
