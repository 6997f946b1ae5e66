"""Video→EMG from one to five cameras.

    python launch.py --config configs/tables/views.py --workdir runs/views
    python launch.py publish --kind table --run runs/views --name views --page docs/results.md

One model per seed, trained with cameras hidden at random; each row hides all cameras but those it
names. Not measured on sets yet.
"""

import ml_collections

from configs import v2emg

FIVE = ("front", "front_left", "left", "front_right", "right")
ROWS = (
    *((view.replace("_", " "), (view,)) for view in FIVE),
    *((f"first {n}", FIVE[:n]) for n in range(2, 6)),
)


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is `debug` for a run of a minute on two views."""
    if arg not in ("", "debug"):
        raise ValueError(f"configs/tables/views.py: unknown preset {arg!r}; there is debug")
    main = v2emg.get_config(arg or "six")
    rows, seeds, main.augment.hide.views = ROWS, (0, 1, 2), 0.5
    if not arg:
        main.data.update(name="gymsim/default", views=FIVE)
        main.train.steps = 4000  # twice those of `six`
    else:
        rows, seeds = (("front", FIVE[:1]), ("first 2", FIVE[:2])), (0,)
    return ml_collections.ConfigDict(
        dict(
            job="modality_ablation",
            main=main,
            seeds=seeds,
            rows=rows,
            baseline="front",
            bootstrap=1000,
        )
    )
