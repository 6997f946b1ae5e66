"""The movement of one person, as a pose estimator or a motion capture system saw it."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline

# Axes of the joints. CAMERA: x to the right of the picture, y down, z away from the camera.
# UPRIGHT: z up, right-handed; which way x points is not known. BODY: as UPRIGHT, and x points where
# the person faces (mean over the track).
CAMERA, UPRIGHT, BODY = "camera", "upright", "body"
FASTEST_HZ = 1000.0  # of any pose: motion capture takes 100 to 500 pictures a second


@dataclasses.dataclass(frozen=True)
class PoseTrack:
    """Joints of one person over time.

    A joint that was not seen has confidence 0 and a position of NaN, in 3-D and in 2-D. A source of
    2-D points without depth has confidences and `points_2d`, and positions of NaN. Arrays are not
    copied: tracks share what is the same, so do not change them.

    Attributes:
      names: J joints, see `core.skeleton`.
      times: s, increasing.
      joints: m; the origin is arbitrary and may move with the body.
      confidence: 0 to 1, as the source says it; 1 from sources that do not.
      points_2d: px of the upright picture, x to the right and y down; None without a picture.
      source: who or what saw the person, for people to read.
      axes: of `joints`: `CAMERA`, `UPRIGHT` or `BODY`.
    """

    names: tuple[str, ...]
    times: Float[np.ndarray, " T"]
    joints: Float[np.ndarray, "T J 3"]
    confidence: Float[np.ndarray, "T J"]
    points_2d: Float[np.ndarray, "T J 2"] | None = None
    source: str = ""
    axes: str = CAMERA

    def __post_init__(self):
        shape = (len(self.times), len(self.names))
        if self.joints.shape != (*shape, 3) or self.confidence.shape != shape:
            raise ValueError(f"{self.joints.shape} and {self.confidence.shape} of {shape} joints")
        if len(self.times) > 1 and not (np.diff(self.times) > 0).all():
            raise ValueError("the times do not increase")
        if not np.issubdtype(self.joints.dtype, np.floating):  # NaN marks what is unseen
            object.__setattr__(self, "joints", self.joints.astype(np.float64))
        unseen = ~(self.confidence > 0)
        self._fill("joints", unseen, np.nan)
        self._fill("points_2d", unseen, np.nan)
        self._fill("confidence", unseen, 0.0)

    def _fill(self, field: str, unseen: Bool[np.ndarray, "T J"], value: float) -> None:
        """Sets a field where nothing was seen; without a copy if it has the value there already."""
        values = getattr(self, field)
        if values is None or np.array_equal(
            values[unseen], np.full_like(values[unseen], value), equal_nan=True
        ):
            return
        values = values.copy()
        values[unseen] = value
        object.__setattr__(self, field, values)

    @functools.cached_property
    def seen(self) -> Bool[np.ndarray, "T J"]:
        """Which joints have a position."""
        return (self.confidence > 0) & np.isfinite(self.joints).all(2)

    @functools.cached_property
    def rate(self) -> float:
        """Hz, by the median step; NaN of fewer than two instants."""
        return float(1 / np.median(np.diff(self.times))) if len(self.times) > 1 else float("nan")

    @functools.cached_property
    def _bridged(self) -> Float[np.ndarray, "T J 3"]:
        """The joints with straight lines across gaps, however long; see `interpolate`."""
        if self.seen.all():
            return self.joints
        return interpolate(self.times, self.joints, self.times).astype(self.joints.dtype)

    def seen_at(self, times: Float[np.ndarray, " K"]) -> Bool[np.ndarray, "K J"]:
        """Which joints are known at other instants.

        A joint is known where it was seen at the nearest instant of the track, and nowhere more
        than one step before or after the track.
        """
        if not len(self.times):
            return np.zeros((len(times), len(self.names)), bool)
        earlier, later = self._neighbours(times)
        nearest = np.where(self.times[later] - times < times - self.times[earlier], later, earlier)
        step = 1 / self.rate if len(self.times) > 1 else 0.0
        inside = (times >= self.times[0] - step) & (times <= self.times[-1] + step)
        return self.seen[nearest] & inside[:, None]

    def _neighbours(self, times: Float[np.ndarray, " K"]) -> tuple[np.ndarray, np.ndarray]:
        """[K] instants of the track before and after; the first two or last two at its ends."""
        last = len(self.times) - 1
        earlier = np.clip(np.searchsorted(self.times, times), 1, max(last, 1)) - 1
        return earlier, np.minimum(earlier + 1, last)

    def sampled(
        self, times: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, "K J 3"], Bool[np.ndarray, "K J"]]:
        """Positions at other instants, interpolated linearly, NaN where unknown; which are known.

        The ends are held. See `seen_at` for what is known.
        """
        known = self.seen_at(times)
        if not len(self.times):
            return np.full((*known.shape, 3), np.nan), known
        earlier, later = self._neighbours(times)
        step = self.times[later] - self.times[earlier]
        share = (times - self.times[earlier]) / np.where(step > 0, step, 1.0)
        share = np.clip(share, 0.0, 1.0)[:, None, None]
        joints = (1 - share) * self._bridged[earlier] + share * self._bridged[later]
        return np.where(known[..., None], joints, np.nan), known

    def resampled(self, rate: float) -> "PoseTrack":
        """The track at regular instants, on cubic splines where a joint is always seen.

        Args:
          rate: Hz.
        """
        count = int((self.times[-1] - self.times[0]) * rate + 1e-6) + 1
        times = self.times[0] + np.arange(count) / rate
        known = self.seen_at(times)
        joints = interpolate(self.times, self.joints, times, smooth=True)
        return dataclasses.replace(
            self,
            times=times,
            joints=joints,
            confidence=known.astype(np.float64),
            points_2d=None,
        )

    def with_gaps_unseen(self, longest: float) -> "PoseTrack":
        """The track with instants at which nothing is seen, in gaps of its times.

        Args:
          longest: gap that stays as it is, s; so do gaps of three steps.
        """
        step = np.diff(self.times)
        if not len(step) or not (wide := step > max(longest, 3 / self.rate)).any():
            return self
        usual = 1 / self.rate
        before = np.flatnonzero(wide)
        place = np.repeat(before + 1, 2)
        edges = np.stack([self.times[before] + usual, self.times[before + 1] - usual], 1)
        return dataclasses.replace(
            self,
            times=np.insert(self.times, place, edges.ravel()),
            joints=np.insert(self.joints, place, np.nan, 0),
            confidence=np.insert(self.confidence, place, 0.0, 0),
            points_2d=None
            if self.points_2d is None
            else np.insert(self.points_2d, place, np.nan, 0),
        )

    def during(self, rows: slice | Bool[np.ndarray, " T"]) -> "PoseTrack":
        """The track at some of its instants, without points in the picture."""
        return dataclasses.replace(
            self,
            times=self.times[rows],
            joints=self.joints[rows],
            confidence=self.confidence[rows],
            points_2d=None,
        )

    def at(self, name: str) -> Float[np.ndarray, "T 3"]:
        """Positions of one joint, m; NaN if the track does not have it."""
        if name not in self.names:
            return np.full((len(self.times), 3), np.nan)
        return self.joints[:, self.names.index(name)]

    def masked(self, keep: Bool[np.ndarray, "T J"]) -> "PoseTrack":
        """The track without the joints that are not to be kept."""
        return dataclasses.replace(self, confidence=np.where(keep, self.confidence, 0.0))


def interpolate(
    times: Float[np.ndarray, " T"],
    joints: Float[np.ndarray, "T J 3"],
    wanted: Float[np.ndarray, " K"],
    smooth: bool = False,
) -> Float[np.ndarray, "K J 3"]:
    """Positions of joints at other instants, through those at which each joint is known.

    Gaps are bridged, however long they are, and the ends are held: the caller masks what it does
    not trust.

    Args:
      times: s, increasing.
      joints: in any unit; NaN where unknown.
      wanted: s.
      smooth: whether joints that are always known follow a cubic spline instead of straight lines;
        needs two instants or more.

    Returns:
      float64; NaN for a joint that is never known.
    """
    placed = np.full((len(wanted), *joints.shape[1:]), np.nan)
    known = np.asarray(np.isfinite(joints).all(2))
    whole = known.all(0) & smooth
    if whole.any():
        placed[:, whole] = CubicSpline(times, joints[:, whole])(wanted)
    for j in np.flatnonzero(known.any(0) & ~whole):
        at = known[:, j]
        for x in range(3):
            placed[:, j, x] = np.interp(wanted, times[at], joints[at, j, x])
    return placed
