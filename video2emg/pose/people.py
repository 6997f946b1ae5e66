"""Who is in a film, and who of them exercises.

Some pictures of the beginning are searched for people. The joints of each of them are estimated in
each of these pictures, so that people can be compared by how they move.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core.errors import UserError
from video2emg.core.pose_track import PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.vocabulary import SIDES
from video2emg.pose.angles import KINDS, limb_angles
from video2emg.pose.blazepose import BlazePose, Landmarks, Region
from video2emg.pose.lengths import LIMBS

_SAME = 0.6  # regions that differ by less are the same person, see `Region.distance`
_MISSED_S = 1.1  # for which a person whom the detector misses is looked for in the same place
_TWICE = 0.3  # regions that differ by less show one person
_MOST_PEOPLE = 5  # in a picture; the largest count
_PRESENT = 0.5
_FEWEST = 3  # pictures in which somebody must be seen to count
# A reflection: least correlation with the person's movements, in at least so many pictures.
_ALIKE, _COMMON = 0.85, 12
_MOVES = 8.0  # degrees by which the limbs of a person at rest seem to move
_GUESS = 0.18  # variation of limb lengths at which a movement counts half
_DRIFT = 0.25  # of the person's size: who moves farther than this walks through the picture


@dataclasses.dataclass
class Person:
    """Somebody who was seen in several pictures.

    Attributes:
      times: s, of these pictures.
      seen: joints in them.
      number: from the left of the picture, from 1.
      reflection: whether this is probably the chosen person in a mirror.
      brightness: mean of the region around the person, 0 to 1.
    """

    times: list[float]
    seen: list[Landmarks]
    number: int = 0
    reflection: bool = False
    brightness: float = 1.0
    names: ClassVar[tuple[str, ...]] = BLAZEPOSE_33

    def add(self, time: float, landmarks: Landmarks) -> None:
        """The person was seen once more."""
        self.times.append(time)
        self.seen.append(landmarks)

    @property
    def regions(self) -> list[Region]:
        """Where the person was."""
        return [landmarks.region for landmarks in self.seen]

    @property
    def size(self) -> float:
        """Of the region around the person, px; the body is up to four fifths as high."""
        return float(np.median([region.size for region in self.regions]))

    @property
    def place(self) -> tuple[float, float]:
        """Centre, px."""
        x, y = np.median([(region.x, region.y) for region in self.regions], 0)
        return float(x), float(y)

    @property
    def drift(self) -> float:
        """How far the person walks across the picture, in sizes."""
        x = np.array([region.x for region in self.regions])
        third = max(len(x) // 3, 1)
        return abs(float(np.median(x[-third:]) - np.median(x[:third]))) / self.size

    def track(self) -> PoseTrack:
        """In the camera's axes, at the searched pictures."""
        return PoseTrack(
            names=self.names,
            times=np.array(self.times),
            joints=np.stack([landmarks.world for landmarks in self.seen]),
            confidence=np.stack([landmarks.visibility for landmarks in self.seen]),
            points_2d=np.stack([landmarks.points for landmarks in self.seen]),
            source="BlazePose",
        )

    def angles(self) -> Float[np.ndarray, "T A"]:
        """Limb angles, without single outliers, degrees."""
        world = np.stack([landmarks.world for landmarks in self.seen])
        angles = limb_angles(world, BLAZEPOSE_33)
        padded = np.concatenate([angles[:1], angles, angles[-1:]])
        return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), 0)

    @property
    def variation(self) -> float:
        """Standard deviation of limb lengths by their mean, which tells a guess from a body."""
        track = self.track()
        lengths = np.stack(
            [
                np.linalg.norm(track.at(f"{side}_{lower}") - track.at(f"{side}_{upper}"), axis=1)
                for upper, lower in LIMBS
                for side in SIDES
            ]
        )
        return float((lengths.std(1) / np.maximum(lengths.mean(1), 1e-9)).mean())

    @property
    def movement(self) -> float:
        """Range of the angles of knees, hips, elbows and shoulders, in the mean, degrees."""
        low, high = np.nanpercentile(self.angles(), [10, 90], axis=0)
        return float(np.nanmean(high - low))


def find_people(pictures: Iterable[tuple[float, Image.Image]], model: BlazePose) -> list[Person]:
    """Everybody who is seen in at least three of the pictures, from left to right.

    Args:
      pictures: (s, upright RGB picture), in order.
      model: the nets.
    """
    people: list[Person] = []
    for time, picture in pictures:
        detections = sorted(model.detect(picture), key=lambda d: -d.region.size)[:_MOST_PEOPLE]
        taken: list[int] = []
        for detection in detections:
            landmarks = model.landmarks(picture, detection.region)
            if landmarks.presence < _PRESENT:
                continue
            i = _whose(people, taken, landmarks.region)
            if i == len(people):
                people.append(Person([], [], brightness=brightness(picture, landmarks.region)))
            people[i].add(time, landmarks)
            taken.append(i)
        for i, person in enumerate(people):
            # The detector misses people whom the other net still finds where they were.
            if i in taken or time - person.times[-1] > _MISSED_S:
                continue
            landmarks = model.landmarks(picture, person.regions[-1])
            others = [people[k].regions[-1] for k in taken]
            if landmarks.presence >= _PRESENT and all(
                landmarks.region.distance(other) > _TWICE for other in others
            ):
                person.add(time, landmarks)
                taken.append(i)
    people = sorted((p for p in people if len(p.times) >= _FEWEST), key=lambda p: p.place)
    for number, person in enumerate(people, 1):
        person.number = number
    return people


def _whose(people: Sequence[Person], taken: Sequence[int], region: Region) -> int:
    """Index of the person to whom a region belongs; one more for somebody new."""
    free = [i for i in range(len(people)) if i not in taken]
    distances = [people[i].regions[-1].distance(region) for i in free]
    if distances and min(distances) < _SAME:
        return free[int(np.argmin(distances))]
    return len(people)


def choose(people: Sequence[Person], number: int = 0) -> tuple[Person, str]:
    """The person who exercises, and why.

    Of several people it is the one who moves most, is large, is seen in many pictures, keeps the
    lengths of the limbs and does not walk through the picture. Somebody smaller who moves in the
    same way is taken for a reflection.

    Args:
      people: from `find_people`; not empty.
      number: of the person whom the user wants; 0 to choose.

    Raises:
      UserError: there is nobody of this number.
    """
    if number:
        if not 1 <= number <= len(people):
            raise UserError(f"--person {number}: {len(people)} people were seen; 1 is the leftmost")
        chosen, why = people[number - 1], "as told by --person"
    else:
        largest = max(person.size for person in people)
        longest = max(len(person.times) for person in people)
        worth = [_worth(person, largest, longest) for person in people]
        chosen = people[int(np.argmax(worth))]
        why = f"moves by {chosen.movement:.0f}° and is {chosen.size / largest:.0%} as large as the "
        why += "largest"
    for other in people:
        other.reflection = other is not chosen and _moves_alike(other, chosen)
    if len(people) == 1:
        return chosen, "one person was seen"
    others = "; ".join(map(_describe, (person for person in people if person is not chosen)))
    return chosen, f"person {chosen.number} of {len(people)} from the left ({why}); {others}"


def _worth(person: Person, largest: float, longest: int) -> float:
    moves = min(person.movement / _MOVES, 5.0)
    stays = 1.0 if person.drift < _DRIFT else 0.3
    real = 1 / (1 + (person.variation / _GUESS) ** 4)
    return moves * stays * real * person.size / largest * len(person.times) / longest


def _describe(person: Person) -> str:
    if person.reflection:
        return f"person {person.number} moves alike, as a reflection in a mirror does"
    walks = ", walks through" if person.drift >= _DRIFT else ""
    return f"person {person.number} moves by {person.movement:.0f}°{walks}"


def _moves_alike(other: Person, chosen: Person) -> bool:
    """Whether the angles change together, with left and right exchanged or not."""
    common, a, b = np.intersect1d(other.times, chosen.times, return_indices=True)
    if len(common) < _COMMON or other.size > chosen.size:
        return False
    mine, theirs = chosen.angles()[b], other.angles()[a]
    ranges = np.ptp(mine, axis=0)
    moving = np.flatnonzero(ranges >= max(0.5 * ranges.max(), _MOVES))
    if len(moving) < 2:
        return False
    half = len(KINDS)
    crossed = (moving + half) % (2 * half)
    return max(_correlation(mine[:, moving], theirs[:, to]) for to in (moving, crossed)) > _ALIKE


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Median over the columns."""
    a, b = a - a.mean(0), b - b.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(np.median((a * b).sum(0) / np.maximum(norm, 1e-9)))


def brightness(picture: Image.Image, region: Region) -> float:
    """Mean of a region, 0 to 1; NaN if it lies outside of the picture."""
    half = region.size / 2
    left, top = max(round(region.x - half), 0), max(round(region.y - half), 0)
    right = min(round(region.x + half), picture.width)
    bottom = min(round(region.y + half), picture.height)
    if right <= left or bottom <= top:
        return math.nan
    small = picture.crop((left, top, right, bottom)).convert("L").resize((8, 8))
    return float(np.asarray(small).mean() / 255)
