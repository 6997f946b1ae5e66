"""Which way is up, and where the person faces, in the axes of a camera that nobody levelled."""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import body_frame
from video2emg.core.pose_track import BODY, CAMERA, UPRIGHT, PoseTrack
from video2emg.core.vocabulary import SIDES
from video2emg.pose.angles import LIMB_ANGLES, limb_angles

_STRAIGHT = 0.3  # share of the instants that count as the straightest
_LEAST = 5  # instants, below which the picture's upright direction is taken
_PARTS = ("hip", "shoulder", "ankle")


@dataclasses.dataclass(frozen=True)
class View:
    """How the camera sees the person.

    Attributes:
      pitch: by which the camera looks down, degrees.
      roll: by which the vertical leans to the right of the picture, degrees.
      facing: of the person: 0 towards the camera, 90 to the right of the picture, 180 away from the
        camera, -90 to the left, degrees.
    """

    pitch: float
    roll: float
    facing: float


def up_in_camera(pitch: float, roll: float) -> Float[np.ndarray, " 3"]:
    """The vertical in the camera's axes; angles as in `View`."""
    up = np.array([math.tan(math.radians(roll)), -1.0, -math.tan(math.radians(pitch))])
    return up / np.linalg.norm(up)


def estimate_up(track: PoseTrack) -> tuple[float, float]:
    """Pitch and roll of the camera, degrees.

    The vertical is the mean direction from mid-ankles to mid-shoulders over the instants at which
    knees and hips are straightest. It has no meaning for who lies or sits all the time.
    """
    angles = limb_angles(track.joints, track.names)
    legs = [i for i, name in enumerate(LIMB_ANGLES) if name.endswith(("knee", "hip"))]
    ankles, shoulders = (
        (track.at(f"left_{part}") + track.at(f"right_{part}")) / 2 for part in ("ankle", "shoulder")
    )
    body, bend = shoulders - ankles, angles[:, legs].sum(1)
    known = np.isfinite(body).all(1) & np.isfinite(bend)
    if known.sum() < _LEAST:
        return 0.0, 0.0
    straight = known & (bend <= np.quantile(bend[known], _STRAIGHT))
    x, y, z = body[straight].mean(0)
    return math.degrees(math.atan2(-z, -y)), math.degrees(math.atan2(x, -y))


def upright(track: PoseTrack, pitch: float, roll: float) -> PoseTrack:
    """A track in the camera's axes with z up and x horizontally towards the camera."""
    if track.axes != CAMERA:
        return track
    up = up_in_camera(pitch, roll)
    towards = np.array([0.0, 0.0, -1.0])
    towards -= (towards @ up) * up
    towards /= np.linalg.norm(towards)
    axes = np.stack([towards, np.cross(up, towards), up], 1)
    return dataclasses.replace(track, joints=_turned(track, axes), axes=UPRIGHT)


def facing(track: PoseTrack, within: Bool[np.ndarray, " T"] | None = None) -> float:
    """Where the person faces, as the angle from x, counter-clockwise from above, degrees.

    Args:
      track: upright.
      within: instants that count; all by default.
    """
    chosen = np.ones(len(track.times), bool) if within is None else within
    at = {f"{side}_{part}": track.at(f"{side}_{part}")[chosen] for side in SIDES for part in _PARTS}
    return math.degrees(body_frame.heading(at, 1.0))


def facing_x(track: PoseTrack, angle: float) -> PoseTrack:
    """An upright track, turned so that what faces `angle` (degrees from x) faces x."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return dataclasses.replace(track, joints=_turned(track, turn), axes=BODY)


def _turned(track: PoseTrack, turn: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "T J 3"]:
    """The joints in other axes, in the precision of the track."""
    return track.joints @ turn.astype(track.joints.dtype)
