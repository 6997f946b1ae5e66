"""The questions of a whole dataset, as a folder: one JSONL a split, and what they are about."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.store import Dataset
from video2emg.fkg.graph import Graph
from video2emg.videoqa import accounts, generate, items
from video2emg.videoqa.accounts import Account
from video2emg.videoqa.items import Item
from video2emg.videoqa.metrics import Facts

Change = Callable[[Sequence[Item]], list[Item]]


@dataclasses.dataclass(frozen=True)
class QuestionSet:
    """Questions by split.

    Attributes:
      about: dataset, graph, seed and the like; JSON-able.
      splits: items by split.
      facts: what the examiner needs of the training split.
    """

    about: Mapping[str, Any]
    splits: Mapping[str, list[Item]]
    facts: Facts


def open_or_make(
    folder: Path,
    name: str,
    dataset: Dataset,
    graph: Graph,
    seed: int,
    change: Change | None = None,
    changed_by: str = "",
) -> QuestionSet:
    """The questions in `folder`, which are made first if there are none.

    Args:
      folder: of the questions.
      name: of the dataset.
      dataset: opened.
      graph: it was labelled with.
      seed: of the questions.
      change: applied to new items of each split, e.g. refinement of their texts.
      changed_by: names it.

    Raises:
      UserError: the folder holds questions about something else, or damaged ones.
    """
    wanted = {"format": items.FORMAT, "dataset": name, "version": dataset.version,
              "graph": graph.label, "seed": seed, "refined": changed_by}  # fmt: skip
    path = folder / items.ABOUT
    if path.exists():
        return _read(folder, wanted)
    reference = reference_of(dataset)
    told = {
        split: [accounts.of_clip(clip, graph, reference) for clip in source]
        for split, source in dataset.splits.items()
    }
    made = {split: generate.generate(graph, own, seed) for split, own in told.items()}
    if change is not None:
        made = {split: change(own) for split, own in made.items()}
    for split, own in made.items():
        items.write(folder / f"{split}.jsonl", own)
    facts = _facts(told["train"])
    about = wanted | {
        "simulated": dataset.simulated,
        "reference": None if reference is None else reference.to_json(),
        "facts": dataclasses.asdict(facts),
        "fingerprints": {split: items.fingerprint(own) for split, own in made.items()},
    }
    write_json(path, about)  # last: a folder with it is complete
    return QuestionSet(about, made, facts)


def reference_of(dataset: Dataset) -> emg_lib.Normalisation | None:
    """What envelopes are divided by: MVC if clips have one, else a level per subject.

    None without EMG.
    """
    first = dataset.splits["train"][0]
    if not first.muscles:
        return None
    if np.isfinite(first.emg_max).all():
        return emg_lib.Normalisation("mvc")

    def envelopes():
        for source in dataset.splits.values():
            for clip in source:
                yield clip, emg_lib.clip_envelope(clip)

    return emg_lib.Normalisation.fit("subject", envelopes(), set())


def _read(folder: Path, wanted: Mapping[str, Any]) -> QuestionSet:
    path = folder / items.ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        facts = about["facts"]
        spans = {name: (float(a), float(b)) for name, (a, b) in facts["spans"].items()}
        found = Facts(spans, float(facts["mildest"]))
        prints = dict(about["fingerprints"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete {folder}") from None
    for name, value in wanted.items():
        if about.get(name) != value:
            raise UserError(f"{path}, field {name}: {about.get(name)!r}, but asked for {value!r}; "
                            "choose another --out or delete the folder")  # fmt: skip
    splits = {split: items.read(folder / f"{split}.jsonl") for split in prints}
    for split, own in splits.items():
        if items.fingerprint(own) != prints[split]:
            raise UserError(f"{folder / split}.jsonl: changed since it was made; delete {folder}")
    return QuestionSet(about, splits, found)


def _facts(train: Sequence[Account]) -> Facts:
    spans: dict[str, tuple[float, float]] = {}
    for account in train:
        if np.isfinite(account.score):
            low, high = spans.get(account.action, (100.0, 0.0))
            spans[account.action] = min(low, account.score), max(high, account.score)
    severities = [x for account in train for x in account.expected_severity.values() if x > 0]
    return Facts(spans, min(severities, default=1.0))
