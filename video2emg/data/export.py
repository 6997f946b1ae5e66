"""Any Clips → FLEX's layout on disk, so that code written for FLEX runs on them unchanged.

    python -m video2emg.data.export --name gymsim/default --data_dir data --out flex_tree

What the layout cannot hold is lost: the true frame times (103 frames are taken evenly over the
EMG's duration), torques, activations, phases, error labels, heart rate and MVC. `flex.yaml` and
`subjects.csv` keep rates, names, people and loads for our own builder; FLEX's code ignores them.
"""

import argparse
import collections
import csv
import io
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import scipy.io
import tqdm
import yaml

from video2emg import vocabulary
from video2emg.data import emg as emg_lib
from video2emg.data import pose as pose_lib
from video2emg.data import store
from video2emg.data import video as video_lib
from video2emg.data.clip import Clip
from video2emg.data.datasets.flex import layout
from video2emg.errors import UserError
from video2emg.files import write_atomically, write_text


def to_flex(splits: Mapping[str, Iterable[Clip]], root: Path) -> int:
    """Writes clips of up to 20 actions with four or two channels and, if any, FLEX-21 joints.

    Args:
      splits: `train`, `test`, and `validation`, which joins the training list.
      root: an empty or missing folder.

    Returns:
      How many clips were written.

    Raises:
      UserError: the folder is not empty, or a clip does not fit the layout.
    """
    if root.exists() and any(root.iterdir()):
        raise UserError(f"{root} is not empty; choose another folder")
    codes: dict[str, str] = {}
    counts: collections.Counter[str] = collections.Counter()
    muscles: dict[str, list[str]] = {}
    lists: dict[str, list[list[float]]] = {"train": [], "test": []}
    rates, people = set(), []
    for split, clips in splits.items():
        for clip in clips:
            code = codes.setdefault(clip.action, f"A{len(codes) + 1:02d}")
            if code not in layout.ACTIONS:
                raise UserError(f"clip {clip.clip_id!r}: more than {len(layout.ACTIONS)} actions")
            if muscles.setdefault(code, list(clip.muscles)) != list(clip.muscles):
                raise UserError(f"clip {clip.clip_id!r}, field muscles: differ from those of other "
                                f"clips of {clip.action}")  # fmt: skip
            counts[code] += 1
            sample = layout.Sample(code, counts[code], clip.score)
            _write(clip, sample, root)
            row = [float(code[1:]), float(sample.number), clip.score]
            lists["test" if split == "test" else "train"].append(row)
            rates.add(clip.emg_rate)
            load = "" if np.isnan(clip.load) else f"{clip.load:g}"
            people.append([code, sample.number, clip.subject, load])
    if len(rates) != 1:
        raise UserError(f"the clips have EMG rates of {sorted(rates)} Hz; the layout holds one")
    for name, rows in lists.items():
        path = root / "Split_4" / f"split_4_{name}_list.mat"
        matrix = io.BytesIO()
        scipy.io.savemat(matrix, {layout.LISTS[name]: np.array(rows)})
        write_atomically(path, lambda file, matrix=matrix: file.write(matrix.getvalue()))
    facts = {"emg_rate": rates.pop(), "actions": {c: a for a, c in codes.items()},
             "muscles": muscles}  # fmt: skip
    write_text(root / layout.FACTS, yaml.safe_dump(facts, sort_keys=True))
    table = io.StringIO()
    csv.writer(table).writerows([["action", "sample", "subject", "load"], *people])
    write_text(root / layout.SUBJECTS, table.getvalue())
    return len(people)


def _write(clip: Clip, sample: layout.Sample, root: Path) -> None:
    if len(clip.muscles) not in (2, 4):
        raise UserError(f"clip {clip.clip_id!r}: {len(clip.muscles)} EMG channels; FLEX has 4 "
                        "or 2")  # fmt: skip
    rows = [",".join(f"{value:.9g}" for value in line) for line in clip.emg]
    write_text(root / "EMG" / sample.folder / "EMG.csv", "\n".join(rows) + "\n")
    seconds = len(clip.emg) / clip.emg_rate
    times = clip.emg_start + np.arange(layout.ROWS) * seconds / layout.ROWS
    if clip.joints:
        name = next((k for k, v in pose_lib.SKELETONS.items() if v == clip.joints), None)
        if name is None:
            raise UserError(f"clip {clip.clip_id!r}, field joints: not a named skeleton")
        pose, _ = pose_lib.convert(clip.pose, name, "flex_21")
        flat, _ = emg_lib.resample(pose.reshape(len(pose), -1), clip.pose_time, times)
        header = [f"{joint}_{axis}" for joint in vocabulary.FLEX_21 for axis in "xyz"]
        rows = [",".join(header), *(",".join(f"{v:.9g}" for v in line) for line in flat)]
        path = root / "Skeleton" / sample.folder / "skeleton_points.csv"
        write_text(path, "\n".join(rows) + "\n")
    for v in range(len(clip.views)):
        chosen, _ = video_lib.nearest_frames(clip, v, times)
        folder = root / sample.folder / f"View-{v + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(chosen):
            (folder / f"img_{i + 1:05d}.JPG").write_bytes(clip.frames[frame])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--name", required=True, help="dataset, e.g. gymsim/default")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        dataset = store.open_dataset(args.name, args.data_dir)
        splits = {split: tqdm.tqdm(clips, desc=split) for split, clips in dataset.splits.items()}
        print(f"{to_flex(splits, args.out)} clips in {args.out}")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
