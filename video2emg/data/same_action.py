"""An order of clips in which several of the same action follow one another."""

from collections.abc import Sequence

import grain
import numpy as np

from video2emg.core.errors import UserError


class SameActionBatches(grain.MapDataset):
    """Every clip of a shuffled epoch, each followed by others of its action.

    Batches of this order contain hard negatives for contrastive learning: a model must tell clips
    of one action apart, and not only actions. VideoCLIP (Xu et al. 2021) fills batches with similar
    videos for the same reason.
    """

    def __init__(
        self, shuffled: grain.MapDataset, actions: Sequence[str], count: int, seed: int
    ) -> None:
        """Groups the clips.

        Args:
          shuffled: indices of clips, one epoch.
          actions: of all clips.
          count: clips in a group; the first comes from `shuffled`.
          seed: of the choice of the others, which are distinct and not the first.

        Raises:
          UserError: an action has fewer clips than `count`.
        """
        super().__init__(shuffled)
        names, self._action = np.unique(np.asarray(actions), return_inverse=True)
        self._count, self._seed = count, seed
        self._clips = [np.flatnonzero(self._action == n) for n in range(len(names))]
        for name, clips in zip(names, self._clips, strict=True):
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
        group, position = divmod(index, self._count)
        first = int(self._parent[group])
        if position == 0:
            return first
        others = self._clips[self._action[first]]
        others = others[others != first]
        return int(np.random.default_rng([self._seed, group]).permutation(others)[position - 1])
