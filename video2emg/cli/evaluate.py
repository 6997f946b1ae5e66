"""Scores a finished Video→EMG run again, without training; nothing of the run is changed.

Values of the run's config are changed by --config.key=value: data.views (the cameras that are
shown), data.select.test_views (those of the scored clips only), data.select.without_action (score
this action only), eval and parallel. Baselines still learn from what the run has learned from.
Writes results.json, scores.npz, table.txt and figures.

    --run runs/v2emg --split validation
    --run runs/v2emg --config.data.views="('front',)"
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

from video2emg.cli.flags import Overrides, compilation_cache, use_compilation_cache
from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      run: workdir of a finished run.
      split: whose clips are scored.
      out: folder for the results; else evaluations/NAME in the workdir of the run, with a name
        that tells the split and what was changed.
      data_dir: where built datasets live, if not where the run's config says.
      compilation_cache: where compiled programs are kept; empty for nowhere.
        JAX_COMPILATION_CACHE_DIR, if set, wins.
    """

    run: str = ""
    split: Literal["test", "validation"] = "test"
    out: str = ""
    data_dir: str = ""
    compilation_cache: str = dataclasses.field(default_factory=compilation_cache)
    overrides: Overrides = ()


def run(options: Options) -> int:
    """Evaluates; returns the exit status."""
    if not options.run:
        raise UserError("say which run, e.g. --run runs/v2emg; see --help")
    import ml_collections

    from video2emg.cli import config as config_lib
    from video2emg.run.workdir import read_config

    trained = ml_collections.ConfigDict(_with_tuples(read_config(options.run).to_dict()))
    config, changed = config_lib.change(trained, options.overrides)
    if options.data_dir:
        config.data.dir = options.data_dir
    out = options.out or Path(options.run) / "evaluations" / name_of(options.split, changed)
    use_compilation_cache(options.compilation_cache)
    from video2emg.jobs import video2emg

    video2emg.evaluate(config, options.run, out, options.split)
    return 0


def name_of(split: str, changed: dict[str, Any]) -> str:
    """Name of the folder of an evaluation, e.g. `test-data.views=front`."""
    told = [f"{key}={value}" for key, value in changed.items()]
    words = [re.sub(r"[^\w.=-]+", "_", text).replace("=_", "=").rstrip("_") for text in told]
    return "-".join([split, *words])


def _with_tuples(value: Any) -> Any:
    """A config as its file made it: JSON knows no tuples, and flags can set no lists."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value
