"""Writes a dataset in the folder layout of FLEX or Muscles in Action, for code made for those.

    --dataset gymsim/default --layout mia --out mia_tree

What a layout cannot hold is lost; docs/datasets.md says what.
"""

import dataclasses
from typing import Literal

from video2emg.cli.flags import Words
from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      dataset: its name, e.g. gymsim/default.
      layout: whose folders and files are written.
      out: folder that receives them.
      data_dir: where built datasets live; prepare-data builds one.
      action: exercises, separated by commas; all if empty.
      muscles: muscles, separated by commas, of which the channels of both sides are written; if
        empty, the two prime muscles of each exercise, where the dataset names them.
    """

    dataset: str = ""
    layout: Literal["flex", "mia"] = "flex"
    out: str = "runs/export-data"
    data_dir: str = "data"
    action: Words = ()
    muscles: Words = ()


def run(options: Options) -> int:
    """Writes; returns the exit status."""
    if not options.dataset:
        raise UserError("say what to write, e.g. --dataset gymsim/default; see --help")
    from video2emg.data import export, store

    dataset = store.open_dataset(options.dataset, options.data_dir, build_missing=False)
    count = export.write(dataset, options.layout, options.out, options.action, options.muscles)
    print(f"{count} clips in {options.out}")
    return 0
