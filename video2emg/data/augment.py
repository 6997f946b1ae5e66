"""Random changes of an example that keep it true: pixels, labels and names change together."""

import dataclasses
import typing
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS

Example = dict[str, typing.Any]  # arrays and NumPy scalars


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Strengths; zero switches one off.

    Attributes:
      flip: probability of a left-right mirror.
      shift: largest translation, fraction of the frame size, drawn per view.
      colour: largest relative change of brightness, contrast and channel gain.
      time: largest shift of the window against the clip, s (used when windows are cut).
      repeat: probability that the window shows a set: the repetition again and again, from any
        instant of it on. Live video does not begin where a repetition does. Examples with labels
        are left as they are, for these speak of one repetition.
      hide: probabilities with which a view (`views`) or what else a model is given (`INPUTS`) is
        hidden, each by itself, so that one model serves every subset. To be named here is to be an
        input: what is hidden is no target either. A view or the pose always stays.
    """

    flip: float = 0.5
    shift: float = 0.06
    colour: float = 0.15
    time: float = 0.2
    repeat: float = 0.0
    hide: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        unknown = sorted({*self.hide} - {"views", *INPUTS})
        if unknown:
            raise UserError(f"config.augment.hide: {', '.join(unknown)} is none of views, "
                            f"{', '.join(INPUTS)}")  # fmt: skip

    def __call__(self, example: Example, rng: np.random.Generator, mirror: "Mirror") -> Example:
        """Returns a changed copy; `example` is left alone."""
        example = self._hidden(dict(example), rng)
        if self.repeat and "phase" not in example and rng.random() < self.repeat:
            example |= _repeated(example, rng)
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

    def _hidden(self, example: Example, rng: np.random.Generator) -> Example:
        if not any(self.hide.values()):
            return example
        names = {name: f"{name}_mask" for name in INPUTS if self.hide.get(name)}
        gone = {name for name in names if rng.random() < self.hide[name]}
        seen = example["video_mask"].any(1)
        views = seen & (rng.random(len(seen)) < self.hide.get("views", 0.0))
        pose = "pose" in names and "pose" not in gone and example["pose_mask"].any()
        if seen.any() and (views == seen).all() and not pose:
            views[rng.choice(np.flatnonzero(seen))] = False
        example["video_mask"] = example["video_mask"] & ~views[:, None]
        return example | {names[n]: np.zeros_like(example[names[n]]) for n in gone}


class Mirror:
    """Left-right flip of an example: the picture and everything that has a side."""

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
          labels: what a flip changes in further fields of an example.
        """
        self._labels = labels
        self._joints = vocabulary.mirror_order(joints)
        self._dofs = vocabulary.mirror_order(dofs)
        # Paired angles are anatomical (flexion is flexion on both sides); of the unpaired ones
        # those about the vertical or the forward axis change sign in a mirror.
        self._sign = np.array(
            [-1.0 if dof.endswith(("_lateral", "_rotation")) and vocabulary.mirror(dof) == dof
             else 1.0 for dof in dofs], np.float32)  # fmt: skip
        names = [vocabulary.mirror_view(name) for name in vocabulary.VIEWS]
        self._views = np.array([vocabulary.VIEWS.index(name) for name in names], np.int32)

    def __call__(self, example: Example) -> Example:
        """Returns the mirrored example."""
        pose = example["pose"][:, self._joints] * np.array([1, -1, 1], np.float32)
        labels = {} if self._labels is None else self._labels(example)
        return (
            example
            | labels
            | {
                "video": example["video"][..., ::-1, :],
                "view": self._views[example["view"]],
                # A channel keeps its values and changes its name: the other side's electrode.
                "side": 1 - example["side"],
                "pose": pose,
                "pose_mask": example["pose_mask"][:, self._joints],
                "torque": example["torque"][:, self._dofs] * self._sign,
                "torque_mask": example["torque_mask"][:, self._dofs],
            }
        )


def _repeated(example: Example, rng: np.random.Generator) -> Example:
    """Fields over time of a window that shows its repetition again and again."""
    frames = example["video_mask"].any(0) if len(example["video"]) else example["pose_mask"].any(1)
    known = np.flatnonzero(frames)
    count, samples = len(frames), len(example["emg"])
    if len(known) < 2 or samples % count:
        return {}
    length = known[-1] + 1 - known[0]
    frame = known[0] + (rng.integers(length) + np.arange(count)) % length
    each = samples // count
    sample = (frame[:, None] * each + np.arange(each)).ravel()
    changed = {name: example[name][:, frame] for name in ("video", "video_mask")}
    changed |= {name: example[name][frame] for name in ("pose", "pose_mask")}
    changed |= {name: example[name][frame] for name in ("torque", "torque_mask")}
    return changed | {name: example[name][sample] for name in ("emg", "emg_mask")}


def _shift(video: UInt8[np.ndarray, "T H W 3"], dy: int, dx: int) -> UInt8[np.ndarray, "T H W 3"]:
    """Moves the picture by whole pixels, repeating the border."""
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
    """One table look-up per channel: gain about mid-grey, plus brightness, for a whole view."""
    contrast, brightness = 1 + rng.uniform(-strength, strength, 2)
    gains = 1 + rng.uniform(-strength, strength, 3) / 3
    levels = np.arange(256)
    tables = [((levels - 128) * contrast + 128) * brightness * gain for gain in gains]
    table = np.clip(tables, 0, 255).astype(np.uint8).ravel().tolist()
    # Pillow looks up interleaved channels several times faster than NumPy's indexing.
    tall = Image.fromarray(video.reshape(-1, video.shape[2], 3))
    return np.asarray(tall.point(table)).reshape(video.shape)
