"""Start and end of each repetition of a set, from the movement of the body."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal

_SMOOTH_S = 0.12  # s, standard deviation of the Gaussian that smooths the trajectory
_SHORTEST_S = 0.9  # s between the turning points of two repetitions
# Height and prominence of a turning point, as shares of the usual depth of the movement. They are
# small, because a repetition that is broken off or done badly may have less than half of the depth.
_HEIGHT, _PROMINENCE = 0.25, 0.2
_LOW, _HIGH = 0.1, 0.5  # shares of a rise whose times give its beginning
# A minimum-jerk movement that lasts 1 s passes `_LOW` at 0.247 s and `_HIGH` at 0.5 s, so it begins
# 1.98 times their distance before `_HIGH`. Smoothing makes the distance longer, hence less.
_BEGINNING = 1.75
_ENDS_S = 0.4  # s at both ends of the recording that show the rest


def segment(trajectory: Float[np.ndarray, "T D"], rate: float) -> list[tuple[float, float]]:
    """Finds the repetitions of a repeated movement.

    The first principal component of the trajectory measures the distance from rest. Its peaks are
    the turning points. Start and end of a repetition are where a minimum-jerk movement (Flash &
    Hogan, 1985) through 10 % and 50 % of the rise or fall would begin or end.

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
    # Between two turning points the rest is where the movement is least deep.
    rests = [left + int(depth[left:right].argmin()) for left, right in itertools.pairwise(turns)]
    before, after = [0, *rests], [*rests, len(depth) - 1]
    last, spans = 0.0, []
    for turn, first, end in zip(turns, before, after, strict=True):
        start = max(turn - _reach(depth[first : turn + 1][::-1]), first, last)
        last = min(turn + _reach(depth[turn : end + 1]), end)
        spans.append((float(start) / rate, float(last) / rate))
    return spans


def _reach(fall: Float[np.ndarray, " n"]) -> float:
    """Samples from a turning point to the end of a movement that falls from it towards rest."""
    bottom = float(fall.min())
    share = (fall - bottom) / max(float(fall[0]) - bottom, 1e-12)
    high, low = (_last_above(share, level) for level in (_HIGH, _LOW))
    return high + _BEGINNING * (low - high)


def _last_above(values: Float[np.ndarray, " n"], level: float) -> float:
    """Place at which a sequence first falls below a level, between its samples."""
    below = np.flatnonzero(values < level)
    if not len(below) or not below[0]:
        return float(len(values) - 1)
    k = int(below[0])
    return k - 1 + (values[k - 1] - level) / (values[k - 1] - values[k])


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
