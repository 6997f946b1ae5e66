"""Checks of a clip's movement: 3-D poses and 2-D keypoints."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from video2emg.core import units
from video2emg.core.clip import Clip

BODY = (0.3, 4.0)  # m: the diagonal of the box around a body, from a crouch to raised arms
JUMP = 0.5  # share of the body's size that nobody moves within JUMP_S
JUMP_S = 0.2  # s
GAP = 5  # median steps without a pose

Note = Callable[[str, str, str], None]


def check_pose(clip: Clip, error: Note, warning: Note) -> None:
    """Size, direction, lost joints and gaps of the poses.

    Args:
      clip: with poses.
      error: called with code, field and message of a finding.
      warning: as `error`.
    """
    recorded = np.isfinite(clip.pose).all((0, 2))  # a dataset may not have every joint
    joints, body = np.array(clip.joints)[recorded], clip.pose[:, recorded]
    if len(joints) < 2:
        return
    size = float(np.median(np.linalg.norm(np.ptp(body, axis=1), axis=-1)))
    if not BODY[0] <= size <= BODY[1]:
        factor = next((unit for unit, f in (("mm", 1e-3), ("cm", 1e-2)) if _fits(size * f)), "")
        hint = f"; are they in {factor}? {_hint(clip, factor)}".rstrip() if factor else ""
        error("pose_size", "pose", f"the body measures {size:.3g} m by its coordinates{hint}")
        return
    height = dict(zip(joints, body[..., 2].mean(0), strict=True))
    feet = [height[name] for name in ("left_ankle", "right_ankle") if name in height]
    if "head" in height and feet and height["head"] < np.mean(feet) - 0.25 * size:
        lower = float(np.mean(feet) - height["head"])
        place = " in flex.yaml" if clip.dataset == "flex" else ""
        message = (
            f"the head is {lower:.2f} m below the feet: do pose_axes{place} name the axis that is "
            "up?"
        )
        warning("pose_up", "pose", message)
    lost = (body == 0).all(-1)
    origin = lost.all(0)
    if lost[:, ~origin].any() or origin.sum() > 1:
        joint = joints[int(lost.sum(0).argmax())]
        warning(
            "pose_zeros",
            f"pose/{joint}",
            f"at 0 0 0 in {lost.sum(0).max()} of {len(lost)} poses: was it not found there?",
        )
    step = np.diff(clip.pose_time)
    if len(step) > 1 and step.max() > GAP * np.median(step):
        message = f"no pose for {step.max():.2f} s after {clip.pose_time[step.argmax()]:.2f} s"
        warning("gap", "pose", message)


def _hint(clip: Clip, unit: str) -> str:
    """How to say the unit of the poses, where a dataset lets its user say it."""
    hints = {
        "recordings": f"Then name the columns `head_x [{unit}]`",
        "flex": f"Then set pose_scale: {units.factor(unit, 'm', ''):g} in flex.yaml",
    }
    return hints.get(clip.dataset, "")


def _fits(size: float) -> bool:
    return BODY[0] <= size <= BODY[1]


def jumps(points: Float[np.ndarray, "Q K 2"], time: Float[np.ndarray, " Q"]) -> np.ndarray:
    """Indices of the keypoints that another person's seem to follow.

    The median joint moves, or the body grows, by more than half of the body's size in an instant.
    """
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1)  # [Q - 1, K]; NaN if not found
    both = np.isfinite(step).sum(-1) >= 3
    if not both.any():
        return np.zeros(0, int)
    size = np.full(len(points), np.nan)
    visible = np.isfinite(points).all(-1).sum(-1) >= 2
    size[visible] = np.linalg.norm(
        np.nanmax(points[visible], 1) - np.nanmin(points[visible], 1), axis=-1
    )
    moved = np.full(len(step), 0.0)
    moved[both] = np.nanmedian(step[both], axis=1)
    near = np.diff(time) <= JUMP_S
    return np.flatnonzero(both & near & (moved > JUMP * np.minimum(size[1:], size[:-1])))
