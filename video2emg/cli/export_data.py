"""Writes a dataset in the folder layout of FLEX or Muscles in Action, for code made for those.

    --dataset gymsim/default --layout mia --out mia_tree

What a layout cannot hold is lost; docs/datasets.md says what.
"""

import dataclasses
from typing import Literal

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      dataset: its name, e.g. gymsim/default.
      layout: whose folders and files are written.
      out: folder that receives them.
      data_dir: where built datasets live; prepare-data builds one.
    """

    dataset: str = ""
    layout: Literal["flex", "mia"] = "flex"
    out: str = "runs/export-data"
    data_dir: str = "data"


def run(options: Options) -> int:
    """Writes; returns the exit status."""
    if not options.dataset:
        raise UserError("say what to write, e.g. --dataset gymsim/default; see --help")
    from video2emg.data import export, store

    dataset = store.open_dataset(options.dataset, options.data_dir, build_missing=False)
    print(f"{export.write(dataset, options.layout, options.out)} clips in {options.out}")
    return 0
