"""TFDS builder of question sets that `launch.py videoqa` made: a record a question, with frames."""

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
from video2emg.videoqa import items
from video2emg.videoqa.items import Item


@dataclasses.dataclass(kw_only=True)
class VideoQAConfig(tfds.core.BuilderConfig):
    """How a question's clips are shown: `frames` of the first view, evenly spread."""

    frames: int = 8


class Builder(tfds.core.ShardBasedBuilder):
    """Questions with their keys, and JPEG frames of each clip.

    The folder of questions names the Clip dataset that they are about; it is looked for where this
    dataset is built. Read the records of `test` as one reads labels: the key lies beside the
    question.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The folder `questions` that `launch.py videoqa` writes."
    BUILDER_CONFIGS: typing.ClassVar = [
        VideoQAConfig(name=f"frames_{n}", description=f"{n} frames of the first view.", frames=n)
        for n in (1, 4, 8, 16, 32)
    ]

    # Where Clip datasets live; set before preparing.
    clips_dir: Path = Path("data")

    def _info(self) -> tfds.core.DatasetInfo:
        texts = ("id", "kind", "form", "subject", "group", "dialogue", "text", "answer", "action")
        fields: dict[str, Any] = {name: tfds.features.Text() for name in texts}
        # `frame_clip` says which of `clips` a frame is of, `frame_time` when it was taken, s.
        fields |= {
            name: tfds.features.Sequence(tfds.features.Text())
            for name in ("clips", "options", "errors", "frames")
        }
        fields |= {
            "choice": tfds.features.Scalar(dtype=np.int32),  # -1 for none
            "score": tfds.features.Scalar(dtype=np.float64),  # NaN for none
            "frame_clip": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            # Without an encoding TFDS stores single precision.
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
        dataset = store.open_dataset(_about(folder)["dataset"], self.clips_dir)
        shards = {}
        for split, source in dataset.splits.items():
            own = items.read(folder / f"{split}.jsonl")
            # Neighbouring questions are often about the same clips.
            clip_of = functools.lru_cache(maxsize=256)(store.ClipsById(source))
            shards[split] = [
                functools.partial(
                    _examples, own[i : i + SHARD], clip_of, self.builder_config.frames
                )
                for i in range(0, len(own), SHARD)
            ]
        return shards


def build_records(questions: Path, data_dir: str | Path, frames: int) -> Path:
    """Builds the records of a folder of questions; returns theirs.

    Raises:
      UserError: no questions there, a number of frames that there is no config for, or records
        that were built of other questions.
    """
    configs = {config.frames: config.name for config in Builder.BUILDER_CONFIGS}
    if frames not in configs:
        raise UserError(f"--frames {frames}: records are built with {sorted(configs)} frames")
    about = _about(questions)
    # One dataset for each Clip dataset, seed and graph, beside the clips.
    home = Path(data_dir).expanduser() / "videoqa_of" / "_".join(
        str(about[name]).replace("/", "_").replace(" ", "_")
        for name in ("dataset", "graph", "seed")
    )  # fmt: skip

    def builder(**settings: Any) -> Builder:
        made = Builder(**settings)
        made.clips_dir = Path(data_dir).expanduser()
        return made

    folder = build.build(builder, configs[frames], home, questions, "")
    if json.loads((folder / build.SOURCE).read_text()) != Builder.fingerprint(questions):
        raise UserError(f"{folder}: built of other questions than those in {questions}; delete it")
    return folder


def open_records(folder: str | Path) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The records of each split, at random; texts are bytes, as TFDS has them."""
    builder = tfds.builder_from_directory(folder)
    return {split: builder.as_data_source(split=split) for split in builder.info.splits}  # pyright: ignore


def _about(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / items.ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / items.ABOUT}: no questions here ({error})") from None


def _examples(
    own: Sequence[Item], clip_of: Callable[[str], Clip], frames: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in own:
        question, key = item.question, item.key
        shown = [_shown(clip_of(clip_id), frames) for clip_id in question.clips]
        yield (
            question.id,
            {
                "id": question.id,
                "kind": question.kind,
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
                "frames": [jpeg for jpegs, _ in shown for jpeg in jpegs],
                "frame_clip": np.repeat(
                    np.arange(len(shown), dtype=np.int32), [len(times) for _, times in shown]
                ),
                "frame_time": np.concatenate([times for _, times in shown]),
            },
        )


def _shown(clip: Clip, frames: int) -> tuple[list[bytes], np.ndarray]:
    chosen = video_lib.spread_frames(clip, 0, frames) if clip.views else np.zeros(0, int)
    return [clip.frames[i] for i in chosen], clip.frame_time[chosen]
