"""What a batch is: the fields of its examples, with their shapes, types and units.

An example is one `Window` of one clip, as a dictionary of the arrays in `FIELDS`. A batch stacks B
examples: each of its arrays has the axis B in front. Every measured field has a mask of the same
name with `_mask` behind it; where the mask is false the values are zero and mean nothing.

Axes: V views, T frames, S pixels, N EMG samples, M EMG channels, J joints, D joint torques. Labels
of action quality, whose lengths the knowledge graph sets: E errors, P key steps, Q instants.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.overlap_add import window_starts

Example = dict[str, Any]  # arrays and NumPy scalars, by the names in FIELDS


@dataclasses.dataclass(frozen=True)
class Window:
    """What one example looks like.

    Attributes:
      seconds: length.
      frame_rate: video frames given to the model, Hz.
      emg_rate: rate of the target envelope, Hz.
      size: S; frames are `size` × `size` pixels.
      views: which cameras, in the order of the V axis; none for models that read the pose.
      channels: M, the most EMG channels that a clip may have.
      joints: names of the J joints; clips with another skeleton are converted.
      dofs: names of the D joint torques, as in the clips.
      statics: compute the torques from the posture (`data.statics`) instead of reading the clips'.
      stride: from one window of a clip to the next where EMG is evaluated, s; None: `seconds`.
    """

    seconds: float
    frame_rate: float
    emg_rate: float
    size: int
    views: tuple[str, ...]
    channels: int
    joints: tuple[str, ...] = ()
    dofs: tuple[str, ...] = ()
    statics: bool = False
    stride: float | None = None

    def __post_init__(self):
        if not all(isinstance(view, str) for view in self.views):
            raise UserError(f"config.data.views: {self.views} is not a tuple of camera names")
        for name in ("seconds", "frame_rate", "emg_rate", "size", "channels"):
            if not getattr(self, name) > 0:
                raise UserError(f"config.data.{name}: must be positive, not {getattr(self, name)}")
        if self.stride is not None and not 0 < self.stride <= self.seconds:
            raise UserError(
                f"config.data.stride: {self.stride:g} s is not above 0 and at most the window's "
                f"config.data.seconds={self.seconds:g}"
            )

    @property
    def frame_time(self) -> Float[np.ndarray, " T"]:
        """[T] s from the start of the window."""
        return np.arange(round(self.seconds * self.frame_rate)) / self.frame_rate

    @property
    def emg_time(self) -> Float[np.ndarray, " N"]:
        """[N] s from the start of the window."""
        return np.arange(round(self.seconds * self.emg_rate)) / self.emg_rate

    @property
    def view_index(self) -> Int[np.ndarray, " V"]:
        """[V] int32, index of each camera in `vocabulary.VIEWS`."""
        known = vocabulary.VIEWS
        names = (name if name in known else "other" for name in self.views)
        return np.array([known.index(name) for name in names], np.int32)

    def starts(self, seconds: float) -> list[float]:
        """Starts of windows that cover a film or a pose: on frames, as far apart as in evaluation.

        Args:
          seconds: duration of the recording.
        """
        period = 1 / self.frame_rate
        starts = window_starts(seconds, self.seconds, self.stride or self.seconds, tolerance=period)
        return [round(start / period) * period for start in starts]

    @property
    def axes(self) -> dict[str, int]:
        """Length of each axis but B and those of the labels."""
        return {
            "V": len(self.views),
            "T": len(self.frame_time),
            "S": self.size,
            "N": len(self.emg_time),
            "M": self.channels,
            "J": len(self.joints),
            "D": len(self.dofs),
        }


@dataclasses.dataclass(frozen=True)
class Field:
    """One array of an example.

    Attributes:
      axes: their names, or fixed lengths.
      dtype: of the array.
      meaning: with its unit.
    """

    axes: tuple[str | int, ...]
    dtype: type
    meaning: str


FIELDS = {
    "video": Field(("V", "T", "S", "S", 3), np.uint8, "RGB frames"),
    "video_mask": Field(("V", "T"), np.bool_, "frames that were recorded"),
    "view": Field(("V",), np.int32, "index of each camera in vocabulary.VIEWS"),
    "emg": Field(("N", "M"), np.float32, "normalised envelope, see emg.Normalisation"),
    "emg_mask": Field(("N", "M"), np.bool_, "samples that were measured"),
    "muscle": Field(("M",), np.int32, "index of each channel in vocabulary.MUSCLES"),
    "side": Field(("M",), np.int32, "index of each channel in vocabulary.SIDES"),
    "pose": Field(
        ("T", "J", 3),
        np.float32,
        "joints in the canonical frame (core.body_frame), m of a body of 1.75 m",
    ),
    "pose_mask": Field(("T", "J"), np.bool_, "joints that are known"),
    "true_pose": Field(
        ("T", "J", 3), np.float32, "the pose without the errors of `data.pose_noise`; a target"
    ),
    "true_pose_mask": Field(("T", "J"), np.bool_, "joints that are known"),
    "torque": Field(("T", "D"), np.float32, "net joint torques, N·m"),
    "torque_mask": Field(("T", "D"), np.bool_, "torques that are known"),
    "load": Field((), np.float32, "weight that is lifted, kg"),
    "load_mask": Field((), np.bool_, "whether it is known"),
    "held": Field((5,), np.float32, "share of the load at each of equipment.PLACES"),
    "held_mask": Field((), np.bool_, "whether the place of the load is known"),
    "height": Field((), np.float32, "of the body, from the lengths of its segments, m"),
    "height_mask": Field((), np.bool_, "whether it is known"),
    "vitals": Field((2,), np.float32, "heart and breath rate, 1/min"),
    "vitals_mask": Field((2,), np.bool_, "which are known"),
    "traits": Field((3,), np.float32, "height, m; mass, kg; sex, 1 for female"),
    "traits_mask": Field((3,), np.bool_, "which are known"),
    "index": Field((), np.int32, "of the clip in its split"),
    "start": Field((), np.float32, "of the window on the clip's clock, s"),
    # Labels, see data.labels.
    "action": Field((), np.int32, "index of the exercise in the knowledge graph"),
    "severity": Field(("E",), np.float32, "of each error, in [0, 1]; 0 if it is not made"),
    "error_mask": Field(("E",), np.bool_, "errors that the action can have"),
    "score": Field((), np.float32, "quality, 0-100"),
    "score_mask": Field((), np.bool_, "whether it is known"),
    "phase": Field(("Q",), np.int32, "which of the action's key steps, at each instant"),
    "phase_mask": Field(("Q",), np.bool_, "instants within a key step"),
    "boundary": Field(("P",), np.float32, "start of each key step, s in the window; NaN: unknown"),
}

# What a model is given; the other fields are targets and labels.
INPUT_FIELDS = (
    "video",
    "video_mask",
    "view",
    "muscle",
    "side",
    "emg_mask",
    "pose",
    "pose_mask",
    *(
        name
        for field in ("load", "held", "height", "vitals", "traits")
        for name in (field, f"{field}_mask")
    ),
)

# In training, a batch may hold further examples that show a pose and no video, with an axis B of
# their own. The names of their fields begin with this.
POSE_ONLY = "pose_only/"


def with_pose_only(batch: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """A batch, and `others`, examples without video, beside it."""
    return {**batch, **{f"{POSE_ONLY}{name}": values for name, values in others.items()}}


def split_pose_only(batch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch, and the examples without video beside it; empty if there are none."""
    main = {name: x for name, x in batch.items() if not name.startswith(POSE_ONLY)}
    others = {name: x for name, x in batch.items() if name.startswith(POSE_ONLY)}
    return main, {name.removeprefix(POSE_ONLY): x for name, x in others.items()}


def muscle_queries(
    muscles: Sequence[str],
) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """The fields `muscle` and `side` [M] of EMG channels, given by name.

    Raises:
      ValueError: an unknown channel.
    """
    pairs = [vocabulary.split_channel(name) for name in muscles]
    return (
        np.array([vocabulary.MUSCLES.index(muscle) for _, muscle in pairs], np.int32),
        np.array([vocabulary.SIDES.index(side) for side, _ in pairs], np.int32),
    )


def blank_batch(
    window: Window, size: int = 1, muscles: Sequence[str] = (), fields: Sequence[str] = INPUT_FIELDS
) -> dict[str, np.ndarray]:
    """A batch of zeros, with every mask false; for shapes, and to be filled in.

    Args:
      window: what an example looks like.
      size: B.
      muscles: names of the M channels that are asked for; `window.channels` unnamed ones if empty.
      fields: names in `FIELDS`.
    """
    axes = window.axes | ({"M": len(muscles)} if muscles else {})
    batch = {}
    for name in fields:
        shape = [axis if isinstance(axis, int) else axes[axis] for axis in FIELDS[name].axes]
        batch[name] = np.zeros((size, *shape), FIELDS[name].dtype)
    if muscles:
        batch["muscle"][:], batch["side"][:] = muscle_queries(muscles)
    return batch


def drop_inputs(
    example: Example, views: Bool[np.ndarray, " V"], inputs: Collection[str]
) -> Example:
    """A copy of an example without some of what a model may be given: their masks become false.

    Args:
      example: stays as it is.
      views: [V] true for the views to drop.
      inputs: names in `vocabulary.INPUTS` to drop.
    """
    masks = [f"{name}_mask" for name in inputs]
    masks += ["true_pose_mask"] if "pose" in inputs else []  # what is dropped is no target either
    return example | {
        "video_mask": example["video_mask"] & ~views[:, None],
        **{name: np.zeros_like(example[name]) for name in masks},
    }
