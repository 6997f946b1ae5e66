"""Published AQA systems and ours on the same frozen Video→EMG model, EMG and subjects.

    python launch.py --config configs/aqa_systems.py --workdir runs/aqa_systems --sweep

Three seeds each. Our head computes the score from the errors by the graph; its variants regress the
score directly, as a distribution, or relative to an exemplar. Not measured on sets yet.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import aqa

OURS = {
    "ours": {},
    "ours, regression": {"model.score": "regression"},
    "ours, distribution": {"model.score": "usdl"},
    "ours, relative": {"model.score": "relative"},
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """As `configs/aqa.py`, but each repetition is judged alone, as published systems do."""
    config = aqa.get_config(arg)
    config.pool_sets = False
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Every head with three seeds (`launch.py --sweep`)."""
    others = {
        name: {f"published.{key}": value for key, value in settings.items()}
        for name, settings in aqa.SYSTEMS.items()
    }
    for seed in range(3):
        for name, override in {**OURS, **others}.items():
            yield {"row": name, **override, "train.seed": seed}
