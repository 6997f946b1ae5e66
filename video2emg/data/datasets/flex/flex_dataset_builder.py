"""TFDS builder for FLEX, from the files that its authors give on request."""

import dataclasses
import functools
import typing
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.flex import layout
from video2emg.data.datasets.flex.load import load_clip
from video2emg.data.datasets.flex.people import SUBJECTS, Person, read_subjects
from video2emg.data.datasets.splits import SPLITS, VALIDATION_SHARE, deal_subjects

People = dict[tuple[str, int], Person]


@dataclasses.dataclass(kw_only=True)
class FlexConfig(tfds.core.BuilderConfig):
    """How the repetitions are split.

    Attributes:
      official: by the published lists, which hold out repetitions, not people.
    """

    official: bool = False

    @property
    def same_people(self) -> bool:
        """Whether the people of the test are also in training."""
        return self.official


class Builder(ClipBuilder):
    """FLEX, from `config.data.manual_dir`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: typing.ClassVar = {"1.0.0": "First."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "FLEX is given on request by its authors (arXiv 2506.03198); see docs/datasets.md."
    )
    BUILDER_CONFIGS: typing.ClassVar = [
        FlexConfig(name="cross_subject", description="People held out; needs subjects.csv."),
        FlexConfig(
            name="official",
            description="The published lists. LEAKS: the same people are in training and test.",
            official=True,
        ),
    ]
    estimates_poses = True
    DEFAULT_CONFIG_NAME = "cross_subject"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[layout.Sample]]:
        """Samples by split."""
        assert manual_dir is not None
        lists = layout.read_lists(manual_dir)
        if cls.builder_configs[config].official:
            return _official(lists)
        people = read_subjects(manual_dir)
        return _by_subject([*lists["train"], *lists["test"]], people, manual_dir)

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str, estimate_pose: str = "") -> Maker:
        """Reads a sample's files."""
        assert manual_dir is not None
        facts, people = layout.read_facts(manual_dir), read_subjects(manual_dir)
        return functools.partial(_load, manual_dir, facts, people, estimate_pose)


def _load(
    root: Path, facts: layout.Facts, people: People, estimate_pose: str, sample: layout.Sample
) -> Clip:
    known = people.get((sample.action, sample.number), Person("unknown"))
    return load_clip(root, sample, facts, known, estimate_pose)


def _official(lists: dict[str, list[layout.Sample]]) -> dict[str, list[layout.Sample]]:
    """The published test list, and a random part of the training list for validation."""
    train = lists["train"]
    order = np.random.default_rng(0).permutation(len(train))
    validation = set(order[: max(round(VALIDATION_SHARE * len(order)), 1)].tolist())
    return {
        "train": [s for i, s in enumerate(train) if i not in validation],
        "validation": [s for i, s in enumerate(train) if i in validation],
        "test": lists["test"],
    }


def _by_subject(
    samples: list[layout.Sample], people: People, root: Path
) -> dict[str, list[layout.Sample]]:
    path = root / SUBJECTS
    if not people:
        raise UserError(
            f"{path}: no such file; without it nobody can be held out. Write one (action, sample, "
            "subject), or use flex/official, whose lists leak people between training and test"
        )
    unknown = [s for s in samples if (s.action, s.number) not in people]
    if unknown:
        first = unknown[0]
        raise UserError(f"{path}: {len(unknown)} samples have no row, first {first.folder}")
    subject_of = {s: people[s.action, s.number].subject for s in samples}
    members = deal_subjects(sorted(set(subject_of.values())))
    return {split: [s for s in samples if subject_of[s] in members[split]] for split in SPLITS}
