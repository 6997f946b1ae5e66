"""What to tell a person about a repetition: what went wrong, when, what it costs, what to do."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.fkg.graph import Graph

FORMAT = 1  # of the JSON; docs/fkg.md describes it


@dataclasses.dataclass(frozen=True)
class Finding:
    """One error of a repetition.

    Attributes:
      step, error: ids; phase: of the key step.
      step_name, error_name: for people; the ids where the graph has no names.
      tier: how grave; empty where unknown.
      probability: that it was made, 0-1.
      severity: how badly if it was, 0-1.
      penalty: expected loss of score, points of 100.
      start, end: of the key step, s on the clip's clock; None where unknown.
      muscles, joints: involved.
      meaning: why it matters.
      advice: what corrects it at this key step.
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


@dataclasses.dataclass(frozen=True)
class Feedback:
    """A judged repetition in words.

    Attributes:
      clip_id: of the repetition.
      graph: name and version.
      action, action_name: id, and for people.
      score: 0-100, as the judge says it; if it was not composed of the errors, the penalties need
        not add up to what is missing.
      findings: by expected loss, largest first.
    """

    clip_id: str
    graph: str
    action: str
    action_name: str
    score: float
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the version of this format."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    def to_text(self) -> str:
        """A few lines for people."""
        lines = [f"{self.action_name}: {self.score:.0f} of 100"]
        if not self.findings:
            lines.append("No error found.")
        for n, found in enumerate(self.findings, 1):
            moment = "" if found.start is None else f" from {found.start:.1f} s"
            muscles = ", ".join(m.replace("_", " ") for m in found.muscles)
            lines.append(
                f"{n}. {found.error_name} ({found.step_name.lower()}{moment}; "
                f"{found.probability:.0%} sure, costs {found.penalty:.0f} points"
                f"{f'; {muscles}' if muscles else ''})"
            )
            lines += [f"   {advice}" for advice in found.advice]
        return "\n".join(lines)


def feedback(
    graph: Graph,
    clip_id: str,
    action: str,
    score: float,
    probability: Float[np.ndarray, " E"],
    extent: Float[np.ndarray, " E"],
    boundary: Float[np.ndarray, " P"],
    end: float,
    threshold: float,
) -> Feedback:
    """Puts one judgement into words.

    Args:
      graph: with texts.
      clip_id: for the record.
      action: id.
      score: 0-100.
      probability: that each error was made, in the order of the action's pairs; longer by padding.
      extent: expected severity, probability included.
      boundary: beginning of each key step, s; NaN where unknown; longer by padding.
      end: of the repetition, s.
      threshold: errors that are less probable are not mentioned.

    Raises:
      UserError: the action is not in the graph, or its weights are unknown.
    """
    known = graph.action(action)
    weights = known.penalties
    starts = [float(boundary[i]) for i in range(len(known.steps))]
    moments = {
        step.id: (start, stop)
        for step, start, stop in zip(known.steps, starts, [*starts[1:], end], strict=True)
    }
    findings = []
    for slot, (step, edge) in enumerate(known.pairs):
        if probability[slot] < threshold:
            continue
        error = graph.errors[edge.error]
        start, stop = moments[step.id]
        findings.append(
            Finding(
                step=step.id,
                error=edge.error,
                phase=step.phase,
                step_name=step.name or step.id,
                error_name=error.name or error.id,
                tier=error.tier,
                probability=float(probability[slot]),
                severity=float(extent[slot] / max(float(probability[slot]), 1e-9)),
                penalty=100 * weights[slot] * float(extent[slot]) / sum(weights),
                start=None if math.isnan(start) else start,
                end=None if math.isnan(stop) else stop,
                muscles=edge.muscles,
                joints=error.joints,
                meaning=error.meaning,
                advice=tuple(graph.feedback[key] for key in edge.feedback),
            )
        )
    findings.sort(key=lambda found: (-found.penalty, found.step, found.error))
    return Feedback(
        clip_id, graph.label, action, known.name or action, float(score), tuple(findings)
    )
