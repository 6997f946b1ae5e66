"""FLEX's files on disk: names, shapes, and facts that the files do not contain.

    Split_4/split_4_{train,test}_list.mat        rows [action 1-20, sample, raw score]
    A<nn>/<nnn>/View-<n>/img_<00001…>.JPG        103 frames per repetition
    Skeleton/A<nn>/<nnn>/skeleton_points.csv     header, 103 rows × 63 (21 joints)
    EMG/A<nn>/<nnn>/EMG.csv                      no header, 4 columns, or 2 (A07, A17-A19)

The user may add two files: `flex.yaml` (see `Facts`) and `subjects.csv`.
"""

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from video2emg.core.errors import UserError
from video2emg.data.datasets import facts as facts_lib
from video2emg.data.readers.text import decode

ROWS = 103
ACTIONS = tuple(f"A{n:02d}" for n in range(1, 21))
LISTS = {"train": "consolidated_train_list", "test": "consolidated_test_list"}
FACTS, SUBJECTS = "flex.yaml", "subjects.csv"


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts that the files do not contain, and on which published sources disagree.

    Each can be set in `flex.yaml`.

    Attributes:
      emg_rate: Hz; the paper's page says 2000, the authors' code 200, a plot about 1000.
      emg_unit: not published.
      frame_rate: of the 103 frames, Hz; None spreads them evenly over the EMG's duration. The
        cameras ran at 60 Hz (inferred), but each repetition was resampled to 103 frames.
      pose_scale: m per unit of the skeleton files; not published.
      actions: name by code; most are not published.
      muscles: channel names in the order of EMG.csv, by code; not published. Without them, channels
        are numbered.
      simulated: whether the files were written from simulated recordings.
    """

    emg_rate: float = 200.0
    emg_unit: str = "unknown"
    frame_rate: float | None = None
    pose_scale: float = 1.0
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
    for key in ("emg_rate", "pose_scale"):
        value = getattr(facts, key)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise UserError(f"{path}, {key}: {value!r} is not a positive number")
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


def read_subjects(root: Path) -> dict[tuple[str, int], dict[str, str]]:
    """Rows of `subjects.csv` by action and sample; empty without the file.

    Its columns are action, sample, subject, and optionally load (kg).
    """
    path = root / SUBJECTS
    if not path.exists():
        return {}
    reader = csv.DictReader(io.StringIO(decode(path.read_bytes(), path)))
    if not {"action", "sample", "subject"} <= set(reader.fieldnames or ()):
        raise UserError(f"{path}: expected the columns action, sample, subject (and load)")
    table = {}
    for row in reader:
        try:
            table[row["action"], int(row["sample"])] = row
        except (TypeError, ValueError):
            raise UserError(f"{path}, line {reader.line_num}: sample is not a number") from None
    return table


def read_csv(path: Path, header: bool, widths: tuple[int, ...]) -> np.ndarray | None:
    """A table of numbers, [N, one of `widths`]; None if the file is missing."""
    if not path.is_file():
        return None
    lines = decode(path.read_bytes(), path).splitlines()[1 if header else 0 :]
    rows: list[Any] = []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            rows.append([float(cell) for cell in line.split(",")])
        except ValueError:
            rows.append([])
        if len(rows[-1]) not in widths or len(rows[-1]) != len(rows[0]):
            expected = " or ".join(map(str, widths))
            line_number = i + 1 + header
            raise UserError(f"{path}, line {line_number}: expected {expected} numbers in each row")
    if len(rows) < 2:
        raise UserError(f"{path}: fewer than two rows of numbers")
    return np.array(rows)
