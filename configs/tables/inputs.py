"""Video→EMG by input: video, load, pose, heart and breath rate, height and mass.

    python launch.py --config configs/tables/inputs.py --workdir runs/inputs
    python launch.py publish --kind table --run runs/inputs --name inputs --page docs/results.md

One model per seed, trained with inputs hidden at random; each row hides all inputs but those it
names. `large` (after the colon) is the larger preset of the main job, with and without load.
`publish` names its table `inputs_large`. Not measured on sets yet.
"""

import ml_collections

from configs import v2emg

_BOTH = ("front", "front_left")
ROWS = (
    ("front camera", ("front",)),
    ("front left camera", ("front_left",)),
    ("both cameras", _BOTH),
    ("both, traits", (*_BOTH, "traits")),
    ("both, vitals", (*_BOTH, "vitals")),
    ("both, load", (*_BOTH, "load")),
    ("both, load, vitals, traits", (*_BOTH, "load", "vitals", "traits")),
    ("pose", ("pose",)),
    ("pose, load", ("pose", "load")),
    ("both, pose", (*_BOTH, "pose")),
    ("all", (*_BOTH, "pose", "load", "vitals", "traits")),
)
LARGE = (("both cameras", _BOTH), ("both, load", (*_BOTH, "load")))


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is `large`, `debug` for a run of a minute, or nothing."""
    if arg not in ("", "large", "debug"):
        raise ValueError(f"configs/tables/inputs.py: unknown preset {arg!r}; large or debug")
    main = v2emg.get_config(arg)
    if arg == "large":
        main.model.extra_inputs = ("load",)
        main.augment.hide.load = 0.5
    else:
        main.model.extra_inputs = ("pose", "load", "vitals", "traits")
        main.augment.hide = dict(views=0.3, pose=0.7, load=0.4, vitals=0.5, traits=0.5)
    return ml_collections.ConfigDict(
        dict(
            job="modality_ablation",
            main=main,
            seeds=(0, 1, 2) if not arg else (0,),
            rows=LARGE if arg == "large" else ROWS,
            baseline="both cameras",
            bootstrap=1000,
        )
    )
