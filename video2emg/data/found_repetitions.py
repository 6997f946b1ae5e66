"""Repetitions as they are found in the pose of a set, with the labels of the true ones."""

import dataclasses
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core.clip import Clip, Clips, Repetition
from video2emg.core.pose_track import BODY, PoseTrack
from video2emg.data.pose_noise import PoseNoise
from video2emg.data.repetitions import cut
from video2emg.pose.repetitions import repeated

_OVERLAP = 0.5  # least intersection over union of a found and a true repetition
_RATE = 25.0  # Hz, at which the pose is looked at


class SeenClips:
    """Clips whose pose has the errors of an estimator, the same in the whole clip."""

    def __init__(self, source: Clips, noise: PoseNoise) -> None:
        """Reads `source` on demand; a single joint is lost with its limb only."""
        self.source, self._noise = source, dataclasses.replace(noise, drop_joint=0.0)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> Clip:
        clip = self.source[index]
        rate = (len(clip.pose_time) - 1) / float(clip.pose_time[-1] - clip.pose_time[0])
        rng = np.random.default_rng(zlib.crc32(clip.clip_id.encode()))
        pose = self._noise(clip.joints, clip.pose, rate, rng)
        return dataclasses.replace(clip, pose=pose.astype(np.float32))


class FoundRepetitions:
    """The found repetitions of all sets as clips of their own, as `Repetitions` of the true ones.

    Found repetitions that overlap with no true one have no labels, and are left out.

    Attributes:
      sets: number of sets.
      counted: number of sets in which as many repetitions are found as there are.
      true: number of true repetitions.
      extra: number of found repetitions that overlap with no true one.
      bound_errors: [2 K] s, found minus true beginnings and ends of the K clips.
    """

    def __init__(self, source: Clips, longest: float) -> None:
        """Finds the repetitions of all sets.

        Args:
          source: sets; clips of a single repetition have no bounds to find.
          longest: s, see `repetitions.cut`.
        """
        self._source, self._longest = source, longest
        self._places: list[tuple[int, int]] = []  # (set, which of its found repetitions)
        self._repetitions: dict[int, tuple[Repetition, ...]] = {}  # found, of each set
        self._last: tuple[int, Clip] | None = None  # the set that was read last
        self.sets = self.counted = self.true = self.extra = 0
        errors: list[float] = []
        for index in range(len(source)):
            clip = source[index]
            true = clip.repetitions or ()
            spans = found_spans(clip)
            pairs = match(spans, [(r.start, r.end) for r in true])
            self.sets += 1
            self.counted += len(spans) == len(true)
            self.true += len(true)
            self.extra += len(spans) - len(pairs)
            errors += [spans[f][0] - true[t].start for f, t in pairs]
            errors += [spans[f][1] - true[t].end for f, t in pairs]
            labels = {f: true[t] for f, t in pairs}
            self._repetitions[index] = tuple(
                dataclasses.replace(labels[f], start=start, end=end)
                if f in labels
                else Repetition(start=start, end=end)
                for f, (start, end) in enumerate(spans)
            )
            self._places += [(index, f) for f, _ in pairs]
        self.bound_errors = np.array(errors)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int, /) -> Clip:
        place, number = self._places[index]
        if self._last is None or self._last[0] != place:
            found = self._repetitions[place]
            self._last = place, dataclasses.replace(self._source[place], repetitions=found)
        return cut(self._last[1], number, self._longest)


def found_spans(clip: Clip) -> list[tuple[float, float]]:
    """Start and end of each repetition that the pose of a clip shows, s."""
    return list(repeated(thinned_track(clip, _RATE)).spans)


def thinned_track(clip: Clip, rate: float) -> PoseTrack:
    """The pose of a clip that faces x, with every n-th instant, at about `rate` Hz."""
    every = max(round(1 / (rate * float(np.median(np.diff(clip.pose_time))))), 1)
    joints = clip.pose[::every].astype(np.float64)
    known = np.isfinite(joints).all(2).astype(float)
    return PoseTrack(clip.joints, clip.pose_time[::every], joints, known, axes=BODY)


def match(
    found: Sequence[tuple[float, float]], true: Sequence[tuple[float, float]]
) -> list[tuple[int, int]]:
    """Pairs (found, true) of spans that overlap by half of their union; each occurs once at most.

    Spans of either list do not overlap each other, so a span has at most one such partner.
    """
    pairs = []
    for f, (start, end) in enumerate(found):
        for t, (begin, stop) in enumerate(true):
            shared = min(end, stop) - max(start, begin)
            if shared > _OVERLAP * (max(end, stop) - min(start, begin)):
                pairs.append((f, t))
    return pairs
