"""What cannot be trusted in a pose that was estimated from a film, and what to film differently.

The limits come from 30 films of training with weights: upright exercises stay within them, and what
the estimator cannot see, such as a bench press, does not.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from video2emg.core.body_frame import LIMBS
from video2emg.core.pose_track import CAMERA, PoseTrack
from video2emg.core.vocabulary import SIDES
from video2emg.pose import gravity, lengths
from video2emg.pose.body import SEEN, Body
from video2emg.pose.people import Person
from video2emg.pose.repetitions import Repeated, repeated

SHORTEST_S = 2.0  # of a film, and of what is left of it

_WINDOW_S = 3.0  # in which means and variations are taken
_FOUND = 0.9  # least share of the instants at which there is a person
_VISIBLE = 0.6  # least mean visibility of shoulders, elbows, wrists, hips, knees and ankles
_VARIATION = 0.12  # largest variation (standard deviation by mean) of limbs' lengths, in the median
_LIMB_VARIATION = 0.20  # of the length of a single limb, which is masked then
_FOOT, _HAND = ("heel", "toe"), ("pinky", "index", "thumb", "hand")
_UPPER_ARM = 0.1125  # least length of an upper arm, as a share of the net's height: 18 cm of 1.6 m
_UPRIGHT = 0.35  # least height of a body, from ankles to shoulders, by its length
_SHORTEST_TOLD = 0.3  # s of a refused time that is worth a sentence
_CUT_S = 0.25  # before and after a cut
_JOINTS = tuple(
    f"{side}_{part}"
    for side in SIDES
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
_TRUSTED = 0.5  # least share of the film that must be left
_FEWEST_PIXELS = 90.0  # height of the person, below which the joints are guessed
_DRIFT = 0.6  # sizes of the person, by which somebody walks through the picture
_SMALL, _DARK, _SLOW_HZ, _STEEP, _SIDE = 0.3, 0.12, 10.0, 35.0, 65.0  # see `preflight`
_CUT_OFF = 0.2  # share of the pictures in which hands or feet may be outside


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A time that must not be used.

    Attributes:
      start, end: s.
      reason: what is wrong with it.
      advice: what to film differently.
    """

    start: float
    end: float
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.start:.1f}-{self.end:.1f} s: {self.reason}; {self.advice}"


@dataclasses.dataclass(frozen=True)
class Gated:
    """A pose that went through the gates: what of it may be used.

    Attributes:
      track: the body, without the refused times.
      spans: the refused times, in order.
      refused: why the whole film is refused, and what to film differently; empty if it is not.
      repeated: the movement that is left.
    """

    track: PoseTrack
    spans: tuple[Refusal, ...]
    refused: str
    repeated: Repeated


# Reason and advice of each gate, in the order in which they are told.
_REASONS = {
    "cut": ("the scene changes", "film in one take"),
    "nobody": ("nobody is seen", "keep the whole body in the picture"),
    "lying": (
        "the person lies or the picture is turned",
        "only upright exercises can be read; hold the phone upright",
    ),
    "hidden": ("most joints are hidden", "film obliquely from the front, without anything between"),
    "unsteady": (
        "the limbs change their length, so the pose is a guess",
        "film obliquely from the front, nearer, in better light",
    ),
    "short": (
        "the upper arms seem too short, so the pose is a guess",
        "film obliquely from the front instead of along the arms",
    ),
}


def apply(seen: PoseTrack, body: Body, cuts: Sequence[float] = ()) -> Gated:
    """Which parts of a film may be used.

    Args:
      seen: the track as the estimator saw it.
      body: made of it.
      cuts: s, of the first instant after each cut.
    """
    times = seen.times
    bad = _bad_instants(seen, body, cuts)
    spans = tuple(itertools.chain.from_iterable(_runs(times, *item) for item in bad.items()))
    wrong = np.any(list(bad.values()), axis=0) if len(times) else np.zeros(0, bool)
    track = body.track.masked(~wrong[:, None] & _steady_limbs(body.smooth, _width(seen)))
    movement = repeated(_within(track, ~wrong))
    refused = _refusal(seen, wrong, bad, movement)
    return Gated(track, tuple(sorted(spans, key=lambda s: s.start)), refused, movement)


def refuse(gated: Gated, reason: str, advice: str) -> Gated:
    """Nothing of the pose may be used, whatever the gates say.

    Args:
      gated: what went through the gates.
      reason: what is wrong with the whole film.
      advice: what to do.
    """
    nothing = gated.track.masked(np.zeros(gated.track.confidence.shape, bool))
    return dataclasses.replace(gated, track=nothing, refused=f"{reason}; {advice}")


def _bad_instants(
    seen: PoseTrack, body: Body, cuts: Sequence[float]
) -> dict[str, Bool[np.ndarray, " T"]]:
    """[T] by gate; an instant fails one gate only, the first."""
    times, smooth = seen.times, body.smooth
    if not len(times):
        return {}
    width = _width(seen)
    chosen = [i for i, name in enumerate(seen.names) if name in _JOINTS]
    present = seen.confidence.max(1) > 0
    visible = np.where(present, seen.confidence[:, chosen].mean(1), np.nan)
    near_cut = np.zeros(len(times), bool)
    for cut in cuts:
        near_cut |= np.abs(times - cut) < _CUT_S
    tests = {
        "cut": near_cut,
        "nobody": ~present | (_mean(present.astype(float), width) < _FOUND),
        "lying": _mean(_lies(smooth).astype(float), width) > 0.5,
        "hidden": _mean(visible, width) < _VISIBLE,
        "unsteady": _unsteady(smooth, width),
        "short": _upper_arm(smooth, width) < _UPPER_ARM,
    }
    taken = np.zeros(len(times), bool)
    for name, fails in tests.items():
        tests[name] = fails & ~taken
        taken |= fails
    return tests


def _width(track: PoseTrack) -> int:
    """Instants of a window."""
    return max(round(_WINDOW_S * track.rate), 1) if len(track.times) > 1 else 1


def _mean(values: Float[np.ndarray, " T"], width: int) -> Float[np.ndarray, " T"]:
    """Moving mean over what is known; NaN if nothing is."""
    known = np.isfinite(values)
    total = ndimage.uniform_filter1d(np.where(known, values, 0.0), width, mode="nearest")
    share = ndimage.uniform_filter1d(known.astype(float), width, mode="nearest")
    return np.where(share > 1e-9, total / np.maximum(share, 1e-9), np.nan)


def _limb_lengths(track: PoseTrack) -> dict[tuple[str, str], Float[np.ndarray, " T"]]:
    """Length of each limb where both ends are seen well, by its end and side."""
    trusted = dict(zip(track.names, (track.confidence >= SEEN).T, strict=True))
    limbs = {}
    for upper, lower in LIMBS:
        for side in SIDES:
            a, b = f"{side}_{upper}", f"{side}_{lower}"
            both = trusted.get(a, np.False_) & trusted.get(b, np.False_)
            length = np.linalg.norm(track.at(b) - track.at(a), axis=1)
            limbs[lower, side] = np.where(both, length, np.nan)
    return limbs


def _variations(track: PoseTrack, width: int) -> dict[tuple[str, str], Float[np.ndarray, " T"]]:
    """Variation of the length of each limb in a window; NaN where it is not seen well."""
    variations = {}
    for limb, length in _limb_lengths(track).items():
        mean = _mean(length, width)
        spread = np.sqrt(np.maximum(_mean(length**2, width) - mean**2, 0))
        variations[limb] = spread / np.where(mean > 0, mean, np.nan)
    return variations


def _unsteady(track: PoseTrack, width: int) -> Bool[np.ndarray, " T"]:
    """Whether most of the limbs that are seen change their length."""
    stack = np.stack(list(_variations(track, width).values()))
    known = np.isfinite(stack).any(0)
    usual = np.zeros(stack.shape[1])
    usual[known] = np.nanmedian(stack[:, known], axis=0)
    return usual > _VARIATION


def _steady_limbs(track: PoseTrack, width: int) -> Bool[np.ndarray, "T J"]:
    """False for the end of a limb that changes its length, and for what is beyond it."""
    beyond = {"knee": ("knee", "ankle", *_FOOT), "ankle": ("ankle", *_FOOT)}
    beyond |= {"elbow": ("elbow", "wrist", *_HAND), "wrist": ("wrist", *_HAND)}
    steady = np.ones(track.confidence.shape, bool)
    for (end, side), variation in _variations(track, width).items():
        for part in beyond[end]:
            if f"{side}_{part}" in track.names:
                steady[:, track.names.index(f"{side}_{part}")] &= ~(variation > _LIMB_VARIATION)
    return steady


def _upper_arm(track: PoseTrack, width: int) -> Float[np.ndarray, " T"]:
    """Length of the longer upper arm, as a share of the net's height."""
    arms = [_mean(v, width) for (end, _), v in _limb_lengths(track).items() if end == "elbow"]
    known = np.isfinite(np.stack(arms))
    longest = np.where(known, arms, -np.inf).max(0)
    return np.where(known.any(0), longest, np.nan) / _height(track)


def _lies(smooth: PoseTrack) -> Bool[np.ndarray, " T"]:
    """Whether ankles, knees, hips and shoulders are at nearly the same height in the picture.

    The picture is taken as upright: a vertical that is estimated from the body would make everybody
    stand.
    """
    heights = -smooth.joints[..., 1] if smooth.axes == CAMERA else smooth.joints[..., 2]
    parts = ("shoulder", "hip", "knee", "ankle")
    chosen = [i for i, n in enumerate(smooth.names) if n.endswith(parts)]
    known = np.isfinite(heights[:, chosen])
    low = np.where(known, heights[:, chosen], np.inf).min(1)
    high = np.where(known, heights[:, chosen], -np.inf).max(1)
    return known.any(1) & (high - low < _UPRIGHT * _height(smooth))


def _height(track: PoseTrack) -> float:
    """Body height in the unit of the track; NaN if it is unknown or nothing."""
    height = lengths.net_height(track)
    return height if height > 0 else math.nan


def _runs(times: np.ndarray, gate: str, fails: Bool[np.ndarray, " T"]) -> Iterator[Refusal]:
    """The times at which a gate is failed, each as one refusal; moments are not told."""
    edges = np.flatnonzero(np.diff(np.r_[False, fails, False].astype(int)))
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    for start, end in edges.reshape(-1, 2):
        first, last = float(times[start]), float(times[end - 1]) + step
        if last - first >= _SHORTEST_TOLD or (gate == "cut" and last > first):
            yield Refusal(first, last, *_REASONS[gate])


def _within(track: PoseTrack, keep: Bool[np.ndarray, " T"]) -> PoseTrack:
    """From the first to the last instant that may be used."""
    used = np.flatnonzero(keep)
    return track.during(slice(used[0], used[-1] + 1) if len(used) else slice(0))


def _refusal(
    seen: PoseTrack, wrong: np.ndarray, bad: dict[str, np.ndarray], movement: Repeated
) -> str:
    """Why the whole film is refused, and what to film differently."""
    times = seen.times
    duration = float(times[-1] - times[0]) + 1 / seen.rate if len(times) > 1 else 0.0
    if not seen.confidence.any():
        return "nobody was found in the film; film one person from head to feet, in good light"
    if duration < SHORTEST_S:
        return (
            f"the film lasts {duration:.1f} s; film at least one whole repetition, and a second of "
            "rest before and after it"
        )
    if _pixels(seen) < _FEWEST_PIXELS:
        return (
            f"the person is {_pixels(seen):.0f} px high in the picture; film from nearer, or with "
            "more pixels"
        )
    if _drift(seen) > _DRIFT:
        return (
            "the person walks through the picture; film an exercise on the spot, with the camera "
            "at rest"
        )
    if wrong.mean() > 1 - _TRUSTED or (1 - wrong.mean()) * duration < SHORTEST_S:
        most = max(bad, key=lambda gate: bad[gate].sum())
        reason, advice = _REASONS[most]
        return (
            f"{wrong.mean():.0%} of the film cannot be used, most of it because {reason}; {advice}"
        )
    if not movement.is_exercise:
        return (
            "no movement that is repeated from rest to rest; film one exercise from its beginning "
            "to its end"
        )
    return ""


def _pixels(seen: PoseTrack) -> float:
    """Height of the person in the picture, px; infinite without a picture."""
    if seen.points_2d is None:
        return math.inf
    heights = seen.points_2d[..., 1]
    known = heights[np.isfinite(heights).any(1)]
    if not len(known):
        return math.inf
    return float(np.median(np.nanmax(known, axis=1) - np.nanmin(known, axis=1)))


def _drift(seen: PoseTrack) -> float:
    """How far the hips end from where they began, in the picture, by the size of the person."""
    if seen.points_2d is None:
        return 0.0
    hips = [i for i, name in enumerate(seen.names) if name.endswith("_hip")]
    middle = seen.points_2d[:, hips].mean(1)
    known = np.isfinite(middle).all(1)
    if not known.any():
        return 0.0
    size = _pixels(seen)
    third = max(int(known.sum()) // 3, 1)
    x = middle[known, 0]
    return abs(float(np.median(x[-third:]) - np.median(x[:third]))) / max(size, 1.0)


def preflight(person: Person | None, size: tuple[int, int], rate: float) -> list[str]:
    """What is wrong with the set-up, from a few pictures; each sentence says what to change.

    Args:
      person: who was chosen, from `people.find_people`; None if there is nobody.
      size: width and height of the searched pictures, px.
      rate: of the film, Hz.
    """
    if person is None:
        return ["nobody was found in the first seconds; film one person from head to feet"]
    warnings = []
    points = np.stack([landmarks.points for landmarks in person.seen])
    names = person.names
    height = float(np.median(np.ptp(points[..., 1], axis=1))) / size[1]
    if height < _SMALL:
        warnings.append(
            f"the person fills {height:.0%} of the picture's height: go nearer, or film upright"
        )
    outside = ((points < 0) | (points >= size)).any(2).mean(0)
    for part in ("wrist", "ankle"):
        lost = max(outside[names.index(f"{side}_{part}")] for side in SIDES)
        if lost > _CUT_OFF:
            what = {"wrist": "hands", "ankle": "feet"}[part]
            warnings.append(f"the {what} leave the picture: go farther away, or turn the phone")
    if rate < _SLOW_HZ:
        warnings.append(f"{rate:.3g} pictures a second are few: film with 25 or more")
    if person.brightness < _DARK:
        warnings.append("the picture is dark: switch on more light, and film away from the window")
    warnings += _view_warnings(person)
    return warnings


def _view_warnings(person: Person) -> list[str]:
    """What is wrong with the direction from which the camera looks."""
    warnings = []
    track = person.track()
    pitch, roll = gravity.estimate_up(track)
    if abs(pitch) > _STEEP:
        way = "down" if pitch > 0 else "up"
        warnings.append(
            f"the camera looks {way} by {abs(pitch):.0f}°: hold it at the height of the hips"
        )
    angle = gravity.facing(gravity.upright(track, pitch, roll))
    aside = abs(math.remainder(angle, 180))
    if aside > _SIDE:
        warnings.append(
            "the camera stands at the side, so that the far arm and leg are hidden: film obliquely "
            "from the front"
        )
    return warnings
