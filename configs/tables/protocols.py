"""Generalisation of Video→EMG to unseen people and exercises, and from fewer people.

    python launch.py --config configs/tables/protocols.py --workdir runs/protocols

Every row is tested on the same repetitions of the same unseen people: `cross_subject` as the main
job; `leave_one_action_out`, each exercise by a model that was not trained on it; `people_<n>`,
trained on fewer people. Skill is over the template of `cross_subject` in all rows. Presets (after
the colon): `mechanics` reads true joint positions, starts from the mechanics of the body, and is
told the load; `pose` is the same without mechanics and load; `debug` takes minutes. Expected
results: docs/results.md.
"""

from collections.abc import Iterator

import ml_collections

from configs import v2emg

PRESETS = {  # → preset of configs/v2emg.py
    "": "six",
    "pose": "mechanics",
    "mechanics": "mechanics",
    "debug": "debug",
}
PEOPLE = (5, 10, 20)
ACTIONS = (  # of the preset `six`
    "barbell_squat",
    "barbell_overhead_press",
    "barbell_romanian_deadlift",
    "dumbbell_curl",
    "dumbbell_lateral_raise",
    "dumbbell_front_raise",
)


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the preset."""
    if arg not in PRESETS:
        raise ValueError(
            f"configs/tables/protocols.py: unknown {arg!r}; choose one of {tuple(PRESETS)}"
        )
    return ml_collections.ConfigDict(
        dict(
            job="compare",
            baseline="cross_subject",
            seeds=(0, 1, 2),
            only="",
            bootstrap=1000,
            preset=arg,
        )
    )


def rows(config: ml_collections.ConfigDict) -> Iterator[tuple[str, ml_collections.ConfigDict]]:
    """The rows of the table."""

    def row(**select) -> ml_collections.ConfigDict:
        one = v2emg.get_config(PRESETS[str(config.preset)])
        if config.preset in ("pose", "mechanics"):
            one.data.name = "gymsim/default"
            # From few people the best model comes early: the best of four checkpoints is kept.
            one.train.update(steps=1000, batch_size=16, eval_every=250, save_every=250)
        if config.preset == "pose":
            one.model.mechanics.anatomy, one.model.extra_inputs = "", ()
            one.augment.hide.load = 0.0
        one.data.select.update(select)
        return one

    def without_physics(one: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
        one.eval.physics = False  # nothing is trained, so that one row has it for all
        return one

    yield "cross_subject", row()
    for name in ACTIONS:
        yield "leave_one_action_out", without_physics(row(without_action=name))
    for people in (2,) if config.preset == "debug" else PEOPLE:
        yield f"people_{people}", without_physics(row(people=people))
