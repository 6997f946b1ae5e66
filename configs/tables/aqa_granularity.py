"""The value of fine-grained annotation: scores only, plus errors, plus key steps.

    python launch.py --config configs/tables/aqa_granularity.py --workdir runs/granularity --sweep
    python launch.py publish --kind aqa --run runs/granularity --name aqa_granularity \
      --page docs/results.md --minus score

The first three rows regress the score and differ in their annotations only; `by the graph` computes
the score from the errors. Not measured on sets yet.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import aqa

_SCORES = {
    "model.score": "regression",
    "train.loss.error": 0.0,
    "train.loss.severity": 0.0,
    "train.loss.phase": 0.0,
}
_ERRORS = {"model.score": "regression", "train.loss.phase": 0.0}
ROWS = {
    "score": _SCORES,
    "score, errors": _ERRORS,
    "score, errors, key steps": {"model.score": "regression"},
    "score, errors, key steps, by the graph": {},
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """As `configs/aqa.py`, without EMG."""
    config = aqa.get_config(arg)
    config.emg_source = "none"
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Every row with three seeds (`launch.py --sweep`)."""
    for seed in range(3):
        for name, override in ROWS.items():
            yield {"row": name, **override, "train.seed": seed}
