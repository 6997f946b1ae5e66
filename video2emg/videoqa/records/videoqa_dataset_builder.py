"""TFDS builder of question sets: one record per question, with the frames of its clips."""

import dataclasses
import functools
import hashlib
import json
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data import build, store
from video2emg.data import video as video_lib
from video2emg.data.datasets.builder import SHARD
from video2emg.data.repetitions import Repetitions
from video2emg.videoqa import items
from video2emg.videoqa.items import Item


@dataclasses.dataclass(kw_only=True)
class VideoQAConfig(tfds.core.BuilderConfig):
    """How the clips of a question are shown.

    Attributes:
      frames: number of evenly spaced frames of the first view.
    """

    frames: int = 8


class Builder(tfds.core.ShardBasedBuilder):
    """Questions with their keys, and JPEG frames of each clip.

    The folder of questions names the Clip dataset that they are about. It is opened in `clips_dir`.
    A record holds the key too: do not show records of `test` to a model as they are.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The folder `questions` that `launch.py videoqa` writes."
    BUILDER_CONFIGS: typing.ClassVar = [
        VideoQAConfig(name=f"frames_{n}", description=f"{n} frames of the first view.", frames=n)
        for n in (1, 4, 8, 16, 32)
    ]

    # The folder of the Clip datasets; set before preparing.
    clips_dir: Path = Path("data")

    def _info(self) -> tfds.core.DatasetInfo:
        texts = ("id", "type", "form", "subject", "group", "dialogue", "text", "answer", "action")
        lists = ("clips", "options", "errors", "frames")
        fields: dict[str, Any] = {name: tfds.features.Text() for name in texts}
        fields |= {name: tfds.features.Sequence(tfds.features.Text()) for name in lists}
        fields |= {
            "choice": tfds.features.Scalar(dtype=np.int32),  # -1 for none
            "score": tfds.features.Scalar(dtype=np.float64),  # NaN for none
            # Index in `clips` of the clip of each frame.
            "frame_clip": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            # Time of each frame, s. Without an encoding TFDS stores single precision.
            "frame_time": tfds.features.Tensor(shape=(None,), dtype=np.float64, encoding="zlib"),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(fields), disable_shuffling=True
        )

    @classmethod
    def fingerprint(cls, source: Path) -> str:
        """Changes with the questions."""
        return hashlib.sha256((source / items.ABOUT).read_bytes()).hexdigest()

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Any]]]:
        folder = Path(dl_manager.manual_dir)
        dataset = store.open_dataset(_read_about(folder)["dataset"], self.clips_dir)
        shards = {}
        for split, clips in dataset.splits.items():
            split_items = items.read(folder / f"{split}.jsonl")
            # Neighbouring questions are often about the same clips.
            get_clip = functools.lru_cache(maxsize=256)(store.ClipsById(Repetitions(clips)))
            shards[split] = [
                functools.partial(
                    _examples, split_items[i : i + SHARD], get_clip, self.builder_config.frames
                )
                for i in range(0, len(split_items), SHARD)
            ]
        return shards


def build_records(questions: Path, data_dir: str | Path, frames: int) -> Path:
    """Builds the records of a folder of questions.

    Args:
      questions: the folder.
      data_dir: folder of built datasets; receives the records too.
      frames: number of frames of each clip.

    Returns:
      The folder of the records.

    Raises:
      UserError: the folder holds no questions, no configuration has this number of frames, or the
        records were built from other questions.
    """
    configs = {config.frames: config.name for config in Builder.BUILDER_CONFIGS}
    if frames not in configs:
        raise UserError(f"--frames {frames}: records are built with {sorted(configs)} frames")
    about = _read_about(questions)
    # One dataset for each Clip dataset, graph and seed, beside the clips.
    names = [str(about[name]) for name in ("dataset", "graph", "seed")]
    name = "_".join(text.replace("/", "_").replace(" ", "_") for text in names)
    data_dir = Path(data_dir).expanduser()

    def builder(**settings: Any) -> Builder:
        instance = Builder(**settings)
        instance.clips_dir = data_dir
        return instance

    folder = build.build(builder, configs[frames], data_dir / "videoqa" / name, questions, "")
    if json.loads((folder / build.SOURCE).read_text()) != Builder.fingerprint(questions):
        raise UserError(f"{folder}: built from other questions than {questions}; delete it")
    return folder


def open_records(folder: str | Path) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The records of each split, with random access. Texts are bytes, as TFDS returns them."""
    builder = tfds.builder_from_directory(folder)
    return {split: builder.as_data_source(split=split) for split in builder.info.splits}  # pyright: ignore


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / items.ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / items.ABOUT}: no questions here ({error})") from None


def _examples(
    split_items: Sequence[Item], get_clip: Callable[[str], Clip], frames: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in split_items:
        question, key = item.question, item.key
        sampled = [_sample_frames(get_clip(clip_id), frames) for clip_id in question.clips]
        counts = [len(times) for _, times in sampled]
        yield (
            question.id,
            {
                "id": question.id,
                "type": question.type,
                "form": question.form,
                "subject": item.subject,
                "group": item.group,
                "dialogue": question.dialogue,
                "text": question.text,
                "answer": key.text,
                "action": key.action,
                "clips": list(question.clips),
                "options": list(question.options),
                "errors": list(key.errors),
                "choice": -1 if key.choice is None else key.choice,
                "score": np.nan if key.score is None else key.score,
                "frames": [jpeg for jpegs, _ in sampled for jpeg in jpegs],
                "frame_clip": np.repeat(np.arange(len(sampled), dtype=np.int32), counts),
                "frame_time": np.concatenate([times for _, times in sampled]),
            },
        )


def _sample_frames(clip: Clip, frames: int) -> tuple[list[bytes], np.ndarray]:
    indices = video_lib.spread_frames(clip, 0, frames) if clip.views else np.zeros(0, int)
    return [clip.frames[i] for i in indices], clip.frame_time[indices]
