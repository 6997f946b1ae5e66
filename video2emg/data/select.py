"""Subsets of a dataset's splits, for protocols that train or test on less."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError


def family(clip: Clip) -> str:
    """The movement of a clip, whatever it is called; the action if the source does not say it."""
    return clip.provenance.get("family", clip.action)


class Subset:
    """Some clips of a source, read on demand."""

    def __init__(self, source: Clips, indices: Sequence[int]) -> None:
        """`indices` are places in the source."""
        self._source, self._indices = source, list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int, /) -> Clip:
        return self._source[self._indices[index]]


class Joined:
    """The clips of several sources, one after the other."""

    def __init__(self, sources: Sequence[Clips]) -> None:
        """Joins them."""
        self._clips = [(source, i) for source in sources for i in range(len(source))]

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int, /) -> Clip:
        source, place = self._clips[index]
        return source[place]


def with_channels(clip: Clip, kept: Sequence[int]) -> Clip:
    """The clip with some of its EMG channels, by their places."""
    kept = list(kept)
    return dataclasses.replace(
        clip,
        muscles=tuple(clip.muscles[c] for c in kept),
        emg=clip.emg[:, kept],
        emg_max=clip.emg_max[kept],
        drive=clip.drive[:, kept] if clip.drive.size else clip.drive,
    )


class Montage:
    """The clips of a source with some of their EMG channels."""

    def __init__(
        self, source: Clips, montage: str | Sequence[str], field: str = "config.data.montage"
    ) -> None:
        """Chooses the channels.

        Args:
          source: the clips.
          montage: names of muscles, of which the channels of both sides stay; or `flex` for the
            prime muscles of each exercise, as in FLEX.
          field: where the montage was asked for, for errors.
        """
        self._source, self._montage, self._field = source, montage, field

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int, /) -> Clip:
        clip = self._source[index]
        muscles = self._montage
        if muscles == "flex":
            muscles = clip.provenance.get("prime_muscles", ())
        of_channel = [vocabulary.split_channel(name)[1] for name in clip.muscles]
        missing = [name for name in muscles if name not in of_channel]
        if missing or not muscles:
            raise UserError(
                f"{self._field}={self._montage!r}: clip {clip.clip_id!r} has no electrode on "
                f"{', '.join(missing) or 'named prime muscles'}; it has "
                f"{', '.join(dict.fromkeys(of_channel))}"
            )
        return with_channels(clip, [c for c, name in enumerate(of_channel) if name in muscles])


def select(
    splits: Mapping[str, Clips],
    without_action: str = "",
    people: int = 0,
    seed: int = 0,
    montage: str | Sequence[str] = "all",
) -> dict[str, Clips]:
    """The clips of each split that a protocol uses; no clip moves to another split.

    Args:
      splits: `train`, `validation` and `test`, disjoint in subjects.
      without_action: an action that is the only one in the test. It is left out of training and
        validation together with its family: the same movement under another name.
      people: how many training subjects to use, drawn with `seed`; a smaller number draws a subset
        of a larger one. 0: all.
      seed: of the draw.
      montage: EMG channels, see `Montage`; `all` of each clip by default.

    Raises:
      UserError: no such action, or fewer subjects than `people`.
    """
    if montage != "all":
        splits = {name: Montage(source, montage) for name, source in splits.items()}
    if not without_action and not people:
        return dict(splits)
    actions, families, subjects = {}, {}, {}
    for name, source in splits.items():
        clips = (source[i] for i in range(len(source)))  # one at a time in memory
        facts = [(clip.action, family(clip), clip.subject) for clip in clips]
        columns = zip(*facts, strict=True)
        actions[name], families[name], subjects[name] = map(np.array, columns)
    keep = {name: np.ones(len(source), bool) for name, source in splits.items()}
    if without_action:
        same = {f for name in splits for f in families[name][actions[name] == without_action]}
        for name in splits:
            if name == "test":
                keep[name] = actions[name] == without_action
            else:
                keep[name] = ~np.isin(families[name], sorted(same))
        if not keep["test"].any():
            raise UserError(
                f"config.data.select.without_action: no test clip of {without_action!r}; there are "
                f"{', '.join(sorted(set(actions['test'].tolist())))}"
            )
    if people:
        known = sorted(set(subjects["train"].tolist()))
        if people > len(known):
            raise UserError(
                f"config.data.select.people: {people}, but there are {len(known)} training subjects"
            )
        order = np.random.default_rng(seed).permutation(len(known))
        keep["train"] &= np.isin(subjects["train"], [known[i] for i in order[:people]])
    return {
        name: Subset(source, np.flatnonzero(keep[name]).tolist()) for name, source in splits.items()
    }
