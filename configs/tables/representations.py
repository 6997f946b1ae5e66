"""What representations of video contain, by training objective.

    python launch.py --config configs/tables/representations.py --workdir runs/representations
    python launch.py --config configs/tables/representations.py:contrastive --workdir runs/aligned
    python launch.py publish --kind table --run runs/representations --name representations \
      --page docs/representations.md

The table resumes; `--config.only=none,emg` makes some rows. An objective is a mix of weights in
`config.train.loss` (`OBJECTIVES`); all rows have the same data, encoder, steps and batches. `crowd`
(after the colon) has fewer exercises and more people; `debug` takes minutes; `<objective>_debug` is
one of its rows. Not measured on sets yet.
"""

from collections.abc import Iterator

import ml_collections

from configs import v2emg

PRESETS = ("", "crowd", "debug")
_BODY = dict(pose=0.3, torque=0.3, load=0.3, held=0.3)
OBJECTIVES = {
    "none": {},  # the encoder with its initial weights
    "emg": dict(emg=10.0),
    "biomechanics": _BODY,
    "emg+biomechanics": dict(emg=10.0, **_BODY),  # as the main job
    "contrastive": dict(contrastive=1.0),
    "masked": dict(masked_emg=10.0, masked_pose=0.3),
    "emg+contrastive": dict(emg=10.0, contrastive=0.3),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is a preset of the table, or an objective."""
    if arg in PRESETS:
        return ml_collections.ConfigDict(
            dict(
                job="compare",
                baseline="biomechanics",
                seeds=(0, 1, 2),
                only="",
                bootstrap=1000,
                preset=arg,
            )
        )
    name, _, preset = arg.partition("_")
    if name not in OBJECTIVES or preset not in PRESETS:
        known = ", ".join([*PRESETS[1:], *OBJECTIVES])
        raise ValueError(
            f"configs/tables/representations.py: unknown {arg!r}; choose one of {known}"
        )
    config = v2emg.get_config("debug" if preset == "debug" else "")
    config.job = "representation"
    config.graph = "gymsim"  # its errors are probed; empty: none
    if preset != "debug":
        config.data.name = "gymsim/crowd" if preset == "crowd" else "gymsim/gym"
        config.data.views = ("front_left",)
        config.train.update(steps=300, batch_size=32, eval_every=150, save_every=150)
        config.eval.batch_size = 32
    # Clips of one action side by side in a batch.
    config.train.same_action = 2 if preset == "debug" else 4
    names = ("emg", *_BODY, "contrastive", "masked_emg", "masked_pose")
    config.train.loss = dict.fromkeys(names, 0.0) | OBJECTIVES[name]
    config.model.predicted_mae = False  # no intervals in this table
    config.representation = dict(
        layers=2,  # of the EMG encoder and of the masked reconstruction
        embedding_dim=64,  # dimensions of the shared embedding of video and EMG
        mask_span_s=0.6,  # s, length of a masked span
        mask_share=0.6,  # masked share of the instants
    )
    return config


def rows(config: ml_collections.ConfigDict) -> Iterator[tuple[str, ml_collections.ConfigDict]]:
    """The rows of the table."""
    for name in OBJECTIVES:
        yield name, get_config(f"{name}_{config.preset}")
