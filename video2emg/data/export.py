"""Any clips → the layout of FLEX or MIA on disk, so that code written for those runs unchanged.

The modules `flex.write` and `mia.write` say what each layout cannot hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tqdm

from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.datasets.mia.write import to_mia
from video2emg.data.repetitions import cut
from video2emg.data.select import Montage, Subset
from video2emg.data.store import Dataset

LAYOUTS = {"flex": to_flex, "mia": to_mia}


def write(
    dataset: Dataset,
    layout: str,
    out: str | Path,
    actions: Sequence[str] = (),
    muscles: Sequence[str] = (),
) -> int:
    """Writes all splits of a dataset.

    Args:
      dataset: opened, see `data.store`.
      layout: one of `LAYOUTS`.
      out: folder that receives the files.
      actions: exercises to write; all by default.
      muscles: whose channels to write, of both sides; by default the prime muscles of each
        exercise, where the clips name them.

    Returns:
      How many clips were written.

    Raises:
      UserError: there is no test split, no clip of an action, or a clip without what the layout
        needs; all but the muscles are checked before anything is written.
    """
    splits: Mapping[str, Clips] = _only(dataset.splits, actions) if actions else dataset.splits
    for split in ("train", "test"):
        if not len(splits[split]):
            raise UserError(f"no clip in {split}: code for {layout.upper()} needs both lists")
    if layout == "flex":
        _check_scores(splits)
    written = {
        split: _with_progress(_CLIPS[layout](clips, muscles), split)
        for split, clips in splits.items()
    }
    return LAYOUTS[layout](written, Path(out).expanduser())


def _check_scores(splits: Mapping[str, Clips]) -> None:
    for clips in splits.values():
        for clip in (clips[i] for i in range(len(clips))):
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


def _only(splits: Mapping[str, Clips], actions: Sequence[str]) -> dict[str, Clips]:
    """The clips of some actions."""
    names = {split: [clips[i].action for i in range(len(clips))] for split, clips in splits.items()}
    every = sorted({name for of_split in names.values() for name in of_split})
    if missing := [action for action in actions if action not in every]:
        raise UserError(f"--action {missing[0]}: not in the dataset, which has {', '.join(every)}")
    return {
        split: Subset(clips, [i for i, name in enumerate(names[split]) if name in actions])
        for split, clips in splits.items()
    }


def _with_muscles(clips: Clips, muscles: Sequence[str]) -> Iterator[Clip]:
    """Clips with some muscles, else the two prime ones, else, without names of these, all."""
    if muscles:
        return iter(Montage(clips, muscles, "--muscles"))
    named = len(clips) and clips[0].provenance.get("prime_muscles")
    return iter(Montage(clips, "flex") if named else (clips[i] for i in range(len(clips))))


def _single_repetitions(clips: Clips, muscles: Sequence[str]) -> Iterator[Clip]:
    for clip in _with_muscles(clips, muscles):
        count = 1 if clip.repetitions is None else len(clip.repetitions)
        yield from (cut(clip, number) for number in range(count))


# FLEX has single repetitions, MIA windows of longer recordings.
_CLIPS = {"flex": _single_repetitions, "mia": _with_muscles}
