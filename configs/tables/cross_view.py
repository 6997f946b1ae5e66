"""Across cameras: trained on two cameras, tested on two others.

    python launch.py --config configs/tables/cross_view.py --workdir runs/cross_view
    python launch.py publish --kind table --run runs/cross_view --name cross_view \
      --page docs/results.md

Every row is tested on the same clips of the same unseen people. In `other_cameras` the model knows
which camera it sees: `front_right` is the mirror image of a training camera, `right` is new to it.
In `other_cameras_untold` it has no view embedding. Not measured on sets yet.
"""

from collections.abc import Iterator

import ml_collections

from configs import v2emg

OTHERS = ("front_right", "right")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is `debug` for a run of minutes, or nothing."""
    if arg not in ("", "debug"):
        raise ValueError(f"configs/tables/cross_view.py: unknown preset {arg!r}; there is debug")
    return ml_collections.ConfigDict(
        dict(
            job="compare",
            baseline="same_cameras",
            seeds=(0, 1, 2),
            only="",
            bootstrap=1000,
            preset=arg,
        )
    )


def rows(config: ml_collections.ConfigDict) -> Iterator[tuple[str, ml_collections.ConfigDict]]:
    """The rows of the table."""
    debug = config.preset == "debug"
    for name in ("same_cameras", "other_cameras", "other_cameras_untold"):
        one = v2emg.get_config("debug" if debug else "six")
        one.model.view_embedding = not name.endswith("untold")
        if debug:
            one.data.views = ("front",)
        else:
            one.data.name = "gymsim/default"
        if name != "same_cameras":
            one.data.select.test_views = ("front_left",) if debug else OTHERS
        yield name, one
