"""Clips of any dataset → MIA's layout on disk, so that code written for MIA runs unchanged.

A clip is cut into windows of three seconds; a shorter rest is lost. The layout cannot hold
pictures, loads, scores, phases, error labels, torques, MVC and changes within 0.1 s. The pose is
written as the joints of BODY_25 relative to the hips (VIBE estimates no translation). `mia.yaml`
keeps names and units for the builder of this package; MIA's code ignores it.
"""

import collections
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from video2emg.core import emg as emg_lib
from video2emg.core import skeleton as pose_lib
from video2emg.core import units, vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.core.files import new_folder, write_atomically, write_text
from video2emg.data.datasets.mia import layout

# Column of each muscle that MIA has; other muscles get a free column.
_COLUMN = {
    "quadriceps": 0,
    "rectus_femoris": 0,
    "vastus_lateralis": 0,
    "vastus_medialis": 0,
    "hamstrings": 1,
    "biceps_femoris": 1,
    "semitendinosus": 1,
    "latissimus_dorsi": 2,
    "biceps_brachii": 3,
}

# Arrays that the authors' loader opens and that clips do not contain, with their shapes (that of
# joints2dsmpl is not published).
_UNKNOWN = {
    "joints2d": (49, 2),
    "joints2dsmpl": (49, 2),
    "pose": (72,),
    "betas": (10,),
    "predcam": (3,),
    "origcam": (4,),
    "bboxes": (4,),
    "verts": (6890, 3),
}

_README = f"""Written by video2emg in the layout of Muscles in Action (arXiv 2212.02978).

emgvalues.npy and joints3d.npy hold data. Zero, because it is not known: {", ".join(_UNKNOWN)}, the
joints from 25 on, other joints while they are not known, and the columns of emgvalues.npy that are
null in the muscles of mia.yaml. verts.npy is a hole in the file system, without size.
EMG is an envelope at 10 Hz in mia.yaml's emg_unit, not rounded to whole numbers.
"""


def to_mia(splits: Mapping[str, Iterable[Clip]], root: Path) -> int:
    """Writes clips with a pose and up to four muscles a side.

    Args:
      splits: `test` becomes the tree `val`; `train` and `validation` become `train`.
      root: an empty or missing folder.

    Returns:
      Number of windows written.

    Raises:
      UserError: the folder is not empty, or a clip does not fit the layout.
    """
    with new_folder(root) as folder:
        return _Writer(folder).write(splits)


class _Writer:
    def __init__(self, root: Path):
        self._root = root
        self._people: dict[str, str] = {}
        self._muscles: dict[str, list[str | None]] = {}
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._equipment: dict[str, str] = {}  # by exercise
        self._common: dict[str, Any] = {}  # what the layout holds once, by key of mia.yaml

    def write(self, splits: Mapping[str, Iterable[Clip]]) -> int:
        lists: dict[str, list[str]] = {tree: [] for tree in layout.TREES}
        too_short = 0
        for split, clips in splits.items():
            tree = "val" if split == "test" else "train"
            for clip in clips:
                keys = list(self._write_clip(clip, tree))
                lists[tree] += keys
                too_short += not keys
        if not any(lists.values()):
            raise UserError(f"no clip has {layout.FRAMES / layout.RATE:g} s of pose and EMG")
        if too_short:
            print(f"{too_short} clips are too short for a window and left out", file=sys.stderr)
        if empty := [tree for tree, keys in lists.items() if not keys]:
            raise UserError(f"no clip for {empty[0]}: MIA's code needs both trees")
        for name, tree in (("train", "train"), ("val", "val"), ("valold", "val")):
            lines = [f"{layout.FOLDER}/{key}\n" for key in lists[tree]]
            write_text(self._root / "datasetsplits" / f"{name}.txt", "".join(lines))
        facts = {
            "emg_unit": self._common["emg_unit"],
            "simulated": self._common["simulated"],
            "subjects": {folder: name for name, folder in self._people.items() if folder != name},
            "muscles": {a: m for a, m in self._muscles.items() if m != list(layout.MUSCLES)},
            "equipment": {
                a: name for a, name in self._equipment.items() if name != layout.equipment_of(a)
            },
        }
        write_text(self._root / layout.FACTS, yaml.safe_dump(facts, sort_keys=True))
        write_text(self._root / "README.txt", _README)
        return sum(map(len, lists.values()))

    def _write_clip(self, clip: Clip, tree: str) -> Iterator[str]:
        """Writes the windows of one clip; yields their keys."""
        where = f"clip {clip.clip_id!r}"
        if not clip.joints or not clip.muscles:
            raise UserError(f"{where}: has no {'EMG' if clip.joints else 'pose'}; MIA needs both")
        columns = self._muscles.setdefault(clip.action, columns_of(clip))
        if columns != columns_of(clip):
            raise UserError(
                f"{where}, field muscles: differ from those of other clips of {clip.action}"
            )
        equipment = str(clip.provenance.get("equipment", ""))
        if self._equipment.setdefault(clip.action, equipment) != equipment:
            raise UserError(
                f"{where}: its equipment is {equipment or 'not told'}, that of other clips of "
                f"{clip.action} {self._equipment[clip.action] or 'not told'}; the layout holds one "
                "for all"
            )
        name = pose_lib.name_of(clip.joints, f"{where}, field joints")
        pose, _ = pose_lib.convert(clip.pose, name, "openpose_25")
        hips = [pose_lib.OPENPOSE_25.index(f"{side}_hip") for side in vocabulary.SIDES]
        pose = (pose - pose[:, hips].mean(1, keepdims=True)) @ layout.AXES
        scale = 1e6 * (units.volts(clip.emg_unit) or 1e-6)
        for key, value in (
            ("emg_unit", "uV" if units.volts(clip.emg_unit) else clip.emg_unit),
            ("simulated", bool(clip.provenance.get("simulated", False))),
        ):
            if self._common.setdefault(key, value) != value:
                raise UserError(
                    f"{where}: its {key} is {value}, but {self._common[key]} in others; the layout "
                    "holds one for all"
                )
        envelope = scale * emg_lib.clip_envelope(clip).astype(np.float64)
        for times in windows(clip):
            emg = np.zeros((layout.FRAMES, layout.CHANNELS))
            recorded = [columns.index(muscle) for muscle in clip.muscles]
            emg[:, recorded], _ = emg_lib.resample(envelope, clip.emg_time, times)
            joints = np.zeros((layout.FRAMES, layout.JOINTS, 3), np.float32)
            flat, _ = emg_lib.resample(pose.reshape(len(pose), -1), clip.pose_time, times)
            joints[:, : pose.shape[1]] = np.nan_to_num(flat.reshape(layout.FRAMES, -1, 3))
            yield self._write_window(clip, tree, emg, joints)

    def _write_window(self, clip: Clip, tree: str, emg: np.ndarray, joints: np.ndarray) -> str:
        subject = self._folder_of(clip.subject)
        key = f"{tree}/{subject}/{clip.action}/{self._counts[tree, subject]}"
        sample = layout.sample_of(key)
        if sample is None or sample.key != key:
            raise UserError(
                f"clip {clip.clip_id!r}, field action: {clip.action!r} is no folder "
                "name of letters, digits, _ and -"
            )
        self._counts[tree, subject] += 1
        folder = self._root / layout.FOLDER / key
        for name, values in (("emgvalues", emg), ("joints3d", joints)):
            write_atomically(folder / f"{name}.npy", lambda f, x=values: np.save(f, x))
        for name, shape in _UNKNOWN.items():
            np.lib.format.open_memmap(
                folder / f"{name}.npy", "w+", np.float32, (layout.FRAMES, *shape)
            )
        return key

    def _folder_of(self, subject: str) -> str:
        """`Subject<k>`: the subject's own name if it has this form, else the next free one."""
        if subject not in self._people:
            taken, k = set(self._people.values()), 0
            while f"Subject{k}" in taken:
                k += 1
            keep = re.fullmatch(r"Subject[0-9]{1,6}", subject) and subject not in taken
            self._people[subject] = subject if keep else f"Subject{k}"
        return self._people[subject]


def windows(clip: Clip) -> Iterator[np.ndarray]:
    """Instants [30] of each window, s; the last may be half a sample after the recording."""
    start = max(clip.emg_time[0], clip.pose_time[0])
    end = min(clip.emg_time[-1], clip.pose_time[-1]) + 0.5 / layout.RATE
    window = np.arange(layout.FRAMES) / layout.RATE
    while start + window[-1] <= end:
        yield start + window
        start += layout.FRAMES / layout.RATE


def columns_of(clip: Clip) -> list[str | None]:
    """The muscle of each column of emgvalues.npy, left before right, in MIA's order if possible.

    Raises:
      UserError: more than four muscles on a side.
    """
    muscles = list(dict.fromkeys(vocabulary.split_channel(name)[1] for name in clip.muscles))
    half = layout.CHANNELS // 2
    columns: list[str | None] = [None] * half
    if len(muscles) > half:
        raise UserError(f"clip {clip.clip_id!r}: {len(muscles)} muscles; MIA has {half} a side")
    others = []
    for muscle in muscles:
        column = _COLUMN.get(muscle)
        if column is None or columns[column]:
            others.append(muscle)
        else:
            columns[column] = muscle
    for muscle in others:
        columns[columns.index(None)] = muscle
    return [
        name if (name := f"{side}_{muscle}") in clip.muscles else None
        for side in vocabulary.SIDES
        for muscle in columns
    ]
