"""Judging repetitions from estimated poses: does EMG that is predicted from them help?

    python launch.py --config configs/tables/aqa_poses.py --workdir runs/aqa_poses --sweep

One Video→EMG model, which has not seen the people of the heads, gives the features of the pose and
the predicted EMG of all rows. Expected result: docs/aqa.md.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import aqa

ROWS = {
    "pose": dict(emg_source="none"),
    "pose + EMG predicted": dict(emg_source="predicted_frozen"),
    "pose + EMG of others": dict(emg_source="from_other_subject"),
    "EMG predicted": dict(emg_source="predicted_frozen", video=False),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The preset `pose` of `configs/aqa.py`, of fewer people and steps."""
    config = aqa.get_config(arg or "pose")
    if config.dataset:
        config.dataset, config.copies = "gymsim/gym_poses", 8
    config.train.update(steps=min(config.train.steps, 2000))
    config.eval.update(found=False, clean=False)
    config.extra_inputs = ()
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Every row with three seeds (`launch.py --sweep`)."""
    for seed in range(3):
        for name, override in ROWS.items():
            yield {"row": name, **override, "train.seed": seed}
