"""Frames by timestamp: which recorded frame shows an instant, and its pixels."""

import io

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, UnidentifiedImageError

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError


def nearest_frames(
    clip: Clip, view: int, times: Float[np.ndarray, " T"]
) -> tuple[Int[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """Finds the frames of one view that were shown at given instants.

    Args:
      clip: the recording.
      view: index into `clip.views`.
      times: [T] seconds on the clip clock.

    Returns:
      [T] index into `clip.frames`, and [T] bool: false where the view was not recording, by more
      than its own median frame period.
    """
    own = np.flatnonzero(clip.frame_view == view)
    shown = clip.frame_time[own]
    right = np.clip(np.searchsorted(shown, times), 1, max(len(own) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(own) - 1)
    nearest = np.where(times - shown[left] <= shown[right] - times, left, right)
    period = np.median(np.diff(shown)) if len(own) > 1 else 0.0
    return own[nearest], (times >= shown[0] - period) & (times <= shown[-1] + period)


def spread_frames(clip: Clip, view: int, count: int) -> Int[np.ndarray, " T"]:
    """[T] indices into `clip.frames` of `count` frames of a view, evenly spread from first to last.

    All of them, where the view has fewer.
    """
    own = clip.frame_time[clip.frame_view == view]
    wanted = np.linspace(own[0], own[-1], min(count, len(own)))
    return nearest_frames(clip, view, wanted)[0]


def decode(clip: Clip, frame: int, size: int) -> UInt8[np.ndarray, "S S 3"]:
    """Decodes one frame as RGB, resized to `size` × `size` pixels if it has another size.

    Raises:
      UserError: the image is damaged.
    """
    try:
        image = Image.open(io.BytesIO(clip.frames[frame])).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"clip {clip.clip_id!r}, frame {frame}: damaged image ({error})") from None
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, np.uint8)


def align_to_frames(clip: Clip, time: float) -> float:
    """Moves `time` s to the beat of the clip's first camera, also before and after its frames.

    A window that starts between two frames would be shown frames that lag or lead its labels by up
    to half a frame interval. Without a camera the beat is that of the pose: a slow one would be
    smoothed by reading it between its samples.
    """
    own = clip.frame_view == clip.frame_view[:1]
    instants = clip.frame_time[own] if len(clip.frame_time) else clip.pose_time
    if len(instants) < 2:
        return time
    interval = float(np.median(np.diff(instants)))
    return float(instants[0]) + round((time - float(instants[0])) / interval) * interval
