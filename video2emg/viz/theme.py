"""Colours and words that all figures and reports share. Nothing here needs matplotlib."""

from video2emg.core import vocabulary

INK, GREY, LIGHT = "#333333", "#8C8C8C", "#D9D9D9"
# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
BLUE, ORANGE = "#0072B2", "#D55E00"
PALETTE = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", ORANGE, "#000000", "#B8A800")
# Markers repeat the information of the colour, for print without colour.
MARKERS = "osD^vPX*"


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
