"""The Clip as a TFDS record: features and conversion, without TensorFlow."""

import dataclasses
import json
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from video2emg.core.clip import Clip, Repetition

# Without TensorFlow, TFDS cannot encode images or videos: frames are stored as bytes, and arrays
# compressed with zlib (docs/architecture.md).
_TENSORS = {
    "frame_view": ((None,), np.int32),
    "frame_time": ((None,), np.float64),
    "emg": ((None, None), np.float32),
    "emg_max": ((None,), np.float32),
    "pose": ((None, None, 3), np.float32),
    "pose_time": ((None,), np.float64),
    "keypoints": ((None, None, 3), np.float32),
    "keypoint_view": ((None,), np.int32),
    "keypoint_time": ((None,), np.float64),
    "torque": ((None, None), np.float32),
    "drive": ((None, None), np.float32),
    "heart_rate": ((None,), np.float32),
    "heart_time": ((None,), np.float64),
    "breath_rate": ((None,), np.float32),
    "breath_time": ((None,), np.float64),
}
_TEXTS = ("clip_id", "dataset", "subject", "action", "emg_unit")
_NAMES = ("views", "muscles", "joints", "keypoint_joints", "dofs")
_NUMBERS = ("emg_rate", "emg_start", "load", "score")


def features() -> tfds.features.FeaturesDict:
    """Features of every dataset of this package."""
    fields: dict[str, Any] = {name: tfds.features.Text() for name in (*_TEXTS, "provenance")}
    fields |= {name: tfds.features.Sequence(tfds.features.Text()) for name in _NAMES}
    fields |= {name: tfds.features.Scalar(dtype=np.float64) for name in _NUMBERS}
    fields |= {
        name: tfds.features.Tensor(shape=shape, dtype=dtype, encoding="zlib")
        for name, (shape, dtype) in _TENSORS.items()
    }
    fields["frames"] = tfds.features.Sequence(tfds.features.Text())
    # These contain text and numbers, and are stored as one JSON text each.
    fields |= {name: tfds.features.Text() for name in ("phases", "errors", "repetitions")}
    return tfds.features.FeaturesDict(fields)


def to_example(clip: Clip) -> dict[str, Any]:
    """Clip → the dictionary that a TFDS builder yields."""
    example: dict[str, Any] = {name: getattr(clip, name) for name in (*_TEXTS, *_NUMBERS)}
    example |= {name: list(getattr(clip, name)) for name in _NAMES}
    example |= {
        name: np.ascontiguousarray(getattr(clip, name), dtype)
        for name, (_, dtype) in _TENSORS.items()
    }
    example["frames"] = list(clip.frames)
    for name in ("phases", "errors", "provenance"):
        example[name] = json.dumps(getattr(clip, name))
    repetitions = clip.repetitions
    rows = None if repetitions is None else [dataclasses.asdict(r) for r in repetitions]
    example["repetitions"] = json.dumps(rows)
    return example


def from_example(example: dict[str, Any]) -> Clip:
    """The dictionary that a `tfds.data_source` yields → Clip."""
    fields: dict[str, Any] = {name: example[name].decode() for name in _TEXTS}
    fields |= {name: tuple(text.decode() for text in example[name]) for name in _NAMES}
    fields |= {name: float(example[name]) for name in _NUMBERS}
    fields |= {name: np.asarray(example[name]) for name in _TENSORS}
    fields["frames"] = list(example["frames"])
    for name in ("phases", "errors"):
        fields[name] = _tuples(json.loads(example[name]))
    fields["repetitions"] = _repetitions(json.loads(example["repetitions"]))
    fields["provenance"] = json.loads(example["provenance"])
    return Clip(**fields)


def _repetitions(rows: list[dict[str, Any]] | None) -> tuple[Repetition, ...] | None:
    if rows is None:
        return None
    for row in rows:
        row |= {name: _tuples(row[name]) for name in ("phases", "errors")}
    return tuple(Repetition(**row) for row in rows)


def _tuples(rows: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in rows)
