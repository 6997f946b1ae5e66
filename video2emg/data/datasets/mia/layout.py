"""MIA's files on disk: names, shapes, and facts that the files do not contain.

    MIADatasetOfficial/{train,val}/Subject<k>/<Exercise>/<id>/
        emgvalues.npy    [30, 8]       rectified and smoothed, whole numbers up to 414
        joints3d.npy     [30, 49, 3]   of VIBE, m, axes of the camera; the first 25 are BODY_25
        joints2d.npy, joints2dsmpl.npy, pose.npy, betas.npy, verts.npy, predcam.npy, origcam.npy,
        bboxes.npy       read by the authors' loader, not by this package

at 10 Hz. `train` holds four and `val` one of the five minutes of each (subject, exercise). Ids
start again in each folder, so that a clip is identified by tree, subject, exercise and id together.
Beside the tree there may be the authors' split lists and a file by the user, `mia.yaml` (see
`Facts`).
"""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.equipment import check_equipment
from video2emg.core.errors import UserError
from video2emg.data.datasets import facts as facts_lib
from video2emg.data.readers.text import decode

FRAMES, CHANNELS, JOINTS = 30, 8, 49
RATE = 10.0  # Hz, of pose and EMG
FOLDER = "MIADatasetOfficial"
TREES = ("train", "val")
FACTS = "mia.yaml"
EXERCISES = vocabulary.names(
    """
    ElbowPunch FrontKick FrontPunch HighKick HookPunch JumpingJack KneeKick LegBack LegCross
    RonddeJambe Running Shuffle SideLunges SlowSkater Squat
    """
)
SUBJECTS = tuple(f"Subject{k}" for k in range(10))

# Columns of emgvalues.npy, in the order of the authors' renderer (left first). The list of names in
# their loader (right first, with glutes) is never used there and is not the order of the data.
MUSCLES = tuple(
    f"{side}_{muscle}"
    for side in vocabulary.SIDES
    for muscle in ("quadriceps", "hamstrings", "latissimus_dorsi", "biceps_brachii")
)

# VIBE's camera axes (right, down, away) → towards the camera, its right, up: a person who faces the
# camera then looks along x, with the left side towards y.
AXES = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], np.float32)

_PARTS = (r"train|val", r"Subject[0-9]{1,6}", r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", r"[0-9]{1,9}")


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts that the files do not contain; each can be set in `mia.yaml`.

    Attributes:
      emg_unit: not published; µV is plausible.
      simulated: whether the files were written from simulated recordings.
      subjects: names of people by folder, if they differ from the folder's.
      muscles: names of the eight columns by exercise, if they are not `MUSCLES`; null for a column
        that was not recorded.
      equipment: where the load is, by exercise (`core.equipment.EQUIPMENT`). By default there is
        none in MIA's own exercises; names of other exercises may say it.
    """

    emg_unit: str = "unknown"
    simulated: bool = False
    subjects: dict[str, str] = dataclasses.field(default_factory=dict)
    muscles: dict[str, list[str | None]] = dataclasses.field(default_factory=dict)
    equipment: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, order=True)
class Sample:
    """A clip of three seconds, by the four parts of its path."""

    tree: str
    subject: str
    exercise: str
    number: str

    @property
    def key(self) -> str:
        """`train/Subject5/ElbowPunch/1014`; unique."""
        return "/".join(dataclasses.astuple(self))


def sample_of(path: str) -> Sample | None:
    """The clip that the last four parts of a path name; None if they do not name a clip.

    The parts are plain names, so that no path can lead out of the tree.
    """
    parts = [part for part in path.strip().replace("\\", "/").split("/") if part][-4:]
    if len(parts) < 4 or not all(map(re.fullmatch, _PARTS, parts)):
        return None
    return Sample(*parts)


def read_facts(root: Path) -> Facts:
    """Reads `mia.yaml`; the defaults if there is none."""
    path = root / FACTS
    facts = facts_lib.read_facts(path, Facts)
    facts_lib.check_muscles(path, facts.muscles)
    for exercise, names in facts.muscles.items():
        if len(names) != CHANNELS or not any(names):
            raise UserError(f"{path}, muscles, {exercise}: expected {CHANNELS} names or nulls")
    for folder, name in facts.subjects.items():
        if not name:
            raise UserError(f"{path}, subjects, {folder}: the name is empty")
    for exercise, name in facts.equipment.items():
        check_equipment(name, f"{path}, equipment, {exercise}")
    return facts


def find_tree(root: Path) -> Path:
    """The folder that holds `train` and `val`: `root`, or MIADatasetOfficial in it.

    Raises:
      UserError: there is none.
    """
    for folder in (root / FOLDER, root):
        if any((folder / tree).is_dir() for tree in TREES):
            return folder
    raise UserError(
        f"{root}: neither {FOLDER}/train nor train is in it; config.data.manual_dir "
        f"must be the folder with {FOLDER} (docs/datasets.md)"
    )


def scan(root: Path) -> list[Sample]:
    """All clips of the tree, sorted.

    Raises:
      UserError: a folder in it has an unexpected name, or there is no clip.
    """
    tree = find_tree(root)
    paths = [name for name in TREES if (tree / name).is_dir()]
    for _ in range(3):
        paths = [f"{path}/{name}" for path in paths for name in _folders(tree / path)]
    samples = []
    for path in paths:
        sample = sample_of(path)
        if sample is None:
            raise UserError(f"{tree / path}: not called like train/Subject0/Squat/12")
        samples.append(sample)
    if not samples:
        raise UserError(f"{tree}: no clip in it (expected {TREES[0]}/Subject0/Squat/12/…)")
    return sorted(samples)


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]


def equipment_of(exercise: str) -> str:
    """Where the load is if nothing is told: there is none in MIA's own exercises."""
    return "none" if exercise in EXERCISES else ""


def read_list(path: Path) -> list[Sample]:
    """One of the authors' lists: a path per line, with any prefix and either kind of slash.

    Raises:
      UserError: a line is no such path.
    """
    samples: dict[Sample, None] = {}
    for i, line in enumerate(decode(path.read_bytes(), path).splitlines()):
        if not line.strip():
            continue
        sample = sample_of(line)
        if sample is None:
            raise UserError(
                f"{path}, line {i + 1}: {line.strip()[-60:]!r} does not end like "
                "train/Subject0/Squat/12"
            )
        samples[sample] = None
    return list(samples)


def read_array(path: Path, root: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """The numbers of an .npy file, float32.

    The file is mapped and its header is checked before anything is read, so that a wrong header
    allocates no memory. Pickled objects are refused.

    Args:
      path: the file.
      root: the folder in which it must be, also after links are followed.
      shape: expected; None for any length.

    Raises:
      UserError: no such file, no array of finite numbers, another shape, or outside `root`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{path}: lies outside {root}")
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise UserError(f"{path}: not an array ({' '.join(str(error).split())[:80]})") from None
    fits = len(mapped.shape) == len(shape) and all(
        b in (None, a) for a, b in zip(mapped.shape, shape, strict=True)
    )
    if mapped.dtype.kind not in "fiu" or not fits:
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        raise UserError(
            f"{path}: expected numbers [{expected}], got {mapped.dtype} {list(mapped.shape)}"
        )
    with np.errstate(over="ignore"):
        values = np.array(mapped, np.float32)
    if not np.isfinite(values).all():
        first = [int(i) for i in np.argwhere(~np.isfinite(values))[0]]
        raise UserError(
            f"{path}: {(~np.isfinite(values)).sum()} values are not finite, first at {first}"
        )
    return values
