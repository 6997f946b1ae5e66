"""Judging repetitions from more and more: one camera, pose, EMG, several cameras.

    python launch.py --config configs/tables/aqa_modalities.py --workdir runs/modalities --sweep
    python launch.py publish --kind aqa --run runs/modalities --name aqa_modalities \
      --page docs/results.md --minus RGB "RGB + pose" "RGB + pose + EMG predicted"

One Video→EMG model, which learns to do without either camera, gives the video tokens and the
predicted EMG of all rows; `pose` is where the joints really were. Not measured on sets yet.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import aqa

ONE = ("front",)
ROWS = {
    "RGB": dict(views=ONE, emg_source="none"),
    "RGB + EMG predicted": dict(views=ONE),
    "RGB + EMG measured": dict(views=ONE, emg_source="measured"),
    "RGB + pose": dict(views=ONE, emg_source="none", extra_inputs=("pose",)),
    "RGB + pose + EMG predicted": dict(views=ONE, extra_inputs=("pose",)),
    "RGB + pose + EMG measured": dict(views=ONE, extra_inputs=("pose",), emg_source="measured"),
    "multi-view": dict(emg_source="none"),
    "multi-view + pose": dict(emg_source="none", extra_inputs=("pose",)),
    "all, EMG predicted": dict(extra_inputs=("pose", "load")),
    "all, EMG measured": dict(extra_inputs=("pose", "load"), emg_source="measured"),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """As `configs/aqa.py`, over a model that is used to missing a camera."""
    config = aqa.get_config(arg)
    config.main.augment.hide.views = 0.3
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Every row with three seeds (`launch.py --sweep`)."""
    for seed in range(3):
        for name, override in ROWS.items():
            yield {"row": name, **override, "train.seed": seed}
