"""Which exercise a recording shows, and whether that is sure."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from video2emg.eval.out_of_domain import EncoderFeatures, OODDetector
from video2emg.viz.theme import plain

# Least share of the votes at which a score is given. Of 131 simulated sets, whose poses have the
# errors of an estimator, 108 were recognised. This limit leaves 97 of them, of which 91 are
# recognised, and 6 of 48 sets of movements that are none of the exercises (docs/predict.md).
SURE = 0.66
_TOLD = 3  # exercises that are named


@dataclasses.dataclass(frozen=True)
class Recognition:
    """The exercises that a recording may show.

    Attributes:
      votes: share of all votes by exercise, the largest first.
    """

    votes: Mapping[str, float]

    @property
    def action(self) -> str:
        """The exercise with most votes."""
        return next(iter(self.votes))

    @property
    def share(self) -> float:
        """Its share of the votes."""
        return self.votes[self.action]

    @property
    def is_sure(self) -> bool:
        """Whether it has enough votes to be judged."""
        return self.share >= SURE

    def __str__(self) -> str:
        named = list(self.votes.items())[:_TOLD]
        return ", ".join(f"{plain(action)} {share:.0%}" for action, share in named)


def recognise(
    detector: OODDetector, features: Iterable[EncoderFeatures], known: Collection[str]
) -> Recognition:
    """The exercise whose training clips resemble the recording.

    Each window votes for one exercise, with the share of its nearest training clips that show it;
    the votes of the other clips are lost.

    Args:
      detector: of the run.
      features: of windows or repetitions, one at a time: the distances of all windows to all
        training clips may not fit into memory.
      known: exercises that can be judged; empty for all.
    """
    index, share = zip(*(detector.recognise(window, known) for window in features), strict=True)
    index, share = np.concatenate(index), np.concatenate(share)
    votes = np.bincount(index, share, len(detector.actions)) / len(index)
    order = [i for i in np.argsort(-votes, kind="stable") if votes[i] > 0]
    return Recognition({detector.actions[i]: float(votes[i]) for i in order})
