"""Personalisation: a finished model is adapted to a new person from 1, 2 or 5 repetitions.

    python launch.py --config configs/personalise.py --config.run=runs/v2emg --workdir runs/personal

`gain` fits a gain and an offset per channel; `head` trains the last layer; `lora` trains low-rank
changes of all attention layers. Expected results of `gain`:
docs/personalise.md.
"""

import ml_collections


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is `debug` for a run of seconds, or nothing."""
    if arg not in ("", "debug"):
        raise ValueError(f"configs/personalise.py: unknown preset {arg!r}; there is debug")
    config = ml_collections.ConfigDict()
    config.job = "personalise"
    config.run = "runs/v2emg"
    config.hidden = ()  # views and inputs of the run that are hidden
    config.data_dir = ""  # folder of built datasets; empty: as in the config of the run
    config.repetitions = (1, 2, 5)
    config.methods = ("gain", "head", "lora")
    config.draws = 3  # random draws of the revealed repetitions
    config.strengths = (0.3, 1.0, 3.0, 10.0)  # of the prior of the gain, in repetitions
    config.steps = (5, 20, 60)  # of gradient methods
    config.learning_rate = 0.002
    config.rank = 4
    config.bootstrap = 1000
    if arg == "debug":
        config.update(repetitions=(1, 2), draws=1, steps=(1, 2), strengths=(1.0, 3.0), bootstrap=20)
    return config
