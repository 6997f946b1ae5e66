"""Writes any clips in FLEX's or MIA's layout, so that code for those datasets runs unchanged.

    python -m video2emg.data.export --name gymsim/default --layout mia --out mia_tree

The modules `flex.write` and `mia.write` say what each layout cannot hold.
"""

import argparse
import sys
from pathlib import Path

import tqdm

from video2emg.core.errors import UserError
from video2emg.data import store
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.datasets.mia.write import to_mia

LAYOUTS = {"flex": to_flex, "mia": to_mia}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--name", required=True, help="dataset, e.g. gymsim/default")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--manual_dir", help="folder of the original files, if it is made of some")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="flex")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        dataset = store.open_dataset(args.name, args.data_dir, args.manual_dir)
        splits = {split: tqdm.tqdm(clips, desc=split) for split, clips in dataset.splits.items()}
        print(f"{LAYOUTS[args.layout](splits, args.out)} clips in {args.out}")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
