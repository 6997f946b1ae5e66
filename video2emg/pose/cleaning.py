"""Gaps, jitter, and left and right that a net exchanged."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, signal

from video2emg.core import interpolation
from video2emg.core.pose_track import PoseTrack
from video2emg.core.vocabulary import SIDES, mirror_order

CUTOFF_HZ = 6.0  # of the low-pass filter
GAP_S = 0.3  # longest gap that is filled

_MOST_CUTOFF = 0.8  # of the highest frequency that the rate of the film allows
_FEWEST = 12  # instants that the filter needs
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LAGS = 6  # instants before, with which an instant is compared
_RARE = 0.01  # m per joint, the price of an instant that is exchanged
_TIE = 0.01  # m per joint that a frame must be better with left and right exchanged


def spans(
    times: Float[np.ndarray, " T"], cuts: Sequence[float] = (), seen: np.ndarray | None = None
) -> list[slice]:
    """The parts of a track between cuts and between gaps that are not filled.

    Args:
      times: s.
      cuts: s, of the first instant after each cut.
      seen: [T] bool, instants at which there is a person; else all.
    """
    known = np.flatnonzero(np.ones(len(times), bool) if seen is None else seen)
    if not len(known):
        return []
    scene = np.searchsorted(np.asarray(cuts, float), times[known] + 1e-9, "right")
    breaks = (np.diff(times[known]) > GAP_S) | (np.diff(scene) > 0)
    starts = np.r_[0, np.flatnonzero(breaks) + 1]
    ends = np.r_[starts[1:], len(known)] - 1
    return [slice(int(known[a]), int(known[b]) + 1) for a, b in zip(starts, ends, strict=True)]


def smooth(track: PoseTrack, cuts: Sequence[float] = ()) -> PoseTrack:
    """Fills gaps of up to `GAP_S` and removes jitter, within each of the `spans`.

    The filter is a Butterworth of second order, forward and backward, so that nothing is delayed
    (Winter, Biomechanics and Motor Control of Human Movement, 2.2.4.4). The track is sampled evenly
    before, because films may have a variable rate.
    """
    joints, confidence = np.full_like(track.joints, np.nan), np.zeros_like(track.confidence)
    points = None if track.points_2d is None else np.full_like(track.points_2d, np.nan)
    for j in range(len(track.names)):
        for part in spans(track.times, cuts, track.confidence[:, j] > 0):
            times = track.times[part]
            joints[part, j] = _filtered(track.joints[part, j], times)
            if points is not None and track.points_2d is not None:
                points[part, j] = _filtered(track.points_2d[part, j], times)
            known = track.confidence[part, j] > 0
            confidence[part, j] = np.interp(times, times[known], track.confidence[part, j][known])
    return dataclasses.replace(track, joints=joints, confidence=confidence, points_2d=points)


def _filtered(values: Float[np.ndarray, "t D"], times: Float[np.ndarray, " t"]) -> np.ndarray:
    known = np.isfinite(values).all(1)
    if not known.any():
        return values
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    even = times[0] + step * np.arange(round((times[-1] - times[0]) / step) + 1)
    filled = interpolation.linear(values[known], times[known], even)
    if len(even) >= _FEWEST:
        cutoff = min(CUTOFF_HZ * 2 * step, _MOST_CUTOFF)
        filled = signal.sosfiltfilt(signal.butter(2, cutoff, output="sos"), filled, axis=0)
    return interpolation.linear(filled, even, times)


def undo_exchanges(
    track: PoseTrack, cuts: Sequence[float] = ()
) -> tuple[PoseTrack, Bool[np.ndarray, " T"]]:
    """Finds instants at which left and right are exchanged, and exchanges them back.

    A net may take a back for a front: the names of all limbs then jump to the other side. The most
    even course over time is found, in the picture and in space. Which of its two namings
    is the right one is decided by the majority, within each of the `spans`.

    Returns:
      The track, and [T] whether an instant was exchanged.
    """
    pairs = [
        (track.names.index(f"left_{part}"), track.names.index(f"right_{part}"))
        for part in _PARTS
        if all(f"{side}_{part}" in track.names for side in SIDES)
    ]
    exchanged = np.zeros(len(track.times), bool)
    if not pairs:
        return track, exchanged
    both = track.confidence[:, np.ravel(pairs)].max(1) > 0
    for part in spans(track.times, cuts, both):
        inside = np.flatnonzero(both[part]) + part.start
        state = _steadiest(_positions(track, inside, pairs))
        exchanged[inside] = state if state.mean() <= 0.5 else ~state
    return swapped(track, exchanged), exchanged


def _positions(
    track: PoseTrack, inside: Int[np.ndarray, " t"], pairs: list[tuple[int, int]]
) -> Float[np.ndarray, "t P 2 D"]:
    """Both joints of each pair, m: in space and, if known, in the picture."""
    joints = track.joints[inside][:, pairs]
    if track.points_2d is None:
        return joints
    points = track.points_2d[inside][:, pairs]
    in_space, in_picture = (
        _median(np.linalg.norm(np.ptp(values[:, :, :, :2], axis=2), axis=-1))
        for values in (joints, points)
    )
    if not in_space > 0:
        return points
    return np.concatenate([joints, points * (in_space / max(in_picture, 1e-9))], -1)


def _median(values: np.ndarray) -> float:
    """Of what is known; 0 if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _steadiest(positions: Float[np.ndarray, "t P 2 D"]) -> Bool[np.ndarray, " t"]:
    """[t] whether to exchange the two of each pair, with the least movement over time.

    Each instant is compared with the `_LAGS` instants before it, since a net may waver for one or
    two pictures while it changes its mind. The course with the least sum is found exactly; a state
    is what was decided at these instants, one bit each, the last one lowest.
    """
    count, states = len(positions), 2**_LAGS
    bits = (np.arange(states)[:, None] >> np.arange(_LAGS)) & 1  # [S, L], lag 1 first
    gain = np.zeros((count, _LAGS))  # what an exchange between two instants costs
    for lag in range(1, min(_LAGS, count - 1) + 1):
        before, after = positions[:-lag], positions[lag:]
        keep = _mean_distance(after, before)
        cross = _mean_distance(after[:, :, ::-1], before) + _TIE
        gain[lag:, lag - 1] = (cross - keep) / lag
    rare = _RARE * (np.arange(states) & 1)
    cost = np.where(np.arange(states) == 0, 0.0, np.inf)  # nothing is exchanged before the first
    came_from = np.zeros((count, states), np.int8)
    upper = np.arange(states) >> 1
    for t in range(count):
        # The state after t has the decision of t as its lowest bit; the oldest one may be either.
        # An exchange relative to each earlier instant costs its gain.
        options = []
        for oldest in (0, 1):
            old = upper | (oldest << (_LAGS - 1))
            differs = bits[old] != (np.arange(states) & 1)[:, None]
            options.append(cost[old] + differs @ gain[t])
        came_from[t] = options[1] < options[0]
        cost = np.minimum(*options) + rare
    state = int(cost.argmin())
    exchanged = np.zeros(count, bool)
    for t in range(count - 1, -1, -1):
        exchanged[t] = state & 1
        state = (state >> 1) | (int(came_from[t, state]) << (_LAGS - 1))
    return exchanged


def _mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[t] mean over the joints of two courses; 0 where none is known."""
    distance = np.linalg.norm(a - b, axis=-1)
    known = np.isfinite(distance)
    return np.where(known, distance, 0).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1)


def swapped(track: PoseTrack, instants: Bool[np.ndarray, " T"]) -> PoseTrack:
    """The track with left and right exchanged at some instants."""
    if not instants.any():
        return track
    other = mirror_order(track.names, strict=False)

    def exchange(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[instants] = values[instants][:, other]
        return values

    return dataclasses.replace(
        track,
        joints=exchange(track.joints),
        confidence=exchange(track.confidence),
        points_2d=None if track.points_2d is None else exchange(track.points_2d),
    )


def steady_confidence(track: PoseTrack, seconds: float = 1.0) -> Float[np.ndarray, "T J"]:
    """Confidence averaged over a time, so that joints do not come and go."""
    width = max(round(seconds * track.rate), 1) if len(track.times) > 1 else 1
    return ndimage.uniform_filter1d(track.confidence, width, axis=0, mode="nearest")
