"""The questions of a whole dataset as a folder: one JSONL file per split, and a description."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.repetitions import Repetitions
from video2emg.data.store import Dataset
from video2emg.fkg.graph import Graph
from video2emg.videoqa import generate, items, repetition_records
from video2emg.videoqa.items import Item
from video2emg.videoqa.metrics import TrainStatistics
from video2emg.videoqa.repetition_records import RepetitionRecord

Rewrite = Callable[[Sequence[Item]], list[Item]]


@dataclasses.dataclass(frozen=True)
class QuestionSet:
    """Questions by split.

    Attributes:
      about: dataset, graph, seed and so on; JSON-serialisable.
      splits: items by split.
      train_statistics: what the evaluator needs from the training split.
    """

    about: Mapping[str, Any]
    splits: Mapping[str, list[Item]]
    train_statistics: TrainStatistics


def open_or_make(
    folder: Path,
    name: str,
    dataset: Dataset,
    graph: Graph,
    seed: int,
    rewrite: Rewrite | None = None,
    rewritten_by: str = "",
) -> QuestionSet:
    """The questions in `folder`. They are generated first if the folder has none.

    Args:
      folder: the folder of the questions.
      name: name of the dataset.
      dataset: the opened dataset.
      graph: the knowledge graph of its labels.
      seed: seed of the questions.
      rewrite: applied to the new items of each split, e.g. to refine their texts.
      rewritten_by: name of the model behind `rewrite`.

    Raises:
      UserError: the questions in the folder are damaged, or were made from other settings.
    """
    expected = {
        "format": items.FORMAT,
        "dataset": name,
        "version": dataset.version,
        "graph": graph.label,
        "seed": seed,
        "refined": rewritten_by,
    }
    path = folder / items.ABOUT
    if path.exists():
        return _read(folder, expected)
    reference = fit_reference(dataset)
    repetitions = {
        split: [repetition_records.from_clip(c, graph, reference) for c in Repetitions(clips)]
        for split, clips in dataset.splits.items()
    }
    splits = {
        split: generate.generate(graph, records, seed) for split, records in repetitions.items()
    }
    if rewrite is not None:
        splits = {split: rewrite(split_items) for split, split_items in splits.items()}
    for split, split_items in splits.items():
        items.write(folder / f"{split}.jsonl", split_items)
    statistics = fit_statistics(repetitions["train"])
    about = expected | {
        "simulated": dataset.simulated,
        "reference": None if reference is None else reference.to_json(),
        "train_statistics": dataclasses.asdict(statistics),
        "fingerprints": {
            split: items.fingerprint(split_items) for split, split_items in splits.items()
        },
    }
    write_json(path, about)  # written last: a folder that has it is complete
    return QuestionSet(about, splits, statistics)


def fit_reference(dataset: Dataset) -> emg_lib.Normalisation | None:
    """The level that envelopes are divided by: MVC if the clips have it, else one per subject.

    None if the dataset has no EMG.
    """
    first = dataset.splits["train"][0]
    if not first.muscles:
        return None
    if np.isfinite(first.emg_max).all():
        return emg_lib.Normalisation("mvc")

    def envelopes():
        for clips in dataset.splits.values():
            for clip in clips:
                yield clip, emg_lib.clip_envelope(clip)

    return emg_lib.Normalisation.fit("subject", envelopes(), set())


def fit_statistics(train: Sequence[RepetitionRecord]) -> TrainStatistics:
    """Score ranges and the smallest severity of the training split."""
    ranges: dict[str, tuple[float, float]] = {}
    for repetition in train:
        if np.isfinite(repetition.score):
            low, high = ranges.get(repetition.action, (100.0, 0.0))
            ranges[repetition.action] = min(low, repetition.score), max(high, repetition.score)
    severities = [x for repetition in train for x in repetition.severity.values() if x > 0]
    return TrainStatistics(ranges, min(severities, default=1.0))


def _read(folder: Path, expected: Mapping[str, Any]) -> QuestionSet:
    path = folder / items.ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        statistics = about["train_statistics"]
        ranges = {
            name: (float(low), float(high))
            for name, (low, high) in statistics["score_ranges"].items()
        }
        statistics = TrainStatistics(ranges, float(statistics["min_severity"]))
        fingerprints = dict(about["fingerprints"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete {folder}") from None
    for name, value in expected.items():
        if about.get(name) != value:
            raise UserError(
                f"{path}, field {name}: {about.get(name)!r}, expected {value!r}; "
                "choose another --out or delete the folder"
            )
    splits = {split: items.read(folder / f"{split}.jsonl") for split in fingerprints}
    for split, split_items in splits.items():
        if items.fingerprint(split_items) != fingerprints[split]:
            raise UserError(f"{folder / split}.jsonl: changed since it was made; delete {folder}")
    return QuestionSet(about, splits, statistics)
