"""Start and end of each repetition of a set, from the movement of the body."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal

from video2emg.pose.repetitions import bounds

_SMOOTH_S = 0.12  # s, standard deviation of the Gaussian that smooths the trajectory
_SHORTEST_S = 0.9  # s between the turning points of two repetitions
# Height and prominence of a turning point, as shares of the usual depth of the movement. They are
# small, because a repetition that is broken off or done badly may have less than half of the depth.
_HEIGHT, _PROMINENCE = 0.25, 0.2
_ENDS_S = 0.4  # s at both ends of the recording that show the rest


def segment(trajectory: Float[np.ndarray, "T D"], rate: float) -> list[tuple[float, float]]:
    """Finds the repetitions of a repeated movement.

    The first principal component of the trajectory measures the distance from rest. Its peaks are
    the turning points; `pose.repetitions.bounds` finds where the movements begin and end.

    Args:
      trajectory: [T, D] coordinates over time (a pose), of similar scale.
      rate: Hz.

    Returns:
      (start, end) of the movement in s, in order, not overlapping; empty if nothing moves.
    """
    if len(trajectory) < 3:
        return []
    depth = depth_from_rest(trajectory, rate)
    usual = float(np.percentile(depth, 98))
    if usual <= 0:
        return []
    turns, _ = signal.find_peaks(
        np.concatenate([[0.0], depth, [0.0]]),  # so that the first and last sample can be peaks
        height=_HEIGHT * usual,
        prominence=_PROMINENCE * usual,
        distance=max(round(_SHORTEST_S * rate), 1),
    )
    turns = turns - 1
    if not len(turns):
        return []
    return bounds(depth, turns, rate)


def depth_from_rest(trajectory: Float[np.ndarray, "T D"], rate: float) -> Float[np.ndarray, " T"]:
    """[T] distance from rest along the first principal component; 0 is its 2nd percentile.

    Rest is the end of the component at which the recording begins and ends. If it begins at one end
    and stops at the other, rest is where more time is spent.
    """
    x = ndimage.gaussian_filter1d(
        np.asarray(trajectory, np.float64), _SMOOTH_S * rate, axis=0, mode="nearest"
    )
    x -= x.mean(0)
    _, axes = np.linalg.eigh(x.T @ x)  # [D, D], however long the recording
    along = x @ axes[:, -1]
    low, high = np.percentile(along, [2, 98])
    extent = max(high - low, 1e-12)
    ends = max(round(_ENDS_S * rate), 1)
    place = [(along[part].mean() - low) / extent for part in (slice(ends), slice(-ends, None))]
    if min(place) > 0.5 or (max(place) > 0.5 and np.median(along) - low > high - np.median(along)):
        along, low = -along, -high
    return along - low
