"""What all builders share: clips are made in order by processes, or shard by shard by Beam."""

import abc
import functools
import itertools
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
import tqdm

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data.datasets import schema
from video2emg.data.workers import in_order

SHARD = 32  # clips; what is kept in memory while a shard is written

Maker = Callable[[Any], Clip]
Examples = Iterator[tuple[str, dict[str, Any]]]


class ClipBuilder(tfds.core.ShardBasedBuilder):
    """A builder says what each split is made of (`plan`), and how one clip is made (`maker`).

    TFDS's generator-based builders hold a split in memory up to 1 GB, and need TensorFlow beyond;
    shards are written as they come.

    Attributes:
      beam: whether an Apache Beam pipeline runs the shards; set before preparing.
    """

    VERSION = tfds.core.Version("1.0.0")
    beam: bool = False

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features(), disable_shuffling=True)

    @classmethod
    @abc.abstractmethod
    def plan(cls, manual_dir: Path | None, config: str) -> Mapping[str, Sequence[Any]]:
        """What the clips of each split are made of, picklable and in order."""

    @classmethod
    @abc.abstractmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """A picklable function from one item of the plan to its Clip."""

    @classmethod
    def source(cls, manual_dir: Path, config: str) -> dict[str, Iterator[Clip | UserError]]:
        """The clips that a build would hold, read one by one; errors take the place of bad ones."""
        attempt = functools.partial(_attempt, cls.maker(manual_dir, config))
        return {split: map(attempt, items) for split, items in cls.plan(manual_dir, config).items()}

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Examples]]]:
        folder = Path(dl_manager.manual_dir) if self.MANUAL_DOWNLOAD_INSTRUCTIONS else None
        plan = self.plan(folder, self.builder_config.name)
        maker = self.maker(folder, self.builder_config.name)
        if self.beam:
            return {
                split: [
                    functools.partial(_examples, functools.partial(map, maker, part))
                    for part in _batches(items)
                ]
                for split, items in plan.items()
            }
        everything = list(itertools.chain.from_iterable(plan.values()))
        bar = tqdm.tqdm(total=len(everything), desc=f"building {self.name}", unit="clip")
        clips = _watched(in_order(maker, everything), bar)
        # TFDS asks for the shards in the order of the plan, one after the other.
        return {
            split: [
                functools.partial(_examples, functools.partial(itertools.islice, clips, len(part)))
                for part in _batches(items)
            ]
            for split, items in plan.items()
        }


def _attempt(maker: Maker, item: Any) -> Clip | UserError:
    try:
        return maker(item)
    except UserError as error:
        return error


def _batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[i : i + SHARD] for i in range(0, len(items), SHARD)]


def _examples(clips: Callable[[], typing.Iterable[Clip]]) -> Examples:
    for clip in clips():
        yield clip.clip_id, schema.to_example(clip)


def _watched(clips: Iterator[Clip], bar: tqdm.tqdm) -> Iterator[Clip]:
    with bar:
        for clip in clips:
            bar.update()
            yield clip
