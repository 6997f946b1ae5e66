"""Clips of any dataset → FLEX's layout on disk, so that code written for FLEX runs unchanged.

The layout cannot hold the true frame times (103 frames are taken evenly over the EMG's duration),
torques, activations, phases, error labels, heart rate and MVC. `flex.yaml` and `subjects.csv` keep
rates, names, people and loads for the builder of this package; FLEX's code ignores them.
"""

import collections
import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import scipy.io
import yaml

from video2emg.core import emg as emg_lib
from video2emg.core import skeleton as pose_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.core.files import new_folder, write_atomically, write_text
from video2emg.data import video as video_lib
from video2emg.data.datasets.flex import layout


def to_flex(splits: Mapping[str, Iterable[Clip]], root: Path) -> int:
    """Writes clips of up to 20 actions with four or two channels and, if any, FLEX-21 joints.

    Args:
      splits: `train`, `test`, and `validation`, which joins the training list.
      root: an empty or missing folder.

    Returns:
      Number of clips written.

    Raises:
      UserError: the folder is not empty, or a clip does not fit the layout.
    """
    with new_folder(root) as folder:
        return _write_tree(splits, folder)


def _write_tree(splits: Mapping[str, Iterable[Clip]], root: Path) -> int:
    codes: dict[str, str] = {}
    counts: collections.Counter[str] = collections.Counter()
    muscles: dict[str, list[str]] = {}
    lists: dict[str, list[list[float]]] = {"train": [], "test": []}
    rates, simulated, people = set(), set(), []
    for split, clips in splits.items():
        for clip in clips:
            code = codes.setdefault(clip.action, f"A{len(codes) + 1:02d}")
            if code not in layout.ACTIONS:
                raise UserError(f"clip {clip.clip_id!r}: more than {len(layout.ACTIONS)} actions")
            if muscles.setdefault(code, list(clip.muscles)) != list(clip.muscles):
                raise UserError(
                    f"clip {clip.clip_id!r}, field muscles: differ from those of other "
                    f"clips of {clip.action}"
                )
            counts[code] += 1
            sample = layout.Sample(code, counts[code], clip.score)
            _write_clip(clip, sample, root)
            row = [float(code[1:]), float(sample.number), clip.score]
            lists["test" if split == "test" else "train"].append(row)
            rates.add(clip.emg_rate)
            simulated.add(bool(clip.provenance.get("simulated", False)))
            load = "" if np.isnan(clip.load) else f"{clip.load:g}"
            people.append([code, sample.number, clip.subject, load])
    if len(rates) != 1:
        raise UserError(f"the clips have EMG rates of {sorted(rates)} Hz; the layout holds one")
    if len(simulated) != 1:
        raise UserError("some clips are simulated and some are not; the layout holds one kind")
    for name, rows in lists.items():
        path = root / "Split_4" / f"split_4_{name}_list.mat"
        matrix = io.BytesIO()
        scipy.io.savemat(matrix, {layout.LISTS[name]: np.array(rows)})
        write_atomically(path, lambda file, matrix=matrix: file.write(matrix.getvalue()))
    facts = {
        "emg_rate": rates.pop(),
        "actions": {c: a for a, c in codes.items()},
        "muscles": muscles,
        "simulated": simulated.pop(),
    }
    write_text(root / layout.FACTS, yaml.safe_dump(facts, sort_keys=True))
    table = io.StringIO()
    csv.writer(table).writerows([["action", "sample", "subject", "load"], *people])
    write_text(root / layout.SUBJECTS, table.getvalue())
    return len(people)


def _write_clip(clip: Clip, sample: layout.Sample, root: Path) -> None:
    if len(clip.muscles) not in (2, 4):
        raise UserError(f"clip {clip.clip_id!r}: {len(clip.muscles)} EMG channels; FLEX has 4 or 2")
    rows = [",".join(f"{value:.9g}" for value in line) for line in clip.emg]
    write_text(root / "EMG" / sample.folder / "EMG.csv", "\n".join(rows) + "\n")
    seconds = len(clip.emg) / clip.emg_rate
    times = clip.emg_start + np.arange(layout.ROWS) * seconds / layout.ROWS
    if clip.joints:
        name = pose_lib.name_of(clip.joints, f"clip {clip.clip_id!r}, field joints")
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
