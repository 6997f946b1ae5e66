"""Colours, words and files that all figures share."""

import os
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from video2emg.core import vocabulary
from video2emg.core.files import write_atomically

INK, GREY, LIGHT = "#333333", "#8C8C8C", "#D9D9D9"
# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
BLUE, ORANGE = "#0072B2", "#D55E00"
PALETTE = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", ORANGE, "#000000", "#B8A800")
# Markers repeat the information of the colour, for print without colour.
MARKERS = "osD^vPX*"

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


def plain(name: str) -> str:
    """A name of the vocabulary as words."""
    return name.replace("_", " ")


def channel_label(name: str) -> str:
    """Side and muscle, at most two words to a line."""
    side, muscle = vocabulary.split_channel(name)
    return "\n".join([side, *muscle.split("_")])


def emg_words(simulated: bool) -> str:
    """The words about the EMG that every title must contain."""
    return "simulated EMG" if simulated else "measured EMG"


def unit(normalisation: str) -> str:
    """Unit of an envelope in percent of what it is normalised by."""
    if normalisation == "relative":
        return "% relative effort"
    return "% MVC" if normalisation == "mvc" else f"% of the {normalisation} reference"


def finite_range(values: np.ndarray, lowest: float, highest: float) -> tuple[float, float]:
    """Smallest and largest finite value, no narrower than [lowest, highest]."""
    finite = values[np.isfinite(values)]
    return min(lowest, *finite) if len(finite) else lowest, max(highest, *finite, highest)
