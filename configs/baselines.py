r"""Systems of others on the simulated gym: our data, splits, budget and metrics.

    python launch.py --config configs/baselines.py:mia --workdir runs/mia
    python launch.py --config configs/baselines.py:vit --workdir runs/vit \
      --config.model.pretrained.weights=model.safetensors --config.train.finetune.mode=lora

Pose → EMG (after the colon): `mia`, the transformer of Muscles in Action without subject code (a
subject never seen has none); `tds`, a time-depth separable network as in emg2pose and PianoKPM with
a learned output scale; `temporal_cnn`. `mia_as_published` has the original's width and depth. They
are shown the simulator's joint positions, which no camera gives: compare them with each other, and
with Video→EMG only as an upper bound. Video→EMG by pretrained encoders in our model: `i3d`, `vit`,
`videomae`, `videoprism`, of base size, at their own picture size; without weights they start from
nothing, and they want a GPU. All else is `configs/v2emg.py`.
"""

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


def get_config(arg: str = "mia") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the system, with `_debug` for a run of seconds."""
    name = arg.removesuffix("_debug")
    if name not in SYSTEMS | ENCODERS:
        known = ", ".join(SYSTEMS | ENCODERS)
        raise ValueError(f"configs/baselines.py: unknown {arg!r}; choose one of {known}")
    config = v2emg.get_config("debug" if arg.endswith("_debug") else "")
    if name in SYSTEMS:
        config.model.system = SYSTEMS[name]
        config.model.encoder.name = "pose"  # what is read; no camera is
        config.data.views = ()
        return config
    config.data.update(ENCODERS[name])
    config.model.encoder = ml_collections.ConfigDict(dict(name=name, remat=True))
    config.model.pretrained = dict(weights="", layout=name)
    config.train.finetune = dict(mode="full", rank=8, alpha=16.0, learning_rate=1.0)
    return config


def sweep():
    """The same three seeds as `configs/v2emg.py`."""
    return v2emg.sweep()
