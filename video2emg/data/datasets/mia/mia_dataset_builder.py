"""TFDS builder for Muscles in Action, from the files of its authors."""

import dataclasses
import functools
import hashlib
import typing
from pathlib import Path

import tensorflow_datasets as tfds

from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.mia import layout, splits
from video2emg.data.datasets.mia.load import load_clip


@dataclasses.dataclass(kw_only=True)
class MiaConfig(tfds.core.BuilderConfig):
    """How the clips are split.

    Attributes:
      protocol: what is held out.
    """

    protocol: splits.Protocol = splits.CROSS_SUBJECT

    @property
    def same_people(self) -> bool:
        """Whether the people of the test are also in training."""
        return self.protocol.by in ("minutes", "exercise")


_LEAKS = "LEAKS: the same people are in training and test"


class Builder(ClipBuilder):
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

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[layout.Sample]]:
        """Samples by split."""
        assert manual_dir is not None
        protocol = cls.builder_configs[config].protocol
        return splits.split(manual_dir, layout.scan(manual_dir), protocol)

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """Reads a sample's files."""
        assert manual_dir is not None
        facts = layout.read_facts(manual_dir)
        return functools.partial(load_clip, layout.find_tree(manual_dir), facts=facts)

    @staticmethod
    def fingerprint(manual_dir: Path) -> str:
        """Changes with the names of the clips and with `mia.yaml`."""
        digest = hashlib.sha256("\n".join(s.key for s in layout.scan(manual_dir)).encode())
        facts = manual_dir / layout.FACTS
        digest.update(facts.read_bytes() if facts.exists() else b"")
        return digest.hexdigest()[:16]
