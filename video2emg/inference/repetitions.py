"""Start and end of each repetition of a set, from the movement of the body."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal

_SMOOTH_S = 0.12  # s, standard deviation of the Gaussian that smooths the trajectory
_SHORTEST_S = 1.2  # s between the turning points of two repetitions
_PROMINENCE = 0.4  # of a turning point, as a share of the usual depth of the movement
_REST = 0.2  # share of the depth below which the body is at rest
_LEAD_S = 0.35  # s of rest before the first repetition and after the last


def segment(trajectory: Float[np.ndarray, "T D"], rate: float) -> list[tuple[float, float]]:
    """Splits a repeated movement into repetitions.

    The first principal component of the trajectory measures the distance from rest. Rest is the end
    of it at which more time is spent. Its peaks are the turning points of the repetitions. Two
    repetitions meet in the middle of the rest between their turning points.

    Args:
      trajectory: [T, D] coordinates over time (a predicted pose), of similar scale.
      rate: Hz.

    Returns:
      (start, end) in s, in order, not overlapping; empty if nothing repeats or moves.
    """
    if len(trajectory) < 3:
        return []
    depth = depth_from_rest(trajectory, rate)
    usual = float(np.percentile(depth, 95))
    if usual <= 0:
        return []
    turns, _ = signal.find_peaks(
        np.concatenate([[0.0], depth, [0.0]]),  # so that the first and last sample can be peaks
        height=0.5 * usual,
        prominence=_PROMINENCE * usual,
        distance=max(round(_SHORTEST_S * rate), 1),
    )
    turns = turns - 1
    if not len(turns):
        return []
    resting = depth < _REST * usual
    edges = [_rest_before(resting, int(turns[0]), rate)]
    for left, right in itertools.pairwise(turns):
        between = left + np.flatnonzero(resting[left : right + 1])
        if not len(between):  # no rest: the repetitions meet where the movement is least deep
            between = np.array([left + int(depth[left : right + 1].argmin())])
        edges.append((between[0] + between[-1]) / 2)
    reversed_edge = _rest_before(resting[::-1], len(depth) - 1 - int(turns[-1]), rate)
    edges.append(len(depth) - 1 - reversed_edge)
    return list(itertools.pairwise(float(edge) / rate for edge in edges))


def depth_from_rest(trajectory: Float[np.ndarray, "T D"], rate: float) -> Float[np.ndarray, " T"]:
    """[T] distance from rest along the first principal component; 0 is its 2nd percentile."""
    x = ndimage.gaussian_filter1d(
        np.asarray(trajectory, np.float64), _SMOOTH_S * rate, axis=0, mode="nearest"
    )
    x -= x.mean(0)
    _, axes = np.linalg.eigh(x.T @ x)  # [D, D], however long the recording
    along = x @ axes[:, -1]
    low, high = np.percentile(along, [2, 98])
    extent = high - low
    # Lifters spend more time at rest than at the turning point.
    if (along > high - _REST * extent).sum() > (along < low + _REST * extent).sum():
        along, low = -along, -high
    return along - low


def _rest_before(resting: np.ndarray, turn: int, rate: float) -> float:
    """Sample at which the repetition with the turning point `turn` begins, within the rest."""
    samples = np.flatnonzero(resting[: turn + 1])
    return 0.0 if not len(samples) else max(samples[-1] - _LEAD_S * rate, 0.0)
