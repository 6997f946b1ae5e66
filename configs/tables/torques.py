"""The value of joint torques as auxiliary targets: inverse dynamics against static torques.

    python launch.py --config configs/tables/torques.py --workdir runs/torques
    python launch.py publish --kind table --run runs/torques --name torques \
      --page docs/representations.md

Six exercises of ten people, from joint positions; every row has the same test people. `none` learns
EMG and load only; `dynamics` also predicts the torques of the dataset (inverse dynamics); `statics`
predicts those that hold the posture (`data.statics`); `… + moment arms` also explains them by the
EMG (`models.moment_arms`), with a loss weight of 0.01 or 0.1. `video` (after the colon) reads
pictures and also predicts the pose; `debug` takes minutes. Not measured on
sets yet.
"""

from collections.abc import Iterator

import ml_collections

from configs import v2emg

PRESETS = ("", "video", "debug")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the preset."""
    if arg not in PRESETS:
        raise ValueError(f"configs/tables/torques.py: unknown {arg!r}; choose one of {PRESETS}")
    return ml_collections.ConfigDict(
        dict(job="compare", baseline="none", seeds=(0, 1, 2), only="", bootstrap=1000, preset=arg)
    )


def rows(config: ml_collections.ConfigDict) -> Iterator[tuple[str, ml_collections.ConfigDict]]:
    """The rows of the table."""
    for name in (
        "none",
        "dynamics",
        "statics",
        "statics + moment arms",
        "statics + strong moment arms",
    ):
        one = v2emg.get_config("debug" if config.preset == "debug" else "six")
        if config.preset != "video":
            one.model.encoder.name = "pose"
            one.data.views, one.data.frame_rate = (), 25.0
            one.model.pose_network.rate = 25.0
        one.data.select.people = 2 if config.preset == "debug" else 10
        one.data.torque = "static" if "statics" in name else "source"
        one.model.moment_arms = name.endswith("moment arms")
        one.train.loss.consistency = 0.1 if "strong" in name else 0.01
        if name == "none":
            one.train.loss.torque = 0.0
        yield name, one
