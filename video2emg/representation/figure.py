"""Figure of the linear probes of representations."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from video2emg.core.text_table import number
from video2emg.representation.report import PROBES
from video2emg.viz import style, theme
from video2emg.viz.interval_marks import mark
from video2emg.viz.style import Path
from video2emg.viz.theme import BLUE, GREY, INK, LIGHT


@matplotlib.rc_context(style.RC)
def representations(results: Mapping[str, Any], path: Path) -> Figure:
    """A panel per probe: every row's metric with its 95 % interval; untrained rows in grey.

    Args:
      results: as `representation_table.run` writes them.
      path: of the PNG.
    """
    facts, part = results["provenance"], results["test"]
    rows = {name: part["rows"][name] for name in part["order"]}
    rows = {n: row for n, row in rows.items() if any(row[m] is not None for m in PROBES)}
    names = list(rows)[::-1]
    width, height = 9.0, 1.3 + 0.26 * len(names)
    figure = style.new_figure(width, height)
    left, gap = 1.5, 0.15
    panel = (width - left - 0.1) / len(PROBES)
    for column, (metric, title) in enumerate(PROBES.items()):
        box = (
            (left + column * panel) / width,
            0.5 / height,
            (panel - gap) / width,
            1 - 1.1 / height,
        )
        axes = figure.add_axes(box)
        _panel(axes, rows, names, metric)
        axes.set_yticks(np.arange(len(names)), names if column == 0 else [""] * len(names))
        axes.tick_params(axis="y", length=0)
        axes.set_title(title)
        axes.grid(axis="x", color=LIGHT, lw=0.6)
        axes.set_axisbelow(True)
    words = f"{part['clips']} clips of {part['subjects']} unseen subjects"
    emg = theme.emg_words(bool(facts["simulated"]))
    style.title(figure, f"Linear probes of frozen video tokens on {words} · {emg}", 0.1)
    note = "lines: 95 % over subjects; grey: nothing learned"
    figure.text(0.1 / width, 0.02, note, fontsize=8, color=GREY)
    style.save(figure, path)
    return figure


def _panel(axes: Axes, rows: Mapping[str, Any], names: list[str], metric: str) -> None:
    for y, name in enumerate(names):
        kind = (BLUE, "o") if "objective" in rows[name] else (GREY, "s")
        mark(axes, y, rows[name][metric], rows[name][f"{metric}_ci95"], kind)
    trivial = number(rows["nothing"][metric]) if "nothing" in rows else np.nan
    axes.axvline(trivial, color=INK, lw=0.8)
    axes.set_ylim(-0.6, len(names) - 0.4)
