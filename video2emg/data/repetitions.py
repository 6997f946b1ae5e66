"""Clips of single repetitions, cut out of sets, for judging and for counting."""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core.clip import Clip, Clips, Repetition

MARGIN = 0.5  # s at most, kept before and after the movement of a repetition


class Repetitions:
    """The repetitions of all clips of a split as clips of their own.

    A clip that is a single repetition stays as it is; one of free movement has none.

    Attributes:
      shortened: how many repetitions are longer than `longest`.
    """

    def __init__(self, source: Clips, longest: float = math.inf):
        """Counts the repetitions, which reads every clip once.

        Args:
          source: the clips.
          longest: s; see `cut`.
        """
        self.source, self._longest, self.shortened = source, longest, 0
        counts = []
        for clip in (source[i] for i in range(len(source))):
            repetitions = clip.repetitions
            counts.append(1 if repetitions is None else len(repetitions))
            self.shortened += sum(r.end - r.start > longest for r in repetitions or ())
        self._ends = list(itertools.accumulate(counts))
        self._last: tuple[int, Clip] | None = None  # the set that was read last

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Clip:
        if not 0 <= index < len(self):
            raise IndexError(index)
        clip = bisect.bisect_right(self._ends, index)
        first = self._ends[clip - 1] if clip else 0
        last = self._last
        if last is None or last[0] != clip:
            last = self._last = clip, self.source[clip]
        return cut(last[1], index - first, self._longest)

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))


def cut(clip: Clip, number: int, longest: float = math.inf) -> Clip:
    """Repetition `number` (from 0) of a set, on its own clock; a single repetition as it is.

    The cut leaves `MARGIN` before and after the movement, and less where the next repetition is
    nearer: the pause between two repetitions is shared. A cut of more than `longest` s loses its
    ends, equally far from the middle of the movement.
    """
    if clip.repetitions is None:
        return clip
    repetition = clip.repetitions[number]
    movements = [(r.start, r.end) for r in clip.repetitions]
    start, end = bounds(movements, number, clip.end, longest)
    frames = (clip.frame_time >= start) & (clip.frame_time <= end)
    emg = (clip.emg_time >= start) & (clip.emg_time <= end)
    pose = (clip.pose_time >= start) & (clip.pose_time <= end)
    points = (clip.keypoint_time >= start) & (clip.keypoint_time <= end)
    heart, breath = (
        (time >= start) & (time <= end) for time in (clip.heart_time, clip.breath_time)
    )
    return dataclasses.replace(
        clip,
        clip_id=f"{clip.clip_id}_r{number + 1:02d}",
        frames=[clip.frames[i] for i in np.flatnonzero(frames)],
        frame_view=clip.frame_view[frames],
        frame_time=clip.frame_time[frames] - start,
        emg=clip.emg[emg],
        emg_start=float(clip.emg_time[emg][0] - start) if emg.any() else 0.0,
        pose=clip.pose[pose] if len(clip.pose) else clip.pose,
        pose_time=clip.pose_time[pose] - start,
        torque=clip.torque[pose] if len(clip.torque) else clip.torque,
        drive=clip.drive[pose] if len(clip.drive) else clip.drive,
        keypoints=clip.keypoints[points] if len(clip.keypoints) else clip.keypoints,
        keypoint_view=clip.keypoint_view[points],
        keypoint_time=clip.keypoint_time[points] - start,
        heart_rate=clip.heart_rate[heart],
        heart_time=clip.heart_time[heart] - start,
        breath_rate=clip.breath_rate[breath],
        breath_time=clip.breath_time[breath] - start,
        phases=_shifted(repetition, start, end),
        errors=repetition.errors,
        score=repetition.score,
        repetitions=None,
        provenance=clip.provenance | {"set": clip.clip_id, "repetition": number + 1},
    )


def bounds(
    movements: Sequence[tuple[float, float]], number: int, end: float, longest: float
) -> tuple[float, float]:
    """Start and end of the cut around movement `number` (from 0) of a recording.

    Args:
      movements: (start, end) of each, s, in order.
      number: which.
      end: of the recording, s.
      longest: cut, s; a longer one loses its ends.
    """
    begin, stop = movements[number]
    earliest = (movements[number - 1][1] + begin) / 2 if number else 0.0
    latest = (stop + movements[number + 1][0]) / 2 if number + 1 < len(movements) else end
    middle = (begin + stop) / 2
    return (
        max(begin - MARGIN, earliest, middle - longest / 2),
        min(stop + MARGIN, latest, middle + longest / 2),
    )


def _shifted(
    repetition: Repetition, start: float, end: float
) -> tuple[tuple[str, float, float], ...]:
    """The key steps within the cut, on its clock; a preparation starts with it at the earliest."""
    return tuple(
        (step, max(begin, start) - start, min(stop, end) - start)
        for step, begin, stop in repetition.phases
        if begin < end and stop > start
    )
