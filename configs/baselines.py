r"""Published systems and ours on the simulated gym: same data, splits, budget and metrics.

    python launch.py --config configs/baselines.py --workdir runs/baselines       # the whole table
    python launch.py --config configs/baselines.py:mia --workdir runs/mia         # one system
    python launch.py --config configs/baselines.py:vit --workdir runs/vit \
      --config.model.pretrained.weights=model.safetensors --config.train.finetune.mode=lora

The table has every row that two cores can train, with three seeds if the seed matters. It resumes.
`:debug` runs all rows in minutes; `--config.only=mia,tds` runs some. Systems (after the colon):

- pose → EMG: `mia`, the transformer of Muscles in Action without its subject code, which an unseen
  subject does not have; `tds`, a time-depth separable network as in emg2pose and PianoKPM, with a
  learned output scale; `temporal_cnn`; `ours_pose`, our model on the same input; the regressors
  `ridge_pose`, `svr_pose`, `retrieval_pose` (the baseline of MIA). They read the true joint
  positions of the simulator (25 Hz; regressors all), which no camera gives, so for Video→EMG they
  are an upper bound. `mia_as_published` has the width and depth of the original.
- pose and load → EMG: `ours_mechanics`, our model that starts from mechanics of the body.
- Video→EMG: `ours`; the regressors `ridge_video` and `svr_video` (FLEX's best system, there on a
  ViT) on its frozen encoder; the pretrained encoders `i3d`, `vit`, `videomae`, `videoprism` in our
  model, of base size and at their own picture size. Without weights these start from random
  values; they need a GPU.
"""

from collections.abc import Iterator

import ml_collections

from configs import v2emg

SYSTEMS = {
    "mia": dict(name="mia", dim=64, layers=2, heads=4, hidden=256),
    "mia_as_published": dict(name="mia"),
    "tds": dict(name="tds"),
    "temporal_cnn": dict(name="temporal_cnn"),
}
ENCODERS = {
    "i3d": dict(size=224, seconds=6.4),  # whole tokens of eight frames
    "vit": dict(size=224),
    "videomae": dict(size=224),
    "videoprism": dict(size=288),
}


REGRESSORS = {
    "ridge_pose": dict(name="ridge", sees="pose", encoder_of=""),
    "svr_pose": dict(name="support_vector", sees="pose", encoder_of=""),
    "retrieval_pose": dict(name="retrieval", sees="pose", encoder_of=""),
    "ridge_video": dict(name="ridge", sees="encoder", encoder_of=""),
    "svr_video": dict(name="support_vector", sees="encoder", encoder_of=""),
}
OURS = ("ours", "ours_pose", "ours_mechanics")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the system, or nothing or `debug` for the table."""
    if arg in ("", "debug"):
        return ml_collections.ConfigDict(
            dict(
                job="compare",
                baseline="ours",
                seeds=(0, 1, 2),
                only="",  # rows, with commas between
                bootstrap=1000,
                debug=arg == "debug",
            )
        )
    name = arg.removesuffix("_debug")
    if name not in {*OURS, *SYSTEMS, *REGRESSORS, *ENCODERS}:
        known = ", ".join([*OURS, *SYSTEMS, *REGRESSORS, *ENCODERS])
        raise ValueError(f"configs/baselines.py: unknown {arg!r}; choose one of {known}")
    config = v2emg.get_config("debug" if arg.endswith("_debug") else "six")
    if name in SYSTEMS or name.endswith(("_pose", "_mechanics")):
        v2emg.reads_pose(config)
    if name in REGRESSORS:
        config.job = "regressor"
        config.regressor = REGRESSORS[name]
    if name in SYSTEMS:
        config.model.system = SYSTEMS[name]
    if name == "ours_mechanics":
        v2emg.told_load(config)
        v2emg.exact_mechanics(config)
    if name in ENCODERS:
        config.data.update(ENCODERS[name])
        config.model.encoder = ml_collections.ConfigDict(dict(name=name, remat="full"))
        config.model.pretrained = dict(weights="", layout=name)
        config.train.finetune = dict(mode="full", rank=8, alpha=16.0, learning_rate=1.0)
    return config


def rows(config: ml_collections.ConfigDict) -> Iterator[tuple[str, ml_collections.ConfigDict]]:
    """The rows of the table; the first is trained first, and others ask its encoder."""
    names = [*OURS, *(n for n in SYSTEMS if n != "mia_as_published"), *REGRESSORS]
    for name in names:
        system = get_config(f"{name}_debug" if config.debug else name)
        system.eval.physics &= name == "ours_mechanics"  # nothing is trained: one row is enough
        if name.endswith("_video"):
            system.regressor.encoder_of = "ours"
        yield name, system


def sweep():
    """Three seeds of one system."""
    return v2emg.sweep()
