"""Any clips → the layout of FLEX or MIA on disk, so that code written for those runs unchanged.

The modules `flex.write` and `mia.write` say what each layout cannot hold.
"""

from pathlib import Path

import tqdm

from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.datasets.mia.write import to_mia
from video2emg.data.store import Dataset

LAYOUTS = {"flex": to_flex, "mia": to_mia}


def write(dataset: Dataset, layout: str, out: str | Path) -> int:
    """Writes all splits of a dataset.

    Args:
      dataset: opened, see `data.store`.
      layout: one of `LAYOUTS`.
      out: folder that receives the files.

    Returns:
      How many clips were written.
    """
    splits = {split: tqdm.tqdm(clips, desc=split) for split, clips in dataset.splits.items()}
    return LAYOUTS[layout](splits, Path(out).expanduser())
