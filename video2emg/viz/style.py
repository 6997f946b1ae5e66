"""Form and files that all figures share."""

import os
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from video2emg.core.files import write_atomically
from video2emg.viz.theme import GREY, INK

# Read by `matplotlib.rc_context`, whose key type cannot be written without its stubs.
RC: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}

Path = str | os.PathLike[str]


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, drawn without a display and without pyplot's global state."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def title(figure: Figure, text: str, left: float) -> None:
    """Bold text at the upper edge, `left` inches from the left one."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - 0.1 / height, text, fontsize=10, weight="bold", va="top")


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG in one step; the same figure gives the same bytes."""
    write_atomically(
        path, lambda file: figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    )


def finite_range(values: np.ndarray, lowest: float, highest: float) -> tuple[float, float]:
    """Smallest and largest finite value, no narrower than [lowest, highest]."""
    finite = values[np.isfinite(values)]
    return min(lowest, *finite) if len(finite) else lowest, max(highest, *finite, highest)
