"""TFDS builder for a user's own folder, in which `clips.csv` names the files of each clip."""

import collections
import dataclasses
import functools
import hashlib
import typing
from pathlib import Path

import tensorflow_datasets as tfds

from video2emg.core.errors import UserError
from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.recordings.load import FPS, SIZE, load_clip
from video2emg.data.datasets.recordings.table import Row, find, read_table
from video2emg.data.datasets.splits import SPLITS, deal_subjects


@dataclasses.dataclass(kw_only=True)
class RecordingsConfig(tfds.core.BuilderConfig):
    """How the recordings are kept and split.

    Attributes:
      fps: most frames per second to keep.
      size: of the square frames, px.
      within_subject: divide the clips of each subject, in the order of the table, and not the
        subjects; results then say nothing about new people.
    """

    fps: float = FPS
    size: int = SIZE
    within_subject: bool = False

    @property
    def same_people(self) -> bool:
        """Whether the people of the test are also in training."""
        return self.within_subject


class Builder(ClipBuilder):
    """Recordings of a folder (`config.data.manual_dir`)."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: typing.ClassVar = {"1.0.0": "First."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with clips.csv; see docs/bring_your_data.md."
    BUILDER_CONFIGS: typing.ClassVar = [
        RecordingsConfig(name="default", description="10 Hz, 112 px, subjects held out."),
        RecordingsConfig(name="large", description="30 Hz, 224 px.", fps=30.0, size=224),
        RecordingsConfig(
            name="within_subject", description="10 Hz, 112 px, clips held out.", within_subject=True
        ),
    ]
    estimates_poses = True
    DEFAULT_CONFIG_NAME = "default"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[Row]]:
        """Rows of the table by split."""
        assert manual_dir is not None
        return split_rows(read_table(manual_dir), cls.builder_configs[config].within_subject)

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str, estimate_pose: str = "") -> Maker:
        """Reads the files of a row."""
        settings = cls.builder_configs[config]
        return functools.partial(
            load_clip, fps=settings.fps, size=settings.size, estimate_pose=estimate_pose
        )

    @staticmethod
    def fingerprint(manual_dir: Path) -> str:
        """Changes with the table, and with the size of a file that it names."""
        digest = hashlib.sha256(find(manual_dir).read_bytes())
        for row in read_table(manual_dir):
            for file in row.files:
                for path in sorted(file.iterdir()) if file.is_dir() else [file]:
                    digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:16]


def split_rows(rows: list[Row], within_subject: bool) -> dict[str, list[Row]]:
    """Rows by split: as the table says, else by subject, or within each subject.

    With one or two subjects nobody can be held out; all rows are then in `test`.

    Raises:
      UserError: the table gives splits for some rows only or shares a subject between them.
    """
    where = rows[0].where.rpartition(",")[0]
    has_split = {bool(row.split) for row in rows}
    if len(has_split) == 2:
        raise UserError(f"{where}, split: give it for all rows or for none")
    parts: dict[str, list[Row]] = {split: [] for split in SPLITS}
    people = {row.subject for row in rows}
    if has_split == {True}:
        for row in rows:
            parts[row.split].append(row)
        shared = {row.subject for row in parts["train"]} & {
            row.subject for part in ("validation", "test") for row in parts[part]
        }
        if shared and not within_subject:
            raise UserError(
                f"{where}, split: {sorted(shared)[0]!r} is in train and held out; such results say "
                "nothing about new people. If you want that: recordings/within_subject"
            )
    elif within_subject:
        clips = collections.defaultdict(list)
        for row in rows:
            clips[row.subject].append(row)
        for rows_of_subject in clips.values():
            count = len(rows_of_subject)
            first, second = round(0.6 * count), round(0.8 * count)
            parts["train"] += rows_of_subject[:first]
            parts["validation"] += rows_of_subject[first:second]
            parts["test"] += rows_of_subject[second:]
    else:
        for split, members in deal_subjects(sorted(people)).items():
            parts[split] = [row for row in rows if row.subject in members]
    return parts
