"""TFDS builder for Muscles in Action, from the files of its authors."""

import dataclasses
import hashlib
import typing
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
import tqdm

from video2emg.data.clip import Clip
from video2emg.data.datasets import schema
from video2emg.data.datasets.mia import layout, splits
from video2emg.data.datasets.mia.load import load_clip
from video2emg.errors import UserError


@dataclasses.dataclass(kw_only=True)
class MiaConfig(tfds.core.BuilderConfig):
    """How the clips are split.

    Attributes:
      protocol: what is held out.
    """

    protocol: splits.Protocol = splits.CROSS_SUBJECT


_LEAKS = "LEAKS: the same people are in training and test"


class Builder(tfds.core.GeneratorBasedBuilder):
    """Muscles in Action, from `config.data.manual_dir`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: typing.ClassVar = {"1.0.0": "First."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Muscles in Action is given by its authors (arXiv 2212.02978); see docs/datasets.md."
    )
    BUILDER_CONFIGS: typing.ClassVar = [
        MiaConfig(name="cross_subject", description="People held out, over both trees."),
        MiaConfig(
            name="official",
            description=f"Trained on four minutes, tested on the fifth (valold.txt). {_LEAKS}.",
            protocol=splits.OFFICIAL,
        ),
        MiaConfig(
            name="official_without_subject0",
            description=f"The same without Subject0's test clips (val.txt). {_LEAKS}.",
            protocol=splits.OFFICIAL_WITHOUT_SUBJECT0,
        ),
        *(
            MiaConfig(
                name=name.lower().replace("subject", "subject_"),
                description=f"Trained on the others, tested on {name}.",
                protocol=splits.leave_subject(name),
            )
            for name in layout.SUBJECTS
        ),
        *(
            MiaConfig(
                name=f"exercise_{name}",
                description=f"Trained on other exercises, tested on {name}. {_LEAKS}.",
                protocol=splits.leave_exercise(name),
            )
            for name in layout.EXERCISES
        ),
    ]
    DEFAULT_CONFIG_NAME = "cross_subject"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features(), disable_shuffling=True)

    def _split_generators(self, dl_manager):
        source = self.source(Path(dl_manager.manual_dir), self.builder_config.name)
        return {split: self._generate_examples(clips) for split, clips in source.items()}

    def _generate_examples(self, clips: Iterator[Clip | UserError]):
        for clip in tqdm.tqdm(clips, desc="building mia", unit="clip"):
            if isinstance(clip, UserError):
                raise clip
            yield clip.clip_id, schema.to_example(clip)

    @classmethod
    def source(cls, manual_dir: Path, config: str) -> dict[str, Iterator[Clip | UserError]]:
        """The clips of each split, read one by one; errors take the place of bad ones."""
        facts, tree = layout.read_facts(manual_dir), layout.find_tree(manual_dir)
        protocol = cls.builder_configs[config].protocol
        parts = splits.split(manual_dir, layout.scan(manual_dir), protocol)

        def read(samples: list[layout.Sample]) -> Iterator[Clip | UserError]:
            for sample in samples:
                try:
                    yield load_clip(tree, sample, facts)
                except UserError as error:
                    yield error

        return {split: read(samples) for split, samples in parts.items()}

    @staticmethod
    def fingerprint(manual_dir: Path) -> str:
        """Changes when clips come or go, or with `mia.yaml`."""
        digest = hashlib.sha256("\n".join(s.key for s in layout.scan(manual_dir)).encode())
        facts = manual_dir / layout.FACTS
        digest.update(facts.read_bytes() if facts.exists() else b"")
        return digest.hexdigest()[:16]
