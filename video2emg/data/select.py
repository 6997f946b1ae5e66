"""Subsets of a dataset's splits, for protocols that train or test on less."""

from collections.abc import Mapping, Sequence

import numpy as np

from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError


class Subset:
    """Some clips of a source, read on demand."""

    def __init__(self, source: Clips, indices: Sequence[int]) -> None:
        """`indices` are places in the source."""
        self._source, self._indices = source, list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int, /) -> Clip:
        return self._source[self._indices[index]]


def select(
    splits: Mapping[str, Clips], without_action: str = "", people: int = 0, seed: int = 0
) -> dict[str, Clips]:
    """The clips of each split that a protocol uses; no clip moves to another split.

    Args:
      splits: `train`, `validation` and `test`, disjoint in subjects.
      without_action: an action that is left out of training and validation, and is the only one in
        the test.
      people: how many training subjects to use, drawn with `seed`; a smaller number draws a subset
        of a larger one. 0: all.
      seed: of the draw.

    Raises:
      UserError: no such action, or fewer subjects than `people`.
    """
    if not without_action and not people:
        return dict(splits)
    actions, subjects = {}, {}
    for name, source in splits.items():
        clips = (source[i] for i in range(len(source)))  # one at a time in memory
        facts = [(clip.action, clip.subject) for clip in clips]
        actions[name] = np.array([action for action, _ in facts])
        subjects[name] = np.array([subject for _, subject in facts])
    keep = {name: np.ones(len(source), bool) for name, source in splits.items()}
    if without_action:
        for name in splits:
            keep[name] = (actions[name] == without_action) == (name == "test")
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
