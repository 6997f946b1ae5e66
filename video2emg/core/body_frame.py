"""The canonical frame of a pose: one frame for all skeletons, cameras and body sizes.

Models see every pose in this frame, so that a pose of another source looks like those that they
were trained on:

- The origin is the middle of the hips, at each instant.
- z points up. The source must say which way gravity points; this is not estimated here.
- x points where the body faces. One rotation about the vertical per window: the mean direction from
  right to left, of hips and shoulders, becomes y. A body that turns within the window still turns.
- Lengths are those of a body of 1.75 m (`HEIGHT`). One factor per window. The height of the body is
  estimated from the lengths of its segments, so the unit of the source does not matter.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import skeleton, vocabulary

# m, of the body whose metres the canonical frame has, and of a person whose height is unknown
HEIGHT = 1.75
LEAST_HEIGHT, LARGEST_HEIGHT = 1.0, 2.3  # m; a person of another height is in another unit

# Segments as fractions of body height. Limbs: Drillis & Contini (in Winter, Biomechanics and Motor
# Control of Human Movement, ch. 4). The trunk, from mid-hips to mid-shoulders, is that of the
# simulated body.
LIMBS = {
    ("hip", "knee"): 0.245,
    ("knee", "ankle"): 0.246,
    ("shoulder", "elbow"): 0.186,
    ("elbow", "wrist"): 0.146,
}
TRUNK = 0.306
_PAIRS = ("hip", "shoulder")  # joints whose line from right to left gives the heading
_FRAME_JOINTS = tuple(
    f"{side}_{part}"
    for side in vocabulary.SIDES
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
# A direction to the left that is shorter than this fraction of the body height is no direction: the
# body lies on its side, or turns around within the window.
_LEAST_LEFT = 0.01


def canonical_pose(
    joints: Sequence[str],
    pose: Float[np.ndarray, "T J 3"],
    mask: Bool[np.ndarray, "T J"],
    target_joints: Sequence[str],
) -> tuple[Float[np.ndarray, "T K 3"], Bool[np.ndarray, "T K"], float]:
    """A window of a pose of any source, in the canonical frame and for another skeleton.

    Args:
      joints: J names, of any skeleton.
      pose: z up, right-handed; any origin, heading and unit of length.
      mask: joints that are known; joints that are not finite are unknown, too.
      target_joints: K names that are wanted; those that `joints` lacks are computed as by
        `skeleton.arrange`, or masked.

    Returns:
      The pose, float32, in metres of a body of `HEIGHT`, zero where unknown; its mask; and the
      height of the body in the source's unit. An instant without hips is masked. If no segment of
      the body is known, the height is NaN and everything is masked. If the body has no heading (see
      `heading`), it is not rotated.
    """
    known = mask & np.isfinite(pose).all(2)
    values = np.where(known[..., None], pose, np.nan).astype(np.float64)
    frame = skeleton.arrange(values, joints, _FRAME_JOINTS)
    at = dict(zip(_FRAME_JOINTS, frame.swapaxes(0, 1), strict=True))
    height = body_height(at)
    rotation = _about_vertical(heading(at, height))
    placed = skeleton.arrange(values, joints, target_joints) - mid_hips(at)[:, None]
    placed = placed @ rotation * (HEIGHT / height)
    known = np.all(np.isfinite(placed), axis=2)
    return np.where(known[..., None], placed, 0).astype(np.float32), known, height


def body_height(at: dict[str, Float[np.ndarray, "T 3"]]) -> float:
    """Body height from the lengths of shanks, thighs, trunk, upper arms and forearms.

    Each length is the median over the instants at which it is known, and the mean of both sides.
    The height is the sum of the known lengths, divided by the sum of their fractions of height.

    Args:
      at: positions by joint name, NaN where unknown.

    Returns:
      In the unit of the positions; NaN if no length is known, or all are zero.
    """
    hips, shoulders = ((at[f"left_{part}"] + at[f"right_{part}"]) / 2 for part in _PAIRS)
    limbs = [
        at[f"{side}_{lower}"] - at[f"{side}_{upper}"]
        for upper, lower in LIMBS
        for side in vocabulary.SIDES
    ]
    trunk, *sides = _median_lengths(np.stack([shoulders - hips, *limbs], 1))
    pairs = np.reshape(sides, (len(LIMBS), 2))
    count = np.isfinite(pairs).sum(1)
    means = np.nansum(pairs, 1) / np.where(count, count, np.nan)
    lengths, fractions = np.array([trunk, *means]), np.array([TRUNK, *LIMBS.values()])
    known = np.isfinite(lengths)
    total = float(lengths[known].sum())
    return total / float(fractions[known].sum()) if total > 0 else float("nan")


def heading(at: dict[str, Float[np.ndarray, "T 3"]], height: float) -> float:
    """Direction in which a body faces, averaged over a window.

    The horizontal parts of the lines from right to left, of hips and of shoulders, are averaged
    over the instants at which they are known, and added. The body faces 90° to the right of this
    direction. Single instants with left and right exchanged do not change it.

    Args:
      at: positions by joint name, z up, NaN where unknown.
      height: of the body, in the unit of the positions.

    Returns:
      Angle from x, counter-clockwise from above, rad; 0 if there is no such direction.
    """
    left = np.zeros(2)
    for part in _PAIRS:
        across = (at[f"left_{part}"] - at[f"right_{part}"])[:, :2]
        known = np.isfinite(across).all(1)
        if known.any():
            left += across[known].mean(0)
    if not np.linalg.norm(left) > _LEAST_LEFT * height:
        return 0.0
    return float(np.arctan2(-left[0], left[1]))


def mid_hips(at: dict[str, Float[np.ndarray, "T 3"]]) -> Float[np.ndarray, "T 3"]:
    """The middle of the hips at each instant, NaN if unknown.

    Where one hip is unknown, half of the mean line between the hips is added to the other.

    Args:
      at: positions by joint name, NaN where unknown.
    """
    right, left = at["right_hip"], at["left_hip"]
    middle = (right + left) / 2
    both = np.all(np.isfinite(middle), axis=1)
    if both.any():
        half = (left - right)[both].mean(0) / 2
        middle = np.where(both[:, None], middle, right + half)
        middle = np.where(np.isfinite(middle), middle, left - half)
    return middle


def _about_vertical(angle: float) -> Float[np.ndarray, "3 3"]:
    """`pose @ matrix` turns what faces `angle` towards x."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _median_lengths(vectors: Float[np.ndarray, "T N 3"]) -> Float[np.ndarray, " N"]:
    """Medians over the instants at which each vector is known; NaN if it never is."""
    ordered = np.sort(np.linalg.norm(vectors, axis=2), axis=0)  # NaN last
    count = np.isfinite(ordered).sum(0)
    middles = [ordered[place, np.arange(len(count))] for place in ((count - 1) // 2, count // 2)]
    return (middles[0] + middles[1]) / 2
