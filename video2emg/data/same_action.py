"""An order of clips in which some of the same action stand side by side."""

from collections.abc import Sequence

import grain
import numpy as np

from video2emg.core.errors import UserError


class SameActionBatches(grain.MapDataset):
    """Every clip of a shuffled epoch, followed by others of its action.

    A batch cut from this has hard negatives for contrastive learning without any weight on them:
    what tells clips of one action apart has to be learned, not which action it is (VideoCLIP, Xu et
    al. 2021, fills batches with similar videos for the same reason).
    """

    def __init__(
        self, shuffled: grain.MapDataset, actions: Sequence[str], count: int, seed: int
    ) -> None:
        """Groups the clips.

        Args:
          shuffled: places of clips, one epoch.
          actions: of all clips.
          count: clips side by side, the first of which comes from `shuffled`.
          seed: of the choice of the others, which are distinct and not the first.

        Raises:
          UserError: an action has fewer clips.
        """
        super().__init__(shuffled)
        names, which = np.unique(np.asarray(actions), return_inverse=True)
        self._which, self._count, self._seed = which, count, seed
        self._of = [np.flatnonzero(which == n) for n in range(len(names))]
        for name, clips in zip(names, self._of, strict=True):
            if len(clips) < count:
                raise UserError(
                    f"config.train.same_action={count}: there are only {len(clips)} "
                    f"training clips of {str(name)!r}"
                )

    def __len__(self) -> int:
        return self._count * len(self._parent)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        group, place = divmod(index, self._count)
        first = int(self._parent[group])
        if place == 0:
            return first
        others = self._of[self._which[first]]
        others = others[others != first]
        return int(np.random.default_rng([self._seed, group]).permutation(others)[place - 1])
