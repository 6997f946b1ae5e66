"""Whether a body repeats a movement, and how often: from the angles of its limbs alone."""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage, signal

from video2emg.core.pose_track import PoseTrack
from video2emg.pose.angles import MOVING_KINDS, moving_angles

LEAST_RANGE = 25.0  # degrees of a movement that counts

# Limits of the even clock on which turning points are looked for, whatever the times of the track.
_MOST_HZ, _MOST_SAMPLES = 250.0, 2_000_000
_SMOOTH_S = 0.15  # standard deviation of the Gaussian filter
_SHORTEST_S = 0.6  # between two turning points
_PROMINENCE = 0.3  # of a turning point, as a share of the range
_SEEN = 0.6  # share of the time that an angle must be known
_TOGETHER = 0.4  # the same, on both sides at once, for the mean of both
_IN_PHASE = 0.7  # correlation of sides that move together
_EXTREME = 2.0  # percentiles of the range from each end, at most;
_EXTREME_S = 1.0  # in long films so much time, because a set may be a small part of them
_ENDS_S = 0.5  # at both ends, which show the rest
_REST = 0.4  # share of the range within which a single repetition begins and ends
_MOVING = 0.7  # of the largest range, from which the other angles are compared
_ALIKE = 0.7  # least likeness of repetitions, see `_alike`
_SIZE = 0.25  # weight of the squared differences in how far repetitions go: some are broken off
_LOW, _HIGH = 0.1, 0.5  # shares of a rise whose times give its beginning
# A minimum-jerk movement that lasts 1 s passes `_LOW` at 0.247 s and `_HIGH` at 0.5 s, so it begins
# 1.98 times their distance before `_HIGH`. Smoothing makes the distance longer, hence less.
_BEGINNING = 1.75


@dataclasses.dataclass(frozen=True)
class Repeated:
    """A repeated movement.

    Attributes:
      angle: of `angles.MOVING_KINDS`, which moves most; empty if none is seen.
      range: of it, mean of the sides that are seen, degrees.
      turns: s, of the turning points farthest from rest.
      spans: (start, end) of the movement around each, s.
      alike: how alike the repetitions are, 0 to 1; 1 of a single one.
      returns: whether the recording begins and ends near rest.
    """

    angle: str
    range: float
    turns: tuple[float, ...]
    spans: tuple[tuple[float, float], ...]
    alike: float
    returns: bool

    @property
    def is_exercise(self) -> bool:
        """Whether it is one repetition from rest to rest, or several that resemble each other."""
        if self.range < LEAST_RANGE or not self.turns:
            return False
        return self.returns if len(self.turns) == 1 else self.alike >= _ALIKE


def repeated(track: PoseTrack) -> Repeated:
    """The movement of a track, any axes."""
    nothing = Repeated("", 0.0, (), (), 0.0, False)
    if len(track.times) < 5:
        return nothing
    covered_s = float(track.times[-1] - track.times[0])
    rate = min(track.rate, _MOST_HZ, _MOST_SAMPLES / covered_s)
    times = np.arange(track.times[0], track.times[-1], 1 / rate)
    nearest = _nearest(track.times, times)
    covered = np.abs(track.times[nearest] - times) < 1.5 / rate  # else in a gap of the clock
    angles = moving_angles(track.joints, track.names)[nearest]
    kinds = len(MOVING_KINDS)
    courses = np.stack([_mean(angles[:, k::kinds]) for k in range(kinds)], 1)
    known = np.isfinite(courses[covered]).mean(0) >= _SEEN
    if not known.any() or len(times) < 5:
        return nothing
    smooth = np.stack([_filled(column, rate) for column in courses[:, known].T], 1)
    beyond = min(_EXTREME, 100 * _EXTREME_S * rate / len(smooth))
    low, high = np.percentile(smooth, [beyond, 100 - beyond], axis=0)
    leading = int((high - low).argmax())
    extent = float((high - low)[leading])
    depth = _from_rest(smooth[:, leading], low[leading], high[leading], rate)
    turns, _ = signal.find_peaks(
        np.r_[0.0, depth, 0.0],
        prominence=max(_PROMINENCE * extent, 0.5 * LEAST_RANGE),
        distance=max(round(_SHORTEST_S * rate), 1),
    )
    turns = turns - 1
    ends = max(round(_ENDS_S * rate), 1)
    returns = max(depth[:ends].min(), depth[-ends:].min()) < _REST * extent
    name = [kind for kind, seen in zip(MOVING_KINDS, known, strict=True) if seen][leading]
    # Angles that hardly move are mostly noise.
    moving = smooth[:, (high - low) >= max(_MOVING * extent, LEAST_RANGE)]
    alike = _alike(moving, turns, depth)
    spans = tuple((times[0] + a, times[0] + b) for a, b in bounds(depth, turns, rate))
    return Repeated(name, extent, tuple(times[turns].tolist()), spans, alike, bool(returns))


def bounds(
    depth: Float[np.ndarray, " T"], turns: Int[np.ndarray, " R"], rate: float
) -> list[tuple[float, float]]:
    """Where the movements around turning points begin and end, s; not overlapping.

    They are where a minimum-jerk movement (Flash & Hogan, 1985) through 10 % and 50 % of the rise
    or fall would begin or end.

    Args:
      depth: distance from rest.
      turns: the turning points in it, in order.
      rate: Hz.
    """
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


def _nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of the nearest of the times, for each of those that are wanted."""
    right = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    return np.where(wanted - times[right - 1] <= times[right] - wanted, right - 1, right)


def _mean(sides: Float[np.ndarray, "T 2"]) -> Float[np.ndarray, " T"]:
    """Mean of both sides; of the one that is seen more often if both are seldom seen together.

    Where only one side is seen and both usually move together, the other is taken to do so there.
    """
    seen = np.isfinite(sides)
    both = seen.all(1)
    if both.mean() < _TOGETHER:
        return sides[:, int(seen.sum(0).argmax())]
    mean = sides[both].mean(0)
    about = sides[both] - mean
    variance, product = (about**2).mean(0) + 1e-9, about.prod(1).mean()
    if product < _IN_PHASE * np.sqrt(variance.prod()):  # one side rests, or they alternate
        return sides.mean(1)
    other = mean + (sides - mean)[:, ::-1] * np.clip(product / variance[::-1], 0.0, 2.0)
    return np.where(seen, sides, other).mean(1)


def _filled(values: Float[np.ndarray, " T"], rate: float) -> Float[np.ndarray, " T"]:
    known = np.flatnonzero(np.isfinite(values))
    filled = np.interp(np.arange(len(values)), known, values[known])
    return ndimage.gaussian_filter1d(filled, _SMOOTH_S * rate, mode="nearest")


def _from_rest(values: np.ndarray, low: float, high: float, rate: float) -> np.ndarray:
    """Distance from rest, the end of the range at which a recording begins and ends."""
    ends = max(round(_ENDS_S * rate), 1)
    place = [
        (part.mean() - low) / max(high - low, 1e-9) for part in (values[:ends], values[-ends:])
    ]
    middle = (np.median(values) - low) / max(high - low, 1e-9)
    from_high = min(place) > 0.5 or (max(place) > 0.5 and middle > 0.5)
    return high - values if from_high else values - low


def _alike(courses: Float[np.ndarray, "T K"], turns: np.ndarray, depth: np.ndarray) -> float:
    """1 less the deviation of the repetitions from their mean, by the mean: 1 if all are the same.

    Compared is by how much all angles change from rest to the turning point and back to rest. A
    repetition that goes less far in the same way differs less than one that goes another way.
    """
    if len(turns) < 2:
        return float(len(turns))
    rests = [a + int(depth[a:b].argmin()) for a, b in itertools.pairwise(turns)]
    first, last = int(depth[: turns[0] + 1].argmin()), turns[-1] + int(depth[turns[-1] :].argmin())
    bounds = [first, *rests, last]
    changes = [
        np.r_[courses[turn] - courses[before], courses[turn] - courses[after]]
        for turn, (before, after) in zip(turns, itertools.pairwise(bounds), strict=True)
    ]
    ways = np.stack(changes)
    mean = ways.mean(0)
    length = max(float(np.linalg.norm(mean)), 1e-9)
    along = (ways - mean) @ mean / length
    across = ways - mean - np.outer(along, mean / length)
    deviation = np.sqrt(np.mean(_SIZE * along**2 + np.sum(across**2, axis=1)))
    return float(max(1 - deviation / length, 0))
