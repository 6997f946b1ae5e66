"""The pose of one person in a film, picture by picture."""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core.pose_track import PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.thinning import thinned
from video2emg.pose import people, weights
from video2emg.pose.blazepose import JOINTS, BlazePose, Detection, Landmarks, Region, nearest

_Item = TypeVar("_Item")

SIZE = 640  # px of the longer edge, at which pictures are searched
# The film's beginning, in which people are compared: pictures per second until a time, s.
SEARCH = ((6.0, 4.0), (2.0, 16.0))

_PRESENT = 0.5  # least presence of a person in the region
_LOST = 0.6  # difference of regions at which it is not the same person, plus 1 per second
_THUMB = 32  # px of the grey thumbnails by which cuts are found
_CUT, _CUT_RATIO = 0.08, 6.0  # least mean change at a cut, of full brightness, and of the usual one


@dataclasses.dataclass(frozen=True)
class Watched:
    """What was seen in a film.

    Attributes:
      track: of the person, in the camera's axes.
      cuts: s, of the first picture after each cut.
      size: width and height of the upright picture, px.
      brightness: mean of the region around the person, 0 to 1.
    """

    track: PoseTrack
    cuts: tuple[float, ...]
    size: tuple[int, int]
    brightness: float


def load(net: str = "full", folder: str = "", threads: int = 2) -> BlazePose:
    """The estimator.

    Args:
      net: one of `weights.NETS`.
      folder: of the weights, see `weights.find`.
      threads: of one call.
    """
    return BlazePose(*weights.find(net, folder), threads=threads)


def estimate(
    frames: Sequence[Image.Image | np.ndarray],
    times: Float[np.ndarray, " T"],
    model: BlazePose,
    person: int = 0,
) -> PoseTrack:
    """The pose of the person who exercises, in the camera's axes.

    Args:
      frames: upright RGB pictures, as Pillow's or [H, W, 3] uint8.
      times: of the frames, s.
      model: from `load`.
      person: from the left, from 1; 0 to choose by movement.
    """
    pictures = [Image.fromarray(f) if isinstance(f, np.ndarray) else f for f in frames]
    timed = list(zip(times.tolist(), pictures, strict=True))
    found = people.find_people(shrunk(searched(timed)), model)
    chosen = people.choose(found, person)[0] if found else None
    return watch(timed, model, chosen).track


def watch(
    pictures: Iterable[tuple[float, Image.Image]],
    model: BlazePose,
    person: people.Person | None = None,
    size: tuple[int, int] | None = None,
) -> Watched:
    """Follows one person through all pictures.

    Args:
      pictures: (s, upright RGB picture), in order; read once.
      model: from `load`.
      person: from `people.find_people` of the pictures `shrunk`; else the one with the largest
        region is followed.
      size: width and height of the film, px, if the pictures are shrunk.
    """
    recorder = PoseRecorder(model, person, size)
    for time, picture in pictures:
        recorder.add(time, picture)
    return recorder.watched()


class PoseRecorder:
    """Follows one person and keeps what was seen."""

    def __init__(
        self,
        model: BlazePose,
        person: people.Person | None = None,
        size: tuple[int, int] | None = None,
    ):
        """Arguments as of `watch`."""
        self._follower, self._cut = Follower(model, person), _Cuts()
        self._told_size = size
        self._size, self._scale = size or (0, 0), 1.0
        self._times: list[float] = []
        self._seen: list[np.ndarray] = []
        self._brightness: list[float] = []  # NaN where nobody was seen
        self._cut_times: list[float] = []

    def add(self, time: float, picture: Image.Image) -> None:
        """Looks at the next picture."""
        small = shrink(picture)
        self._size = self._told_size or picture.size
        self._scale = max(self._size) / max(small.size)
        if self._cut(small):
            self._cut_times.append(time)
            self._follower.forget(time)
        landmarks = self._follower(time, small)
        self._times.append(time)
        if landmarks is None:
            self._seen.append(_nobody())
            self._brightness.append(math.nan)
        else:
            self._seen.append(_packed(landmarks))
            self._brightness.append(people.brightness(small, landmarks.region))

    def forget_before(self, time: float) -> None:
        """Drops the pictures before this time, s."""
        first = bisect.bisect_left(self._times, time)
        for kept in (self._times, self._seen, self._brightness):
            del kept[:first]
        self._cut_times = [cut for cut in self._cut_times if cut >= time]

    def watched(self) -> Watched:
        """What was seen in the pictures that are kept."""
        packed = np.array(self._seen, np.float32).reshape(-1, JOINTS, 6)
        track = PoseTrack(
            names=BLAZEPOSE_33,
            times=np.array(self._times, float),
            joints=packed[..., 2:5],
            confidence=packed[..., 5],
            points_2d=packed[..., :2] * self._scale,
            source="BlazePose",
        )
        light = [value for value in self._brightness if not math.isnan(value)]
        brightness = float(np.mean(light)) if light else math.nan
        return Watched(track, tuple(self._cut_times), self._size, brightness)


def _nobody() -> Float[np.ndarray, "33 6"]:
    """As `_packed`, of a picture in which nobody was seen."""
    packed = np.full((JOINTS, 6), np.nan, np.float32)
    packed[:, 5] = 0
    return packed


def _packed(landmarks: Landmarks) -> Float[np.ndarray, "33 6"]:
    """Points, world and visibility of a picture in few bytes, for films of an hour."""
    parts = (landmarks.points, landmarks.world, landmarks.visibility[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


class Follower:
    """Follows one person from picture to picture, and searches again when the person is lost."""

    def __init__(self, model: BlazePose, person: people.Person | None = None):
        """Follows `person`, or whoever has the largest region."""
        self._model = model
        self._known = list(zip(person.times, person.regions, strict=True)) if person else []
        self._region: Region | None = None
        self._last: tuple[float, Region] | None = None

    def forget(self, time: float) -> None:
        """Searches anew in the picture of this time, in which everybody may be elsewhere."""
        self._region = self._last = None
        self._known = [known for known in self._known if known[0] >= time]

    def __call__(self, time: float, picture: Image.Image) -> Landmarks | None:
        """The person's joints in the next picture; None if the person is not in it."""
        expected = self._expected(time)
        region = self._region
        if region is not None and expected and not _same(region, expected, time, 0.3):
            region = None  # somebody else is followed
        for _ in range(2):
            if region is None:
                region = self._search(picture, time, expected)
                if region is None:
                    break
                searched = True
            else:
                searched = False
            landmarks = self._model.landmarks(picture, region)
            if landmarks.presence >= _PRESENT:
                self._region, self._last = landmarks.region, (time, landmarks.region)
                return landmarks
            region = None
            if searched:
                break
        self._region = None
        return None

    def _expected(self, time: float) -> tuple[float, Region] | None:
        """When and where the person was, nearest in time."""
        if not self._known:
            return self._last
        known = min(self._known, key=lambda item: abs(item[0] - time))
        if self._last and abs(self._last[0] - time) < abs(known[0] - time):
            return self._last
        return known

    def _search(
        self, picture: Image.Image, time: float, expected: tuple[float, Region] | None
    ) -> Region | None:
        found = self._model.detect(picture)
        if not found:
            return None
        if expected is None:
            return max(found, key=_prominence).region
        best = nearest(found, expected[1]).region
        return best if _same(best, expected, time, math.inf) else None


def _prominence(detection: Detection) -> float:
    return detection.score * detection.region.size


def _same(region: Region, expected: tuple[float, Region], time: float, within: float) -> bool:
    """Whether a region may be the expected person's; who was not seen within some time may be."""
    elapsed = abs(time - expected[0])
    return elapsed > within or region.distance(expected[1]) < _LOST + elapsed


def shrink(picture: Image.Image) -> Image.Image:
    """The picture with at most `SIZE` px of the longer edge."""
    factor = SIZE / max(picture.size)
    if factor >= 1:
        return picture
    width, height = (max(1, round(edge * factor)) for edge in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def shrunk(pictures: Iterable[tuple[float, Image.Image]]) -> Iterator[tuple[float, Image.Image]]:
    """Each of the pictures by `shrink`."""
    return ((time, shrink(picture)) for time, picture in pictures)


def searched(timed: Iterable[tuple[float, _Item]]) -> Iterator[tuple[float, _Item]]:
    """What is searched for people: more at first, so that short films show enough."""
    end = SEARCH[-1][1]
    return thinned(itertools.takewhile(lambda one: one[0] <= end, timed), _search_rate)


def _search_rate(time: float) -> float:
    """Pictures per second that are searched at a time of the film's beginning, Hz."""
    return next(rate for rate, until in SEARCH if time <= until)


class _Cuts:
    """Finds cuts: pictures that differ from the one before far more than pictures usually do."""

    def __init__(self):
        self._before: np.ndarray | None = None
        self._usual = 0.0

    def __call__(self, picture: Image.Image) -> bool:
        grey = picture.convert("L").resize((_THUMB, _THUMB), Image.Resampling.BOX)
        thumb = np.asarray(grey, np.float32) / 255
        before, self._before = self._before, thumb
        if before is None:
            return False
        change = float(np.abs(thumb - before).mean())
        is_cut = change > max(_CUT, _CUT_RATIO * self._usual)
        if not is_cut:
            self._usual = 0.9 * self._usual + 0.1 * change
        return is_cut
