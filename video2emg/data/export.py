"""Any clips → the layout of FLEX or MIA on disk, so that code written for those runs unchanged.

The modules `flex.write` and `mia.write` say what each layout cannot hold.
"""

from collections.abc import Iterator
from pathlib import Path

import tqdm

from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.datasets.mia.write import to_mia
from video2emg.data.repetitions import cut
from video2emg.data.select import Montage
from video2emg.data.store import Dataset

LAYOUTS = {"flex": to_flex, "mia": to_mia}


def write(dataset: Dataset, layout: str, out: str | Path) -> int:
    """Writes all splits of a dataset.

    Args:
      dataset: opened, see `data.store`.
      layout: one of `LAYOUTS`.
      out: folder that receives the files.

    Returns:
      How many clips were written.

    Raises:
      UserError: there is no test split, or a clip without what the layout needs; for scores and
        splits before anything is written.
    """
    for split in ("train", "test"):
        if not len(dataset.splits[split]):
            raise UserError(f"no clip in {split}: code for {layout.upper()} needs both lists")
    if layout == "flex":
        _check_scores(dataset)
    splits = {
        split: _with_progress(_CLIPS[layout](clips), split)
        for split, clips in dataset.splits.items()
    }
    return LAYOUTS[layout](splits, Path(out).expanduser())


def _check_scores(dataset: Dataset) -> None:
    for clips in dataset.splits.values():
        for clip in clips:
            parts = [clip] if clip.repetitions is None else clip.repetitions
            unknown = [i for i, part in enumerate(parts) if not 0 <= part.score <= 100]
            if unknown:
                of = "" if clip.repetitions is None else f", repetition {unknown[0] + 1}"
                raise UserError(
                    f"clip {clip.clip_id!r}{of}, field score: {parts[unknown[0]].score:g}; FLEX's "
                    "lists hold one of 0-100 for each repetition"
                )


def _with_progress(clips: Iterator[Clip], split: str) -> Iterator[Clip]:
    yield from tqdm.tqdm(clips, desc=split, unit="clip")


def _prime_muscles(clips: Clips) -> Iterator[Clip]:
    """Clips with two muscles on each side; those that name no prime muscles as they are."""
    named = len(clips) and clips[0].provenance.get("prime_muscles")
    return iter(Montage(clips, "flex") if named else (clips[i] for i in range(len(clips))))


def _single_repetitions(clips: Clips) -> Iterator[Clip]:
    for clip in _prime_muscles(clips):
        count = 1 if clip.repetitions is None else len(clip.repetitions)
        yield from (cut(clip, number) for number in range(count))


# FLEX has single repetitions, MIA windows of longer recordings.
_CLIPS = {"flex": _single_repetitions, "mia": _prime_muscles}
