"""The bench: how it looks, and where a body that sits or lies on it is held."""

import dataclasses
import typing

import numpy as np

from video2emg.sim import mjcf

_PAD, _FRAME = (0.13, 0.13, 0.15), (0.62, 0.62, 0.66)
_HALF_WIDTH, _HALF_PAD = 0.14, 0.035  # m


@dataclasses.dataclass(frozen=True)
class Bench:
    """An adjustable bench. Its origin is on the floor below the crease, x points to the seat's end.

    Attributes:
      back: angle of the backrest over the horizontal, rad; 0 is a flat bench.
      height: of the seat, m.
      seat, rest: lengths of the two pads, m; without a seat, the bench stands crosswise.
    """

    back: float
    height: float = 0.43
    seat: float = 0.32
    rest: float = 0.86

    @property
    def along(self) -> np.ndarray:
        """[3] from the crease up the backrest."""
        return np.array([-np.cos(self.back), 0.0, np.sin(self.back)])

    @property
    def normal(self) -> np.ndarray:
        """[3] out of the backrest."""
        return np.array([np.sin(self.back), 0.0, np.cos(self.back)])

    @property
    def crease(self) -> np.ndarray:
        """[3] where the surfaces of the two pads meet, m."""
        return np.array([0.0, 0.0, self.height])

    def xml(self) -> str:
        """The bench as a body that only its pose in the room moves."""
        if not self.seat:  # seen from its side: the person leans against the long edge
            middle = (-_HALF_WIDTH, 0, self.height - _HALF_PAD)
            parts = [mjcf.box(middle, (_HALF_WIDTH, self.rest / 2, _HALF_PAD), 0, _PAD)]
            feet = [(-_HALF_WIDTH, y, self.height) for y in (-0.3 * self.rest, 0.3 * self.rest)]
        else:
            rest = self.crease + self.along * self.rest / 2 - self.normal * _HALF_PAD
            seat = (self.seat / 2, 0, self.height - _HALF_PAD)
            parts = [
                mjcf.box(
                    tuple(map(float, rest)),
                    (self.rest / 2, _HALF_WIDTH, _HALF_PAD),
                    float(self.back),
                    _PAD,
                ),
                mjcf.box(seat, (self.seat / 2, _HALF_WIDTH, _HALF_PAD), 0, _PAD),
            ]
            high = 0.7 * self.rest * self.along + self.crease
            feet = [(0.7 * self.seat, 0, self.height), tuple(map(float, high))]
        parts += [
            mjcf.capsule((x, y, 0.02), (x, y, z - 2 * _HALF_PAD - 0.01), 0.022, _FRAME)
            for x, y, z in feet
        ]
        return f'<body name="bench" mocap="true">{"".join(parts)}</body>'


@dataclasses.dataclass(frozen=True)
class Contact:
    """A point of the body that presses against the bench while it is near the pad.

    Attributes:
      body: of the model.
      point: [3] in its frame, m.
      pad: [3] a point of the pad's surface, m; in the room's axes turned to the heading.
      normal: [3] direction in which the pad pushes, in the same axes.
    """

    body: typing.Literal["pelvis", "chest"]
    point: np.ndarray
    pad: np.ndarray
    normal: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rest:
    """How a body rests on a bench. Places in m, x in the subject's heading, from the room's middle.

    Attributes:
      bench: [3] place of the bench.
      turned: whether the bench faces the subject.
      segment: the part of the trunk that keeps its place.
      point: [3] of that segment, in its frame.
      place: [3] where this point stays, or [T, 3] how it moves.
      feet: how far each ankle is in front of the room's middle, by side.
      contacts: where the bench can push.
    """

    bench: np.ndarray
    turned: bool
    segment: typing.Literal["pelvis", "chest"]
    point: np.ndarray
    place: np.ndarray
    feet: dict[str, float]
    contacts: tuple[Contact, ...]
