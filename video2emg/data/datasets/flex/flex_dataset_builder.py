"""TFDS builder for FLEX, from the files that its authors give on request."""

import dataclasses
import math
import typing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from video2emg.data.clip import Clip
from video2emg.data.datasets import schema
from video2emg.data.datasets.flex import layout
from video2emg.data.datasets.flex.load import load_clip
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.errors import UserError

_HELD_OUT = 0.15  # of the official training list, for validation


@dataclasses.dataclass(kw_only=True)
class FlexConfig(tfds.core.BuilderConfig):
    """How the repetitions are split.

    Attributes:
      official: by the published lists, which hold out repetitions and not people.
    """

    official: bool = False


class Builder(tfds.core.GeneratorBasedBuilder):
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
    DEFAULT_CONFIG_NAME = "cross_subject"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features(), disable_shuffling=True)

    def _split_generators(self, dl_manager):
        source = self.source(Path(dl_manager.manual_dir), self.builder_config.name)
        return {split: self._generate_examples(clips) for split, clips in source.items()}

    def _generate_examples(self, clips: Iterator[Clip | UserError]):
        for clip in tqdm.tqdm(clips, desc="building flex", unit="clip"):
            if isinstance(clip, UserError):
                raise clip
            yield clip.clip_id, schema.to_example(clip)

    @classmethod
    def source(cls, manual_dir: Path, config: str) -> dict[str, Iterator[Clip | UserError]]:
        """The clips of each split, read one by one; errors take the place of bad ones."""
        facts = layout.read_facts(manual_dir)
        people = layout.read_subjects(manual_dir)
        lists = layout.read_lists(manual_dir)
        if cls.builder_configs[config].official:
            parts = _official(lists)
        else:
            parts = _by_subject([*lists["train"], *lists["test"]], people, manual_dir)

        def read(samples: list[layout.Sample]) -> Iterator[Clip | UserError]:
            for sample in samples:
                row = people.get((sample.action, sample.number), {})
                load = row.get("load") or ""
                try:
                    yield load_clip(manual_dir, sample, facts, row.get("subject") or "unknown",
                                    float(load) if load else math.nan)  # fmt: skip
                except UserError as error:
                    yield error

        return {split: read(samples) for split, samples in parts.items()}


def _official(lists: dict[str, list[layout.Sample]]) -> dict[str, list[layout.Sample]]:
    """The published test list; validation from the training list, at random."""
    order = np.random.default_rng(0).permutation(len(lists["train"]))
    held = set(order[: max(round(_HELD_OUT * len(order)), 1)].tolist())
    train = lists["train"]
    return {
        "train": [s for i, s in enumerate(train) if i not in held],
        "validation": [s for i, s in enumerate(train) if i in held],
        "test": lists["test"],
    }


def _by_subject(
    samples: list[layout.Sample], people: dict, root: Path
) -> dict[str, list[layout.Sample]]:
    path = root / layout.SUBJECTS
    if not people:
        raise UserError(
            f"{path}: no such file; without it nobody can be held out. Write one (action, sample, "
            "subject), or use flex/official, whose lists leak people between training and test"
        )
    unknown = [s for s in samples if (s.action, s.number) not in people]
    if unknown:
        first = unknown[0]
        raise UserError(f"{path}: {len(unknown)} samples have no row, first {first.folder}")
    who = {s: people[s.action, s.number]["subject"] for s in samples}
    if len(set(who.values())) < 3:
        raise UserError(f"{path}: {len(set(who.values()))} subjects; three are needed")
    dealt = deal_subjects(sorted(set(who.values())), seed=0)
    return {split: [s for s in samples if who[s] in dealt[split]] for split in SPLITS}
