"""Whether several cameras show the same movement, and so follow the same person."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core.pose_track import PoseTrack
from video2emg.core.vocabulary import SIDES
from video2emg.pose.cameras import interpolate

# Two views of one simulated person with an estimator's errors agree by 0.55 or more (43 pairs, ten
# exercises); of pairs of other people or exercises 8 % agree by more than 0.5. Four views of a real
# man who balances agree by 0.81 or more, and by 0.48 or more where somebody partly hides him.
SAME = 0.5
_PARTS = ("wrist", "elbow", "shoulder", "knee", "ankle")
_LEAST = 5  # instants that both views must see
_RESTS = 0.01  # m by which heights vary if nobody moves


def groups(tracks: Sequence[PoseTrack]) -> list[list[int]]:
    """Views that show the same movement, the largest group first; one group if all do.

    Args:
      tracks: of each camera, z up, m; all started together.
    """
    left, found = list(range(len(tracks))), []
    while left:
        group = [left.pop(0)]
        for view in group:  # grows while it is read
            near = [i for i in left if not agreement(tracks[view], tracks[i]) < SAME]
            left = [i for i in left if i not in near]
            group += near
        found.append(sorted(group))
    return sorted(found, key=lambda group: (-len(group), group))


def agreement(a: PoseTrack, b: PoseTrack) -> float:
    """Correlation of the heights of limbs in two views, -1 to 1; NaN if too little is known.

    Heights do not depend on the direction from which the camera looks. Of each pair of limbs the
    higher and the lower one are compared, so an exchange of left and right does not matter.

    Args:
      a: z up, m.
      b: as `a`; started with it.
    """
    mine, theirs = _heights(a), interpolate(_heights(b), b.times, a.times)
    known = np.isfinite(mine) & np.isfinite(theirs)
    kept = known.sum(0) >= _LEAST
    if not kept.any():
        return float("nan")
    moved = []
    for heights in (mine[:, kept], theirs[:, kept]):
        values = np.where(known[:, kept], heights, np.nan)
        moved.append(np.nan_to_num(values - np.nanmean(values, axis=0)))
    spread = [float(np.sqrt((part**2).sum() / known[:, kept].sum())) for part in moved]
    if max(spread) < _RESTS:
        return float("nan")
    product = (moved[0] * moved[1]).sum() / known[:, kept].sum()
    return float(product / max(spread[0] * spread[1], 1e-12))


def _heights(track: PoseTrack) -> Float[np.ndarray, "T L"]:
    """Heights of the higher, then of the lower of both limbs above the hips, m."""
    hips = (track.at("left_hip") + track.at("right_hip"))[:, 2] / 2
    pairs = np.stack(
        [[track.at(f"{side}_{part}")[:, 2] - hips for part in _PARTS] for side in SIDES]
    )
    return np.concatenate([pairs.max(0), pairs.min(0)]).T
