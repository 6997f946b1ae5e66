"""What the builders share: clips are made in order by processes, or shard by shard by Beam."""

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
from video2emg.data.kept_clips import KeptClips
from video2emg.data.workers import in_order

SHARD = 32  # clips per file, which are in memory while it is written

Maker = Callable[[Any], Clip]
Examples = Iterator[tuple[str, dict[str, Any]]]


class ClipBuilder(tfds.core.ShardBasedBuilder):
    """A builder defines what each split is made of (`plan`) and how a clip is made (`maker`).

    TFDS's generator-based builders need TensorFlow for splits larger than 1 GB. This one writes
    each shard when it is complete.

    Attributes:
      beam: whether an Apache Beam pipeline makes the shards; set before preparing.
      estimates_poses: whether `maker` takes the name of a net, `estimate_pose`, to estimate poses
        from films that have none.
      estimate_pose: this net; set before preparing.
      keeps_clips: whether clips take so long to make that they are kept until the build is
        complete. Needs room for all of them twice.
      kept: folder of these clips, if they are kept; set before preparing.
    """

    VERSION = tfds.core.Version("1.0.0")
    beam: bool = False
    estimates_poses: typing.ClassVar[bool] = False
    estimate_pose: str = ""
    keeps_clips: typing.ClassVar[bool] = False
    kept: Path | None = None

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features(), disable_shuffling=True)

    @classmethod
    @abc.abstractmethod
    def plan(cls, manual_dir: Path | None, config: str) -> Mapping[str, Sequence[Any]]:
        """The items that the clips of each split are made of, picklable and in order."""

    @classmethod
    @abc.abstractmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """A picklable function from an item of the plan to its clip."""

    @classmethod
    def source(cls, manual_dir: Path, config: str) -> dict[str, Iterator[Clip | UserError]]:
        """The clips that a build would contain; an error in place of one that cannot be read."""
        attempt = functools.partial(_attempt, cls.maker(manual_dir, config))
        return {split: map(attempt, items) for split, items in cls.plan(manual_dir, config).items()}

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Examples]]]:
        folder = Path(dl_manager.manual_dir) if self.MANUAL_DOWNLOAD_INSTRUCTIONS else None
        plan = self.plan(folder, self.builder_config.name)
        more = {"estimate_pose": self.estimate_pose} if self.estimate_pose else {}
        maker = functools.partial(_named, self.maker(folder, self.builder_config.name, **more))
        if self.kept is not None:
            maker = KeptClips(maker, self.kept)
        if self.beam:
            return {
                split: [
                    functools.partial(_examples, functools.partial(map, maker, part))
                    for part in _batches(items)
                ]
                for split, items in plan.items()
            }
        items = list(itertools.chain.from_iterable(plan.values()))
        bar = tqdm.tqdm(total=len(items), desc=f"building {self.name}", unit="clip")
        clips = _with_progress(in_order(maker, items), bar)
        # TFDS reads the shards one after the other, in the order of the plan.
        return {
            split: [
                functools.partial(_examples, functools.partial(itertools.islice, clips, len(part)))
                for part in _batches(items)
            ]
            for split, items in plan.items()
        }


def _named(maker: Maker, item: Any) -> Clip:
    """The clip of an item; an unexpected error says which item it was."""
    try:
        return maker(item)
    except UserError:
        raise
    except Exception as error:
        error.add_note(f"while making the clip of {item}")
        raise


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


def _with_progress(clips: Iterator[Clip], bar: tqdm.tqdm) -> Iterator[Clip]:
    with bar:
        for clip in clips:
            bar.update()
            yield clip
