"""The frames of a clip: by time, and as pixels."""

import io
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, UnidentifiedImageError

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError


def nearest_frames(
    clip: Clip, view: int, times: Float[np.ndarray, " T"]
) -> tuple[Int[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """The frames of one view that are nearest to given instants.

    Args:
      clip: the recording.
      view: index into `clip.views`.
      times: [T] seconds on the clip's clock.

    Returns:
      [T] index into `clip.frames`, and [T] bool: false more than one median frame period before the
      first or after the last frame.
    """
    frames = np.flatnonzero(clip.frame_view == view)
    shown = clip.frame_time[frames]
    right = np.clip(np.searchsorted(shown, times), 1, max(len(frames) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(frames) - 1)
    nearest = np.where(times - shown[left] <= shown[right] - times, left, right)
    period = np.median(np.diff(shown)) if len(frames) > 1 else 0.0
    return frames[nearest], (times >= shown[0] - period) & (times <= shown[-1] + period)


def spread_frames(clip: Clip, view: int, count: int) -> Int[np.ndarray, " T"]:
    """[T] indices into `clip.frames` of `count` frames of a view, evenly spread over it.

    Fewer if the view has fewer frames.
    """
    times = clip.frame_time[clip.frame_view == view]
    chosen = np.linspace(times[0], times[-1], min(count, len(times)))
    return nearest_frames(clip, view, chosen)[0]


def decode(clip: Clip, frame: int, size: int) -> UInt8[np.ndarray, "S S 3"]:
    """Decodes one frame as RGB; see `letterbox`.

    Raises:
      UserError: the image is damaged.
    """
    try:
        image = Image.open(io.BytesIO(clip.frames[frame])).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"clip {clip.clip_id!r}, frame {frame}: damaged image ({error})") from None
    return np.asarray(letterbox(image, size), np.uint8)


def letterbox(picture: Image.Image, size: int) -> Image.Image:
    """Scales an RGB picture into a square of `size` px, with black bars if it is not square.

    Every picture that a model sees is scaled here: in training, evaluation and prediction alike.
    """
    if picture.size == (size, size):
        return picture
    scale = size / max(picture.size)
    width, height = (max(round(scale * side), 1) for side in picture.size)
    scaled = picture.resize((width, height), Image.Resampling.BOX)
    square = Image.new("RGB", (size, size))
    square.paste(scaled, ((size - width) // 2, (size - height) // 2))
    return square


def align_to_frames(clip: Clip, time: float) -> float:
    """Moves `time` (s) to the nearest instant at which the clip's first camera takes frames.

    A window that starts between two frames would show frames up to half an interval earlier or
    later than its labels. The grid of instants continues before and after the recorded frames.
    Without a camera it is that of the pose, which is then read at its samples and not interpolated.
    """
    first_view = clip.frame_view == clip.frame_view[:1]
    instants = clip.frame_time[first_view] if len(clip.frame_time) else clip.pose_time
    if len(instants) < 2:
        return time
    interval = float(np.median(np.diff(instants)))
    return float(instants[0]) + round((time - float(instants[0])) / interval) * interval


def pictures(clip: Clip, view: str) -> Iterator[tuple[float, Image.Image]]:
    """The film of one camera: (s on the clip's clock, RGB picture) of each frame."""
    for frame in np.flatnonzero(clip.frame_view == clip.views.index(view)):
        with Image.open(io.BytesIO(clip.frames[frame])) as picture:
            yield float(clip.frame_time[frame]), picture.convert("RGB")
