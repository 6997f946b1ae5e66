"""Clips of any dataset → FLEX's layout on disk, so that code written for FLEX runs unchanged.

The layout cannot hold the true frame times (103 frames are taken evenly over the EMG's duration),
torques, activations, phases, error labels, heart rate and MVC. `flex.yaml` and `subjects.csv` keep
rates, units, names, people and loads for the builder of this package; FLEX's code ignores them.
"""

import collections
import csv
import io
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
from video2emg.data.datasets.flex.people import SUBJECTS
from video2emg.data.datasets.flex.tables import JOINT_COLUMNS


def to_flex(splits: Mapping[str, Iterable[Clip]], root: Path) -> int:
    """Writes clips of up to 20 actions with four or two channels and, if any, FLEX-21 joints.

    Up to four of the actions may have two channels: FLEX has as many such codes.

    Args:
      splits: `train`, `test`, and `validation`, which joins the training list.
      root: an empty or missing folder.

    Returns:
      Number of clips written.

    Raises:
      UserError: the folder is not empty, there is no clip to train on or to test, or a clip does
        not fit the layout.
    """
    with new_folder(root) as folder:
        return _Writer(folder).write(splits)


class _Writer:
    def __init__(self, root: Path):
        self._root = root
        self._codes: dict[str, str] = {}
        self._counts: collections.Counter[str] = collections.Counter()
        self._columns: dict[str, list[str]] = {}
        self._folders: dict[str, str] = {}
        self._common: dict[str, Any] = {}  # what the layout holds once, by key of flex.yaml
        self._people: list[list[Any]] = []

    def write(self, splits: Mapping[str, Iterable[Clip]]) -> int:
        lists: dict[str, list[list[float]]] = {"train": [], "test": []}
        for split, clips in splits.items():
            for clip in clips:
                sample = self._write_clip(clip)
                row = [float(sample.action[1:]), float(sample.number), sample.score]
                lists["test" if split == "test" else "train"].append(row)
        for name, rows in lists.items():
            if not rows:
                raise UserError(f"no clip for {name}: FLEX's code needs a training and a test list")
            path = self._root / "Split_4" / f"split_4_{name}_list.mat"
            matrix = io.BytesIO()
            scipy.io.savemat(matrix, {layout.LISTS[name]: np.array(rows)})
            write_atomically(path, lambda file, matrix=matrix: file.write(matrix.getvalue()))
        facts = self._common | {
            "views": {folder: name for name, folder in self._folders.items()},
            "actions": {code: action for action, code in self._codes.items()},
            "muscles": self._columns,
        }
        write_text(self._root / layout.FACTS, yaml.safe_dump(facts, sort_keys=True))
        table = io.StringIO()
        csv.writer(table).writerows([["action", "sample", "subject", "load"], *self._people])
        write_text(self._root / SUBJECTS, table.getvalue())
        return len(self._people)

    def _write_clip(self, clip: Clip) -> layout.Sample:
        where = f"clip {clip.clip_id!r}"
        if not 0 <= clip.score <= 100:
            raise UserError(f"{where}, field score: {clip.score:g}; FLEX's lists hold one of 0-100")
        for key, value in (
            ("emg_rate", clip.emg_rate),
            ("emg_unit", clip.emg_unit),
            ("emg_kind", "envelope" if clip.emg_is_envelope else "raw"),
            ("simulated", bool(clip.provenance.get("simulated", False))),
        ):
            if self._common.setdefault(key, value) != value:
                raise UserError(
                    f"{where}: its {key} is {value}, but {self._common[key]} in others; the layout "
                    "holds one for all"
                )
        code = self._code_of(clip)
        columns = columns_of(clip, code)
        if self._columns.setdefault(code, columns) != columns:
            raise UserError(
                f"{where}, field muscles: differ from those of other clips of {clip.action}"
            )
        self._counts[code] += 1
        sample = layout.Sample(code, self._counts[code], clip.score)
        emg = clip.emg[:, [clip.muscles.index(name) for name in columns]]
        _write_emg(emg, self._root / "EMG" / sample.folder)
        seconds = len(clip.emg) / clip.emg_rate
        times = clip.emg_start + np.arange(layout.ROWS) * seconds / layout.ROWS
        if clip.joints:
            _write_pose(clip, times, self._root / "Skeleton" / sample.folder)
        # FLEX's code reads View-1 and View-2; the first is the front camera.
        for name in sorted(clip.views, key=lambda name: name != "front"):
            folder = self._folders.setdefault(name, f"View-{len(self._folders) + 1}")
            chosen, _ = video_lib.nearest_frames(clip, clip.views.index(name), times)
            _write_frames([clip.frames[i] for i in chosen], self._root / sample.folder / folder)
        load = "" if np.isnan(clip.load) else f"{clip.load:g}"
        self._people.append([code, sample.number, clip.subject, load])
        return sample

    def _code_of(self, clip: Clip) -> str:
        """The code of the clip's action: its own name if that is a code, else a free one.

        Actions with two channels get a code of which FLEX's code reads two columns; those with four
        get the others first.
        """
        if clip.action in self._codes:
            return self._codes[clip.action]
        two = len(clip.muscles) == 2
        one_muscle = [code for code in layout.ACTIONS if code in layout.ONE_MUSCLE]
        others = [code for code in layout.ACTIONS if code not in layout.ONE_MUSCLE]
        fitting = one_muscle if two else others + one_muscle
        free = [code for code in fitting if code not in self._codes.values()]
        if not free:
            raise UserError(
                f"clip {clip.clip_id!r}: more than {len(fitting)} actions"
                + (" with two EMG channels" if two else "")
            )
        self._codes[clip.action] = clip.action if clip.action in free else free[0]
        return self._codes[clip.action]


def columns_of(clip: Clip, code: str) -> list[str]:
    """The channels in the order of EMG.csv: the first muscle is where FLEX's code looks for it.

    Raises:
      UserError: the channels are not one or two muscles of both sides.
    """
    muscles = list(dict.fromkeys(vocabulary.split_channel(name)[1] for name in clip.muscles))
    by_muscle = [
        [vocabulary.channel(side, muscle) for side in vocabulary.SIDES] for muscle in muscles
    ]
    if len(muscles) > 2 or sorted(itertools.chain(*by_muscle)) != sorted(clip.muscles):
        raise UserError(
            f"clip {clip.clip_id!r}: {len(clip.muscles)} EMG channels ({', '.join(clip.muscles)}); "
            "FLEX has one or two muscles, left and right"
        )
    if code in layout.ONE_MUSCLE:
        return list(itertools.chain(*by_muscle))
    return [name for side in zip(*by_muscle, strict=True) for name in side]


def _write_emg(emg: np.ndarray, folder: Path) -> None:
    rows = [",".join(f"{value:.9g}" for value in line) for line in emg]
    write_text(folder / "EMG.csv", "\n".join(rows) + "\n")


def _write_pose(clip: Clip, times: np.ndarray, folder: Path) -> None:
    name = pose_lib.name_of(clip.joints, f"clip {clip.clip_id!r}, field joints")
    pose, _ = pose_lib.convert(clip.pose, name, "flex_21")
    flat, _ = emg_lib.resample(pose.reshape(len(pose), -1), clip.pose_time, times)
    rows = [",".join(JOINT_COLUMNS), *(",".join(f"{v:.9g}" for v in line) for line in flat)]
    write_text(folder / "skeleton_points.csv", "\n".join(rows) + "\n")


def _write_frames(frames: list[bytes], folder: Path) -> None:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        (folder / f"img_{i + 1:05d}.JPG").write_bytes(frame)
