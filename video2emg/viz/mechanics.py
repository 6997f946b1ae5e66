"""One picture of the mechanics of a recording: stick figures, torques, activations."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.physics import skeleton
from video2emg.viz import style, theme

_FIGURES = 7
_TORQUES, _MUSCLES = 5, 8
_BONES = (
    ("head", "neck"),
    ("neck", "chest"),
    *(
        (f"{side}_{a}", f"{side}_{b}")
        for side in vocabulary.SIDES
        for a, b in (
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("hip", "knee"),
            ("knee", "ankle"),
            ("heel", "toe"),
            ("shoulder", "hip"),
            ("ankle", "heel"),
        )
    ),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
)


def draw(
    path: Path,
    *,
    source: str,
    time: Float[np.ndarray, " K"],
    joints: Float[np.ndarray, "K J 3"],
    torque: Float[np.ndarray, "K D"],
    channels: Sequence[str],
    activation: Float[np.ndarray, "K C"],
    floor: Float[np.ndarray, " K"],
) -> None:
    """Draws the picture.

    Args:
      path: PNG.
      source: what was recorded.
      time: s.
      joints: of `skeleton.JOINTS`, m, x forward.
      torque: N·m, of `vocabulary.DOFS`.
      channels: names of the muscles.
      activation: 0-1, NaN where unknown.
      floor: vertical force of floor and bench over the weight.
    """
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(8.0, 8.4)
        grid = figure.add_gridspec(
            4,
            1,
            height_ratios=(2.2, 2, 2.4, 0.8),
            left=0.1,
            right=0.78,
            top=0.93,
            bottom=0.06,
            hspace=0.32,
        )
        style.title(figure, f"{source}: by mechanics alone, not measured", 0.1)
        _figures(figure.add_subplot(grid[0]), time, joints)
        largest = np.argsort(-np.abs(torque).max(0))[:_TORQUES]
        torques = [vocabulary.DOFS[d] for d in largest]
        _curves(figure.add_subplot(grid[1]), time, torque[:, largest], torques, "N·m")
        peaks = np.nan_to_num(activation).max(0)
        most = np.argsort(-peaks)[:_MUSCLES]
        muscles = [channels[int(c)] for c in most]
        _curves(
            figure.add_subplot(grid[2]), time, 100 * activation[:, most], muscles, "% of maximum"
        )
        axes = figure.add_subplot(grid[3])
        _curves(axes, time, floor[:, None], ["floor and bench"], "× weight")
        axes.set_xlabel("time, s")
        style.save(figure, path)


def _figures(axes, time: np.ndarray, joints: np.ndarray) -> None:
    """The body from its right side at even times, each above its time."""
    index = {name: i for i, name in enumerate(skeleton.JOINTS)}
    at = np.linspace(0, len(time) - 1, _FIGURES).round().astype(int)
    for number, k in enumerate(at):
        place = joints[k] - np.array([0, 0, np.nanmin(joints[k, :, 2])])
        for a, b in _BONES:
            ends = place[[index[a], index[b]]]
            near = a.startswith("right") or not a.startswith("left")
            axes.plot(
                ends[:, 0] + number, ends[:, 2], color=theme.INK if near else theme.GREY, lw=1.8
            )
        axes.text(number, -0.08, f"{time[k]:.1f} s", ha="center", va="top", fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")


def _curves(axes, time: np.ndarray, values: np.ndarray, names: Sequence[str], unit: str) -> None:
    for column, name in enumerate(names):
        colour = theme.PALETTE[column % len(theme.PALETTE)]
        axes.plot(time, values[:, column], color=colour, lw=1.3, label=name.replace("_", " "))
    axes.set_ylabel(unit)
    axes.set_xlim(time[0], time[-1])
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=7.5)
