"""Which clips of a dataset are learned from and tested on, for protocols that split otherwise."""

from collections.abc import Mapping, Sequence

import numpy as np

from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError


class Some:
    """Some clips of a source, in its order."""

    def __init__(self, source: Clips, places: Sequence[int]) -> None:
        """Keeps what is needed to read them on demand."""
        self._source, self._places = source, list(places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int, /) -> Clip:
        return self._source[self._places[index]]


def select(
    splits: Mapping[str, Clips], without_action: str = "", people: int = 0, seed: int = 0
) -> dict[str, Clips]:
    """The splits of a protocol; nothing moves from one split to another.

    Args:
      splits: `train`, `validation` and `test`, disjoint in subjects.
      without_action: an action that is not shown before the test, which consists of it alone (leave
        one action out).
      people: how many subjects to learn from, drawn with `seed`; fewer are part of more. 0: all.
      seed: of the draw.

    Raises:
      UserError: no such action, or not as many people.
    """
    found = dict(splits)
    if not without_action and not people:
        return found
    facts = {
        name: [(clip.action, clip.subject) for clip in (source[i] for i in range(len(source)))]
        for name, source in splits.items()
    }
    keep = {name: np.ones(len(of), bool) for name, of in facts.items()}
    if without_action:
        for name, of in facts.items():
            left_out = np.array([action == without_action for action, _ in of])
            keep[name] &= left_out if name == "test" else ~left_out
        if not keep["test"].any():
            known = sorted({action for action, _ in facts["test"]})
            raise UserError(
                f"config.data.select.without_action: no test clip of {without_action!r}; there are "
                f"{', '.join(known)}"
            )
    if people:
        subjects = sorted({subject for _, subject in facts["train"]})
        if people > len(subjects):
            raise UserError(
                f"config.data.select.people: {people}, but there are {len(subjects)} "
                "training subjects"
            )
        order = np.random.default_rng(seed).permutation(len(subjects))
        chosen = {subjects[i] for i in order[:people]}
        keep["train"] &= np.array([subject in chosen for _, subject in facts["train"]])
    for name, source in splits.items():
        found[name] = Some(source, np.flatnonzero(keep[name]).tolist())
    return found
