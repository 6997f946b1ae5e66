"""Values with their intervals, as markers on lines."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from video2emg.core.text_table import number
from video2emg.viz.theme import MARKERS, PALETTE

Look = tuple[str, str]  # colour and marker


def look(kind: int) -> Look:
    """The look of the kind of that number, told apart with any colour vision and in print."""
    turn, colour = divmod(kind, len(PALETTE))
    return PALETTE[colour], MARKERS[(kind + turn) % len(MARKERS)]


def handle(of: Look) -> Line2D:
    """For a legend."""
    colour, marker = of
    return Line2D([], [], color=colour, marker=marker, lw=1.5)


def mark(
    axes: Axes,
    place: float,
    value: float | None,
    ends: Sequence[float | None],
    of: Look,
    *,
    lowest: float = -math.inf,
    upright: bool = False,
    size: float = 30.0,
) -> None:
    """Draws a value and its interval; nothing if the value is undefined.

    Args:
      axes: to draw on.
      place: of the row, on the other axis.
      value: null or NaN if it is undefined.
      ends: of its interval.
      of: colour and marker.
      lowest: a value below this is drawn there, as a triangle that points on.
      upright: whether values are heights, and places are beside each other.
      size: of the marker, square points.
    """
    centre = number(value)
    if not math.isfinite(centre):
        return
    colour, marker = of
    line = [place, place], [max(number(end), lowest) for end in ends]
    point = place, max(centre, lowest)
    if centre < lowest:
        marker = "v" if upright else "<"
    way = 1 if upright else -1
    axes.plot(*line[::way], color=colour, lw=1.5)
    axes.scatter(*point[::way], s=size, marker=marker, color=colour, zorder=3)
