"""Figure of the coverage and width of intervals."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from video2emg.viz import style, theme
from video2emg.viz.style import Path
from video2emg.viz.theme import BLUE, GREY, INK, LIGHT, ORANGE


@matplotlib.rc_context(style.RC)
def calibration(results: Mapping[str, Any], path: Path) -> Figure:
    """Share of measured samples within intervals, and their width, against the nominal share.

    Args:
      results: of a run, with `test.calibration` as `eval.intervals.calibrate` returns it.
      path: of the PNG.
    """
    facts, by_level = results["provenance"], results["test"]["calibration"]
    levels = sorted(by_level, key=float)
    nominal = [float(level) for level in levels]
    figure = style.new_figure(7.0, 3.2)
    coverage, width = (figure.add_axes((x, 0.16, 0.36, 0.62)) for x in (0.1, 0.6))
    coverage.plot([0.4, 1], [0.4, 1], color=LIGHT, lw=1.0)
    for name, colour, marker in (("without_predicted_mae", GREY, "s"), ("", BLUE, "o")):
        rows = [by_level[level][name] if name else by_level[level] for level in levels]
        label = "by level of EMG alone" if name else "by the model's spread too"
        line = {"color": colour, "marker": marker, "ms": 4}
        coverage.plot(nominal, [row["coverage"] for row in rows], **line)
        width.plot(nominal, [row["width"] for row in rows], label=label, **line)
    for level in levels:
        ends = by_level[level].get("coverage_ci95")
        if ends and None not in ends:
            coverage.plot([float(level)] * 2, ends, color=BLUE, lw=1.4)
    action, lowest = min(by_level["0.8"]["by_action"].items(), key=lambda item: item[1])
    coverage.scatter([0.8], [lowest], color=ORANGE, marker="x", zorder=3)
    coverage.annotate(
        theme.plain(action),
        (0.8, lowest),
        (4, -9),
        textcoords="offset points",
        fontsize=7.5,
        color=ORANGE,
    )
    coverage.set_xlabel("share promised")
    coverage.set_ylabel("share of measured samples within")
    width.set_xlabel("share promised")
    width.set_ylabel(f"mean width ({facts['normalisation']})")
    width.legend(loc="upper left")
    for axes in (coverage, width):
        axes.grid(color=LIGHT, lw=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(color=INK)
    people = results["test"]["model"]["subjects"]
    emg = theme.emg_words(bool(facts["simulated"]))
    style.title(figure, f"Intervals on {people} unseen subjects · {emg}", 0.1)
    style.save(figure, path)
    return figure
