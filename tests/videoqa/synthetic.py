"""Random repetition records, for tests that need many of them."""

import numpy as np

from video2emg.core import joint_moments
from video2emg.fkg.graph import Graph
from video2emg.videoqa.repetition_records import RepetitionRecord


def repetitions(
    graph: Graph, subjects: int, repeats: int = 3, seed: int = 0
) -> list[RepetitionRecord]:
    """`repeats` repetitions of every exercise by each subject."""
    rng = np.random.default_rng(seed)
    return [
        repetition(graph, action, f"s{subject}", n, rng)
        for subject in range(subjects)
        for action in graph.actions
        for n in range(repeats)
    ]


def repetition(
    graph: Graph, action_id: str, subject: str, n: int, rng: np.random.Generator
) -> RepetitionRecord:
    """Repetition `n` of an exercise by a subject, with 1.3 errors on average."""
    action = graph.action(action_id)
    pairs = [(step.id, edge.error) for step, edge in action.pairs]
    severity = {
        pair: float(rng.uniform(0.4, 1)) if rng.random() < 1.3 / len(pairs) else 0.0
        for pair in pairs
    }
    begins = np.cumsum([0.0, *rng.uniform(0.4, 1.4, len(action.steps))])
    lost = sum(w * severity[pair] for pair, w in zip(pairs, action.penalties, strict=True))
    return RepetitionRecord(
        clip_id=f"{subject}_{action_id}_{n}",
        action=action_id,
        subject=subject,
        spans={
            step.id: (float(begin), float(end))
            for step, begin, end in zip(action.steps, begins, begins[1:], strict=False)
        },
        probability={pair: float(value > 0) for pair, value in severity.items()},
        severity=severity,
        threshold=0.5,
        score=100 * (1 - lost / sum(action.penalties)),
        activity={
            step.id: {
                f"{side}_{muscle}": float(rng.uniform(0.05, 0.6))
                for side in ("left", "right")
                for muscle in action.muscles
            }
            for step in action.steps
        },
        tilt={step.id: float(rng.normal(0, 0.04)) for step in action.steps},
        moments={
            step.id: {joint: float(rng.uniform(5, 150)) for joint in joint_moments.JOINTS}
            for step in action.steps
        },
    )
