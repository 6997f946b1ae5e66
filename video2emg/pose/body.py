"""From what an estimator saw to a body: clean, upright, of known lengths, and honest about gaps."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from video2emg.core.body_frame import HEIGHT
from video2emg.core.errors import UserError
from video2emg.core.pose_track import CAMERA, PoseTrack
from video2emg.core.vocabulary import SIDES
from video2emg.pose import cleaning, gravity, lengths
from video2emg.pose.cameras import interpolate
from video2emg.pose.gravity import View

SEEN = 0.5  # least confidence, averaged over a second, of a joint that is not masked


@dataclasses.dataclass(frozen=True)
class BodyOptions:
    """What the user knows better; NaN for what is to be estimated.

    Attributes:
      height: of the person, m.
      pitch, roll, facing: see `gravity.View`, degrees.
    """

    height: float = math.nan
    pitch: float = math.nan
    roll: float = math.nan
    facing: float = math.nan


@dataclasses.dataclass(frozen=True)
class Body:
    """A person's movement, ready for a model.

    Attributes:
      track: z up, x where the person faces, lengths by height.
      smooth: the same before lengths were set, in the axes of the source.
      view: how the camera sees the person; pitch and roll are NaN if the source had z up.
    """

    track: PoseTrack
    smooth: PoseTrack
    view: View


def to_body(
    track: PoseTrack,
    size: tuple[int, int] | None = None,
    cuts: Sequence[float] = (),
    options: BodyOptions | None = None,
) -> Body:
    """Cleans a track and brings it into the axes of the body.

    Args:
      track: of an estimator or of a motion capture system.
      size: width and height of the picture, px, to refine the depth; None without a picture.
      cuts: s, of the first instant after each cut.
      options: what the user knows.

    Raises:
      UserError: the track has no depth.
    """
    options = options or BodyOptions()
    if not np.isfinite(track.joints).any() and track.confidence.any():
        raise UserError(
            f"{track.source}: points of one camera have no depth; use a 3-D estimator, or give the "
            "films of several cameras with their calibration"
        )
    track, _ = cleaning.undo_exchanges(_complete(track), cuts)
    smooth = cleaning.smooth(track, cuts)
    placed = smooth
    pitch, roll = math.nan, math.nan
    if track.axes == CAMERA:
        if track.points_2d is not None and size is not None:
            placed = lengths.refine_depth(smooth, size)
        found = gravity.estimate_up(placed)
        pitch, roll = _known(options.pitch, found[0]), _known(options.roll, found[1])
    stands = gravity.upright(placed, pitch, roll)
    faces = _known(options.facing, gravity.facing(stands))
    body = gravity.facing_x(stands, faces)
    body = lengths.with_lengths(body, _known(options.height, HEIGHT))
    body = body.masked(cleaning.steady_confidence(smooth) >= SEEN)
    return Body(body, smooth, View(pitch, roll, faces))


def _complete(track: PoseTrack) -> PoseTrack:
    """The track with the joints of all limbs; those that it does not have are unseen."""
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    missing = [n for side in SIDES for part in parts if (n := f"{side}_{part}") not in track.names]
    if not missing:
        return track
    more = ((0, 0), (0, len(missing)))
    points = track.points_2d
    return dataclasses.replace(
        track,
        names=(*track.names, *missing),
        joints=np.pad(track.joints, (*more, (0, 0)), constant_values=np.nan),
        confidence=np.pad(track.confidence, more),
        points_2d=None if points is None else np.pad(points, (*more, (0, 0))),
    )


def _known(given: float, estimated: float) -> float:
    return estimated if math.isnan(given) else given


def median_of_views(tracks: Sequence[PoseTrack]) -> PoseTrack:
    """The median body of several cameras without calibration, at the times of the first.

    Args:
      tracks: `Body.track` of each camera; all started together.

    Returns:
      A track whose joints are known where any camera saw them; its confidence is the largest.
    """
    first = tracks[0]
    joints, confidence = [], []
    for track in tracks:
        if track.names != first.names:
            raise UserError("the tracks of the cameras have different joints")
        joints.append(interpolate(track.joints, track.times, first.times))
        seen = interpolate(track.confidence, track.times, first.times)
        confidence.append(np.where(np.isfinite(joints[-1]).all(2), np.nan_to_num(seen), 0.0))
    stack, weight = np.stack(joints), np.stack(confidence)
    middle = np.full(first.joints.shape, np.nan)
    any_seen = (weight > 0).any(0)
    middle[any_seen] = np.nanmedian(stack[:, any_seen], axis=0)
    return dataclasses.replace(
        first,
        joints=middle,
        confidence=weight.max(0),
        source=f"median of {len(tracks)} cameras, {first.source}",
    )
