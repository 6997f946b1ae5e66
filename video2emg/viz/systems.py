"""Figure of the skill of several systems, grouped by their inputs."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from video2emg.core.text_table import number
from video2emg.viz import style, theme
from video2emg.viz.interval_marks import handle, look, mark
from video2emg.viz.style import Path
from video2emg.viz.theme import GREY, INK


@matplotlib.rc_context(style.RC)
def systems(results: Mapping[str, Any], path: Path, lowest: float = -1.0) -> Figure:
    """One line per system, best on top: skill and its 95 % interval over subjects.

    Args:
      results: as `compare.run` writes them.
      path: of the PNG.
      lowest: skills below this are drawn there, as triangles.
    """
    facts, part = results["provenance"], results["test"]
    rows = sorted(part["rows"].items(), key=lambda item: number(item[1]["skill"]))
    kinds = list(dict.fromkeys(row["sees"] for _, row in reversed(rows)))
    columns = 4
    head = 0.45 + 0.18 * -(-len(kinds) // columns)  # title and legend
    width, height, left = 8.0, head + 0.55 + 0.24 * len(rows), 2.2
    figure = style.new_figure(width, height)
    axes = figure.add_axes(
        (left / width, 0.5 / height, 1 - (left + 0.2) / width, 1 - (head + 0.5) / height)
    )
    axes.margins(y=0.6 / len(rows))
    for y, (_, row) in enumerate(rows):
        kind = look(kinds.index(row["sees"]))
        mark(axes, y, row["skill"], row["skill_ci95"], kind, lowest=lowest)
    axes.axvline(0, color=INK, lw=1.0)
    axes.set_yticks(np.arange(len(rows)), [theme.plain(name) for name, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("skill over the action template")
    axes.grid(axis="x", color=theme.LIGHT, lw=0.6)
    axes.set_axisbelow(True)
    figure.legend(
        [handle(look(kind)) for kind in range(len(kinds))],
        [f"sees {kind}" for kind in kinds],
        loc="upper left",
        ncols=columns,
        borderpad=0,
        bbox_to_anchor=(0.1 / width, 1 - 0.36 / height),
        columnspacing=1.2,
        handletextpad=0.4,
    )
    words = f"{part['clips']} clips of {part['subjects']} unseen subjects"
    title = f"Skill on {words} · {theme.emg_words(bool(facts['simulated']))}"
    style.title(figure, title, 0.1)
    figure.text(0.1 / width, 0.02, "lines: 95 % over subjects", fontsize=8, color=GREY)
    style.save(figure, path)
    return figure
