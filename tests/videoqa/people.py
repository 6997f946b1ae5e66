"""Accounts of repetitions that nobody did, for whatever needs many of them."""

import numpy as np

from video2emg.fkg.graph import Graph
from video2emg.videoqa.accounts import Account


def accounts(graph: Graph, subjects: int, repetitions: int = 3, seed: int = 0) -> list[Account]:
    """`repetitions` of every exercise by each subject, everything drawn at random."""
    rng = np.random.default_rng(seed)
    return [
        account(graph, action, f"s{subject}", n, rng)
        for subject in range(subjects)
        for action in graph.actions
        for n in range(repetitions)
    ]


def account(graph: Graph, action: str, subject: str, n: int, rng: np.random.Generator) -> Account:
    known = graph.action(action)
    pairs = [(step.id, edge.error) for step, edge in known.pairs]
    extent = {
        pair: float(rng.uniform(0.4, 1)) if rng.random() < 1.3 / len(pairs) else 0.0
        for pair in pairs
    }
    begins = np.cumsum([0.0, *rng.uniform(0.4, 1.4, len(known.steps))])
    lost = sum(w * extent[pair] for pair, w in zip(pairs, known.penalties, strict=True))
    return Account(
        clip_id=f"{subject}_{action}_{n}",
        action=action,
        subject=subject,
        spans={
            step.id: (float(a), float(b))
            for step, a, b in zip(known.steps, begins, begins[1:], strict=False)
        },
        probability={pair: float(value > 0) for pair, value in extent.items()},
        extent=extent,
        threshold=0.5,
        score=100 * (1 - lost / sum(known.penalties)),
        activity={
            step.id: {
                f"{side}_{muscle}": float(rng.uniform(0.05, 0.6))
                for side in ("left", "right")
                for muscle in known.muscles
            }
            for step in known.steps
        },
        tilt={step.id: float(rng.normal(0, 0.04)) for step in known.steps},
    )
