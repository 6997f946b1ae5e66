"""FLEX's files on disk: names, shapes, and facts that the files do not contain.

    Split_4/split_4_{train,test}_list.mat        rows [action 1-20, sample, raw score]
    A<nn>/<nnn>/View-<n>/img_<00001…>.JPG        103 frames per repetition
    Skeleton/A<nn>/<nnn>/skeleton_points.csv     header, 103 rows × 63 (21 joints)
    EMG/A<nn>/<nnn>/EMG.csv                      no header, 4 columns, or 2 (A07, A17-A19)

The authors' code reads the columns of a repetition by its action: two muscles of the left and the
same two of the right side, or one muscle left and right where there are two columns.

The user may add two files: `flex.yaml` (see `Facts`) and `subjects.csv` (see `people`).
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import scipy.io

from video2emg.core.errors import UserError
from video2emg.data.datasets import facts as facts_lib
from video2emg.data.datasets import poses

ROWS = 103
ACTIONS = tuple(f"A{n:02d}" for n in range(1, 21))
ONE_MUSCLE = ("A07", "A17", "A18", "A19")  # the authors' code reads columns 0 and 1 of these
LISTS = {"train": "consolidated_train_list", "test": "consolidated_test_list"}
FACTS = "flex.yaml"


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts that the files do not contain, and on which published sources disagree.

    Each can be set in `flex.yaml`.

    Attributes:
      emg_rate: Hz; the paper's page says 2000, the authors' code 200, a plot about 1000.
      emg_unit: not published.
      emg_kind: `raw`, or `envelope` if the files hold a rectified and smoothed signal.
      frame_rate: of the 103 frames, Hz; None spreads them evenly over the EMG's duration. The
        cameras ran at 60 Hz (inferred), but each repetition was resampled to 103 frames.
      pose_scale: m per unit of the skeleton files; not published.
      pose_axes: the skeleton files' axes that point forward, left and up; not published.
      views: name by folder; of the cameras only the front one's place is published.
      actions: name by code; most are not published.
      muscles: channel names in the order of EMG.csv, by code; not published. Without them, channels
        are numbered.
      simulated: whether the files were written from simulated recordings.
    """

    emg_rate: float = 200.0
    emg_unit: str = "unknown"
    emg_kind: str = "raw"
    frame_rate: float | None = None
    pose_scale: float = 1.0
    pose_axes: str = "x y z"
    views: dict[str, str] = dataclasses.field(default_factory=lambda: {"View-1": "front"})
    actions: dict[str, str] = dataclasses.field(default_factory=dict)
    muscles: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    simulated: bool = False


@dataclasses.dataclass(frozen=True)
class Sample:
    """One repetition: action code, number within it, raw score."""

    action: str
    number: int
    score: float

    @property
    def folder(self) -> Path:
        """`A01/001`."""
        return Path(self.action) / f"{self.number:03d}"


def read_facts(root: Path) -> Facts:
    """Reads `flex.yaml`; the defaults if there is none."""
    path = root / FACTS
    facts = facts_lib.read_facts(path, Facts)
    for key in ("emg_rate", "pose_scale", "frame_rate"):
        value = getattr(facts, key)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{path}, {key}: {value!r} is not a positive number")
    if facts.emg_kind not in ("raw", "envelope"):
        raise UserError(f"{path}, emg_kind: {facts.emg_kind!r} is not raw or envelope")
    poses.axes(facts.pose_axes, f"{path}, pose_axes")
    for key in ("actions", "muscles"):
        if unknown := sorted(set(getattr(facts, key)) - set(ACTIONS)):
            raise UserError(f"{path}, {key}: {unknown[0]!r} is not a code, A01 to A20")
    if len(set(facts.views.values())) < len(facts.views):
        raise UserError(f"{path}, views: two folders have the same name")
    facts_lib.check_muscles(path, facts.muscles)
    return facts


def read_lists(root: Path) -> dict[str, list[Sample]]:
    """The official lists.

    Raises:
      UserError: a file is missing or not what it should be, or a sample is listed twice.
    """
    lists: dict[str, list[Sample]] = {}
    listed: set[tuple[str, int]] = set()
    for split, variable in LISTS.items():
        path = root / "Split_4" / f"split_4_{split}_list.mat"
        if not path.is_file():
            raise UserError(
                f"{path}: no such file; config.data.manual_dir must be the folder with "
                "Split_4, A01 …, Skeleton and EMG (docs/datasets.md)"
            )
        try:
            table = np.asarray(scipy.io.loadmat(path)[variable], float)
        except Exception as error:
            raise UserError(f"{path}: expected a matrix {variable!r} ({error})") from None
        if table.ndim != 2 or table.shape[1] != 3:
            raise UserError(
                f"{path}, {variable}: expected rows [action, sample, score], got {table.shape}"
            )
        lists[split] = []
        for row, (action, number, score) in enumerate(table):
            if action not in range(1, 21) or number != int(number) or not 0 <= score <= 100:
                raise UserError(
                    f"{path}, row {row + 1}: {action:g}, {number:g}, {score:g} is not "
                    "[action 1-20, sample, score 0-100]"
                )
            sample = Sample(ACTIONS[int(action) - 1], int(number), float(score))
            key = (sample.action, sample.number)
            if key in listed:
                raise UserError(f"{path}, row {row + 1}: {sample.folder} is listed twice")
            listed.add(key)
            lists[split].append(sample)
    return lists
