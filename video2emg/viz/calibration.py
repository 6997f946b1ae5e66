"""Whether intervals hold what they say."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from video2emg.viz import style
from video2emg.viz.style import BLUE, GREY, INK, LIGHT, ORANGE, Path


@matplotlib.rc_context(style.RC)
def calibration(results: Mapping[str, Any], path: Path) -> Figure:
    """Share of measured samples within intervals, and their width, against the share promised.

    Args:
      results: of a run, with `test.calibration` as `eval.intervals.calibrate` returns it.
      path: of the PNG.
    """
    facts, found = results["provenance"], results["test"]["calibration"]
    levels = sorted(found, key=float)
    promised = [float(level) for level in levels]
    figure = style.new_figure(7.0, 3.2)
    held, wide = (figure.add_axes((x, 0.16, 0.36, 0.62)) for x in (0.1, 0.6))
    held.plot([0.4, 1], [0.4, 1], color=LIGHT, lw=1.0)
    for name, colour, marker in (("without_predicted_mae", GREY, "s"), ("", BLUE, "o")):
        own = [found[level][name] if name else found[level] for level in levels]
        label = "by level of EMG alone" if name else "by the model's spread too"
        held.plot(promised, [one["coverage"] for one in own], color=colour, marker=marker, ms=4)
        wide.plot(
            promised, [one["width"] for one in own], color=colour, marker=marker, ms=4, label=label
        )
    for level in levels:
        ends = found[level].get("coverage_ci95")
        if ends and None not in ends:
            held.plot([float(level)] * 2, ends, color=BLUE, lw=1.4)
    worst = min(found["0.8"]["by_action"].items(), key=lambda item: item[1])
    held.scatter([0.8], [worst[1]], color=ORANGE, marker="x", zorder=3)
    held.annotate(
        style.plain(worst[0]),
        (0.8, worst[1]),
        (4, -9),
        textcoords="offset points",
        fontsize=7.5,
        color=ORANGE,
    )
    held.set_xlabel("share promised")
    held.set_ylabel("share of measured samples within")
    wide.set_xlabel("share promised")
    wide.set_ylabel(f"mean width ({facts['normalisation']})")
    wide.legend(loc="upper left")
    for axes in (held, wide):
        axes.grid(color=LIGHT, lw=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(color=INK)
    people = results["test"]["model"]["subjects"]
    style.title(
        figure,
        f"Intervals on {people} unseen subjects · {style.emg_words(bool(facts['simulated']))}",
        0.1,
    )
    style.save(figure, path)
    return figure
