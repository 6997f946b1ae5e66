"""Gaps, jitter, and left and right that a net exchanged."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, signal

from video2emg.core.pose_track import PoseTrack
from video2emg.core.vocabulary import SIDES, mirror

CUTOFF_HZ = 6.0  # of the low-pass filter
GAP_S = 0.3  # longest gap that is filled

_MOST_CUTOFF = 0.8  # of the highest frequency that the rate of the film allows
_FEWEST = 12  # instants that the filter needs
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
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
    filled = np.stack([np.interp(even, times[known], column[known]) for column in values.T], 1)
    if len(even) >= _FEWEST:
        cutoff = min(CUTOFF_HZ * 2 * step, _MOST_CUTOFF)
        filled = signal.sosfiltfilt(signal.butter(2, cutoff, output="sos"), filled, axis=0)
    return np.stack([np.interp(times, even, column) for column in filled.T], 1)


def undo_exchanges(
    track: PoseTrack, cuts: Sequence[float] = ()
) -> tuple[PoseTrack, Bool[np.ndarray, " T"]]:
    """Finds instants at which left and right are exchanged, and exchanges them back.

    A net may take a back for a front: the names of all limbs then jump to the other side. The most
    even course over time is found, in the picture and in space (Viterbi). Which of its two namings
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
    in_space = np.nanmedian(np.linalg.norm(np.ptp(joints[..., :2], axis=1), axis=-1))
    in_picture = np.nanmedian(np.linalg.norm(np.ptp(points, axis=1), axis=-1))
    if not np.isfinite(in_space):
        return points / in_picture
    return np.concatenate([joints, points * (in_space / in_picture)], -1)


def _steadiest(positions: Float[np.ndarray, "t P 2 D"]) -> Bool[np.ndarray, " t"]:
    """[t] whether to exchange the two of each pair, with the least movement from time to time."""
    before, after = positions[:-1], positions[1:]
    keep = np.nanmean(np.linalg.norm(after - before, axis=-1), (1, 2))
    cross = np.nanmean(np.linalg.norm(after[:, :, ::-1] - before, axis=-1), (1, 2))
    keep, cross = np.nan_to_num(keep), np.nan_to_num(cross) + _TIE
    # The cost of a step depends only on whether the state changes, so that the cheapest course
    # changes its state wherever crossing is cheaper.
    changes = cross < keep
    return np.r_[False, np.logical_xor.accumulate(changes)]


def swapped(track: PoseTrack, instants: Bool[np.ndarray, " T"]) -> PoseTrack:
    """The track with left and right exchanged at some instants."""
    names = track.names
    other = [names.index(m) if (m := mirror(n)) in names else i for i, n in enumerate(names)]

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
