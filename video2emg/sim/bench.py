"""The bench: its shape, and where it supports a body that sits or lies on it."""

import dataclasses
import typing

import numpy as np

from video2emg.sim import mjcf

_PAD, _FRAME = (0.13, 0.13, 0.15), (0.62, 0.62, 0.66)
_HALF_WIDTH, _HALF_PAD = 0.14, 0.035  # m


@dataclasses.dataclass(frozen=True)
class Bench:
    """An adjustable bench. The origin is on the floor below the crease; x points along the seat.

    Attributes:
      angle: of the backrest over the horizontal, rad; 0 is a flat bench.
      height: of the seat, m.
      seat, backrest: lengths of the two pads, m; a bench without a seat stands crosswise.
    """

    angle: float
    height: float = 0.43
    seat: float = 0.32
    backrest: float = 0.86

    @property
    def along(self) -> np.ndarray:
        """[3] unit vector from the crease up the backrest."""
        return np.array([-np.cos(self.angle), 0.0, np.sin(self.angle)])

    @property
    def normal(self) -> np.ndarray:
        """[3] unit vector out of the backrest."""
        return np.array([np.sin(self.angle), 0.0, np.cos(self.angle)])

    @property
    def crease(self) -> np.ndarray:
        """[3] where the surfaces of both pads meet, m."""
        return np.array([0.0, 0.0, self.height])

    def xml(self) -> str:
        """The bench as a MuJoCo mocap body."""
        if not self.seat:  # crosswise: the person leans against the long edge
            middle = (-_HALF_WIDTH, 0, self.height - _HALF_PAD)
            parts = [mjcf.box(middle, (_HALF_WIDTH, self.backrest / 2, _HALF_PAD), 0, _PAD)]
            feet = [
                (-_HALF_WIDTH, y, self.height) for y in (-0.3 * self.backrest, 0.3 * self.backrest)
            ]
        else:
            backrest = self.crease + self.along * self.backrest / 2 - self.normal * _HALF_PAD
            seat = (self.seat / 2, 0, self.height - _HALF_PAD)
            parts = [
                mjcf.box(
                    tuple(map(float, backrest)),
                    (self.backrest / 2, _HALF_WIDTH, _HALF_PAD),
                    float(self.angle),
                    _PAD,
                ),
                mjcf.box(seat, (self.seat / 2, _HALF_WIDTH, _HALF_PAD), 0, _PAD),
            ]
            high = 0.7 * self.backrest * self.along + self.crease
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
      body: name in the model.
      point: [3] in the frame of the body, m.
      pad: [3] a point on the surface of the pad, m, in the room's axes turned by the heading.
      normal: [3] direction in which the pad pushes, in the same axes.
    """

    body: typing.Literal["pelvis", "chest"]
    point: np.ndarray
    pad: np.ndarray
    normal: np.ndarray


@dataclasses.dataclass(frozen=True)
class Support:
    """How a bench supports the body. Positions in m from the room's centre, x along the heading.

    Attributes:
      bench: [3] position of the bench.
      faces_subject: whether the bench is turned by 180° to face the subject.
      segment: the part of the trunk that is fixed.
      point: [3] a point of that segment, in its frame.
      position: [3] of this point, or [T, 3] if it moves.
      feet: distance of each ankle in front of the room's centre, by side.
      contacts: where the bench can push.
    """

    bench: np.ndarray
    faces_subject: bool
    segment: typing.Literal["pelvis", "chest"]
    point: np.ndarray
    position: np.ndarray
    feet: dict[str, float]
    contacts: tuple[Contact, ...]
