"""Random changes of an example in which pixels, labels and names stay consistent."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.batch import Example, drop_inputs
from video2emg.core.equipment import PLACES
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS
from video2emg.data.pose_noise import PoseNoise

_MIRRORED_PLACES = np.array(vocabulary.mirror_order(PLACES))


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Strengths; zero switches one off.

    Attributes:
      flip: probability of a left-right mirror.
      shift: largest translation, fraction of the frame size, drawn per view.
      colour: largest relative change of brightness, contrast and channel gain.
      time: largest shift of the window against the clip, s (used where windows are read).
      repeat: probability that a window that is longer than its clip shows the repetition several
        times in a row, from a random instant on, as in a set. Examples with labels stay as they
        are, because the labels describe a single repetition.
      hide: probability of dropping each view (`views`) and each input (`INPUTS`), independently, so
        that one model works with every subset of them. A dropped input is not a target either. At
        least one view or the pose always stays.
      cameras: cameras of which each example shows as many as the window has, drawn at random (used
        where windows are read); empty for those of the window.
      pose: ranges of the errors of a pose estimator, of `pose_noise.PoseNoise` (used where windows
        are read); none if empty.
      predicted_pose: the same, for training windows that show only the pose to a model which
        otherwise predicts it from the video.
    """

    flip: float = 0.5
    shift: float = 0.06
    colour: float = 0.15
    time: float = 0.2
    repeat: float = 0.0
    hide: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cameras: Sequence[str] = ()
    pose: Mapping[str, float] = dataclasses.field(default_factory=dict)
    predicted_pose: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        unknown = sorted({*self.hide} - {"views", *INPUTS})
        if unknown:
            raise UserError(
                f"config.augment.hide: {', '.join(unknown)} is none of views, {', '.join(INPUTS)}"
            )
        PoseNoise.from_config(self.pose)
        PoseNoise.from_config(self.predicted_pose, "config.augment.predicted_pose")

    def __call__(self, example: Example, rng: np.random.Generator, mirror: "Mirror") -> Example:
        """Returns a changed copy; `example` is left alone."""
        example = self._drop_inputs(example, rng)
        if self.repeat and "phase" not in example and rng.random() < self.repeat:
            example = example | _repeated(example, rng)
        if self.flip and rng.random() < self.flip:
            example = mirror(example)
        video = example["video"]
        if not len(video):  # no camera
            return example
        if self.shift:
            reach = round(self.shift * video.shape[2])
            video = np.stack(
                [_shift(v, *rng.integers(-reach, reach + 1, 2).tolist()) for v in video]
            )
        if self.colour:
            video = np.stack([_recolour(v, self.colour, rng) for v in video])
        return example | {"video": video}

    def _drop_inputs(self, example: Example, rng: np.random.Generator) -> Example:
        if not any(self.hide.values()):
            return example
        inputs = {name for name in INPUTS if self.hide.get(name) and rng.random() < self.hide[name]}
        shown = example["video_mask"].any(1)
        views = shown & (rng.random(len(shown)) < self.hide.get("views", 0.0))
        pose = self.hide.get("pose") and "pose" not in inputs and example["pose_mask"].any()
        if shown.any() and (views == shown).all() and not pose:
            views[rng.choice(np.flatnonzero(shown))] = False
        return drop_inputs(example, views, inputs)


class Mirror:
    """Left-right flip of an example: the frames and every field that has a side."""

    def __init__(
        self,
        joints: tuple[str, ...],
        dofs: tuple[str, ...],
        labels: Callable[[Example], Example] | None = None,
    ):
        """Precomputes the exchange of left and right.

        Args:
          joints: names of the dataset's joints.
          dofs: names of its joint torques.
          labels: returns the label fields that a flip changes.
        """
        self._labels = labels
        self._joints = vocabulary.mirror_order(joints)
        self._dofs = vocabulary.mirror_order(dofs)
        self._sign = np.array(vocabulary.mirror_signs(dofs), np.float32)
        names = [vocabulary.mirror_view(name) for name in vocabulary.VIEWS]
        self._views = np.array([vocabulary.VIEWS.index(name) for name in names], np.int32)

    def __call__(self, example: Example) -> Example:
        """Returns the mirrored example."""
        other_side = np.array([1, -1, 1], np.float32)
        labels = {} if self._labels is None else self._labels(example)
        return (
            example
            | labels
            | {
                "video": example["video"][..., ::-1, :],
                "view": self._views[example["view"]],
                # A channel keeps its values and becomes the other side's electrode.
                "side": 1 - example["side"],
                "pose": example["pose"][:, self._joints] * other_side,
                "pose_mask": example["pose_mask"][:, self._joints],
                "true_pose": example["true_pose"][:, self._joints] * other_side,
                "true_pose_mask": example["true_pose_mask"][:, self._joints],
                "held": example["held"][_MIRRORED_PLACES],
                "torque": example["torque"][:, self._dofs] * self._sign,
                "torque_mask": example["torque_mask"][:, self._dofs],
            }
        )


def _repeated(example: Example, rng: np.random.Generator) -> Example:
    """The time-dependent fields of a window that shows its repetition several times in a row."""
    known = example["video_mask"].any(0) if len(example["video"]) else example["pose_mask"].any(1)
    count, samples = len(known), len(example["emg"])
    recorded = np.flatnonzero(known)
    if len(recorded) < 2 or len(recorded) == count or samples % count:
        return {}
    first, length = recorded[0], recorded[-1] + 1 - recorded[0]
    frame = first + (rng.integers(length) + np.arange(count)) % length
    each = samples // count
    sample = (frame[:, None] * each + np.arange(each)).ravel()
    changed = {name: example[name][:, frame] for name in ("video", "video_mask")}
    for name in ("pose", "true_pose", "torque"):
        changed |= {field: example[field][frame] for field in (name, f"{name}_mask")}
    return changed | {name: example[name][sample] for name in ("emg", "emg_mask")}


def _shift(video: UInt8[np.ndarray, "T H W 3"], dy: int, dx: int) -> UInt8[np.ndarray, "T H W 3"]:
    """Moves the frames by whole pixels, repeating the border."""
    _, height, width, _ = video.shape
    top, left = max(dy, 0), max(dx, 0)
    bottom, right = height + min(dy, 0), width + min(dx, 0)
    moved = np.empty_like(video)
    moved[:, top:bottom, left:right] = video[:, top - dy : bottom - dy, left - dx : right - dx]
    moved[:, top:bottom, :left] = moved[:, top:bottom, left : left + 1]
    moved[:, top:bottom, right:] = moved[:, top:bottom, right - 1 : right]
    moved[:, :top] = moved[:, top : top + 1]
    moved[:, bottom:] = moved[:, bottom - 1 : bottom]
    return moved


def _recolour(
    video: UInt8[np.ndarray, "T H W 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "T H W 3"]:
    """Changes contrast, brightness and the gain of each channel, equally in all frames."""
    contrast, brightness = 1 + rng.uniform(-strength, strength, 2)
    gains = 1 + rng.uniform(-strength, strength, 3) / 3
    levels = np.arange(256)
    tables = [((levels - 128) * contrast + 128) * brightness * gain for gain in gains]
    table = np.clip(tables, 0, 255).astype(np.uint8).ravel().tolist()
    # Pillow's table look-up of interleaved channels is several times faster than NumPy's indexing.
    stacked = Image.fromarray(video.reshape(-1, video.shape[2], 3))
    return np.asarray(stacked.point(table)).reshape(video.shape)
