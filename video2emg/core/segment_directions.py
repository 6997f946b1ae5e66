"""A pose as directions of the segments of the body, and back: bones keep their lengths.

An error of technique changes directions. Directions of another person can be changed in the same
way, whatever the lengths of that person's bones are. Axes of arrays: T instants, J joints, S
segments.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary

# Segments from the middle of the hips outwards: (joint nearer to it, joint farther from it). The
# empty name is the middle of the hips.
SEGMENTS = (
    ("", "left_hip"),
    ("", "right_hip"),
    ("", "chest"),
    ("chest", "neck"),
    ("neck", "head"),
    *(
        (f"{side}_{near}" if near != "neck" else near, f"{side}_{far}")
        for side in vocabulary.SIDES
        for near, far in (
            ("neck", "shoulder"),
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("wrist", "hand"),
            ("hip", "knee"),
            ("knee", "ankle"),
            ("ankle", "heel"),
            ("ankle", "toe"),
        )
    ),
)


def directions(pose: Float[np.ndarray, "T 21 3"]) -> Float[np.ndarray, "T S 3"]:
    """Unit vectors along `SEGMENTS`, of joints in the order of `vocabulary.FLEX_21`."""
    vectors = _vectors(pose)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-9)


def rotations(
    start: Float[np.ndarray, "*T 3"], end: Float[np.ndarray, "*T 3"]
) -> Float[np.ndarray, "*T 3"]:
    """The smallest rotation from one unit vector to another: axis times angle, rad."""
    cross = np.cross(start, end)
    sine = np.linalg.norm(cross, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (start * end).sum(-1, keepdims=True))
    return cross * (angle / np.maximum(sine, 1e-9))


def turned(
    pose: Float[np.ndarray, "T 21 3"], rotation: Float[np.ndarray, "T S 3"]
) -> Float[np.ndarray, "T 21 3"]:
    """The pose with each segment turned about the joint nearer to the hips; the hips' middle stays.

    Args:
      pose: joints in the order of `vocabulary.FLEX_21`.
      rotation: of each of `SEGMENTS`: axis times angle, rad.
    """
    vectors = _turn(_vectors(pose), rotation)
    place = {"": _middle(pose)}
    for s, (near, far) in enumerate(SEGMENTS):
        place[far] = place[near] + vectors[:, s]
    return np.stack([place[name] for name in vocabulary.FLEX_21], 1)


def mirrored(rotation: Float[np.ndarray, "T S 3"]) -> Float[np.ndarray, "T S 3"]:
    """The rotations of the mirror image: left and right are exchanged, y points to the left."""
    names = [far for _, far in SEGMENTS]
    order = vocabulary.mirror_order(names)
    # A rotation is an axial vector: in a mirror across y its x and z change their sign.
    return rotation[:, order] * np.array([-1.0, 1.0, -1.0])


def _vectors(pose: Float[np.ndarray, "T 21 3"]) -> Float[np.ndarray, "T S 3"]:
    at = dict(zip(vocabulary.FLEX_21, np.moveaxis(pose, 1, 0), strict=True)) | {"": _middle(pose)}
    return np.stack([at[far] - at[near] for near, far in SEGMENTS], 1)


def _middle(pose: Float[np.ndarray, "T 21 3"]) -> Float[np.ndarray, "T 3"]:
    hips: Sequence[int] = [vocabulary.FLEX_21.index(f"{s}_hip") for s in vocabulary.SIDES]
    return pose[:, hips].mean(1)


def _turn(
    vector: Float[np.ndarray, "T S 3"], rotation: Float[np.ndarray, "T S 3"]
) -> Float[np.ndarray, "T S 3"]:
    """Rodrigues' formula."""
    angle = np.linalg.norm(rotation, axis=-1, keepdims=True)
    axis = rotation / np.maximum(angle, 1e-12)
    along = (axis * vector).sum(-1, keepdims=True) * axis
    return along + np.cos(angle) * (vector - along) + np.sin(angle) * np.cross(axis, vector)
