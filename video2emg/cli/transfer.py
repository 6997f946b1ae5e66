"""What a trained model is worth on people it was not trained on, with 0, 1, 2, … repetitions.

Any dataset with poses (or the run's views) and EMG. See docs/transfer.md.

    --run runs/pose --dataset recordings/default --manual_dir my_recordings
    --run runs/pose --dataset mia/cross_subject --manual_dir mia --action Squat
"""

import dataclasses
import math
from typing import Literal

from video2emg.cli.flags import Integers, Words, compilation_cache, use_compilation_cache
from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      run: workdir of a finished run, or a packed run; the one in the package if empty.
      dataset: name of the dataset, e.g. recordings/default.
      data_dir: where built datasets live.
      manual_dir: the source's own files, for datasets made of some.
      out: folder for the results; else transfer/DATASET in the workdir of the run, or in the
        current folder for the run in the package.
      k: numbers of revealed repetitions of each exercise of each person; 0 1 2 5 10 by default.
      split: all clips, or those of the test split.
      action: exercises, separated by commas; all if empty.
      seed: of the draw of the revealed repetitions, and of the bootstrap.
      apply_lag: move each person's EMG by the delay that the revealed repetitions show.
      load_response: exponent with which the model's EMG follows the loads of one person, beyond
        what the model says: times (load / the person's usual load) to this power; 0.25 by default.
      learn_prior: instead of a table, learn from the people of the dataset how calibrations differ
        between people, and write this file. A run uses person_prior.npz in its workdir.
      compilation_cache: where compiled programs are kept; empty for nowhere.
        JAX_COMPILATION_CACHE_DIR, if set, wins.
    """

    run: str = ""
    dataset: str = ""
    data_dir: str = "data"
    manual_dir: str = ""
    out: str = ""
    k: Integers = ()
    split: Literal["all", "test"] = "all"
    action: Words = ()
    seed: int = 0
    apply_lag: bool = False
    load_response: float = math.nan
    learn_prior: str = ""
    compilation_cache: str = dataclasses.field(default_factory=compilation_cache)


def run(options: Options) -> int:
    """Predicts, calibrates and scores; returns the exit status."""
    if not options.dataset:
        raise UserError("say which dataset, e.g. --dataset recordings/default")
    use_compilation_cache(options.compilation_cache)
    from video2emg.jobs import transfer

    given = {field.name for field in dataclasses.fields(transfer.Settings)}
    values = {name: v for name, v in dataclasses.asdict(options).items() if name in given}
    values["k"] = options.k or transfer.Settings.k
    if math.isnan(options.load_response):
        del values["load_response"]
    settings = transfer.Settings(**values)
    if options.learn_prior:
        if options.out:
            raise UserError("--out: --learn_prior writes no table; give one of the two")
        transfer.learn_prior(settings, options.learn_prior)
    else:
        transfer.run(settings)
    return 0
