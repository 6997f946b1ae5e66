"""Errors that only muscles show: does EMG find them, measured or predicted from the pose?

    python launch.py --config configs/tables/aqa_effort.py --workdir runs/aqa_effort --sweep
    python -m analyses.effort_errors --run runs/aqa_effort --write

The Video→EMG model comes with the package; it has not seen the people of `gymsim/effort`. Expected
result: docs/aqa.md.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import aqa

ROWS = {
    "pose": dict(emg_source="none"),
    "pose + EMG predicted": dict(emg_source="predicted_frozen"),
    "pose + EMG of others": dict(emg_source="from_other_subject"),
    "pose + EMG measured": dict(emg_source="measured"),
    "EMG measured": dict(emg_source="measured", video=False),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The preset `pose` of `configs/aqa.py` on the repetitions of `gymsim/effort`."""
    config = aqa.get_config(arg or "pose")
    config.dataset = "gymsim/effort"
    config.copies = config.copies if arg else 8
    config.graph = "gymsim_effort"
    config.video2emg = "video2emg/pretrained/video2emg"
    config.train.update(steps=min(config.train.steps, 2000))
    config.eval.update(found=False, clean=False)
    config.extra_inputs = ()
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Every row with three seeds (`launch.py --sweep`)."""
    for seed in range(3):
        for name, override in ROWS.items():
            yield {"row": name, **override, "train.seed": seed}
