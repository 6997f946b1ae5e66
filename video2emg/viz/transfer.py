"""Figure of a ladder: what each row is worth with k measured repetitions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from video2emg.core.text_table import number
from video2emg.eval.ladder_scores import ordered
from video2emg.viz import style, theme
from video2emg.viz.interval_marks import handle, look, mark
from video2emg.viz.style import Path
from video2emg.viz.theme import GREY, INK

_PANELS = (
    ("r", "r over time, within repetitions"),
    ("skill", "skill over the mean of the k repetitions"),
    ("loudness", "loudness: Spearman's r of levels"),
)
_LOWEST = -1.0


@matplotlib.rc_context(style.RC)
def ladder(results: Mapping[str, Any], path: Path) -> Figure:
    """Panels by k: r, skill and loudness of every row, with 95 % intervals over people.

    Args:
      results: as the job writes them.
      path: of the PNG.
    """
    facts, rungs = results["provenance"], results["test"]["rungs"]
    rows = ordered(results["test"])
    ks = list(dict.fromkeys(k for k, _, _ in rows))
    names = list(dict.fromkeys(name for _, name, _ in rows))
    shown = [
        (metric, words)
        for metric, words in _PANELS
        if any(np.isfinite(number(row[metric])) for _, _, row in rows)
    ]
    figure = style.new_figure(10.0, 4.3)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.25, top=0.84, wspace=0.22)
    for axes, (metric, words) in zip(panels, shown, strict=True):
        for place, name in enumerate(names):
            values = [
                (ks.index(k), row[metric], row[f"{metric}_ci95"])
                for k, other, row in rows
                if other == name
            ]
            _row(axes, values, place, len(names))
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_xticks(range(len(ks)), ks)
        axes.set_xlim(-0.5, len(ks) - 0.5)
        axes.set_xlabel("k, measured repetitions")
        axes.set_title(words, loc="left")
        axes.grid(axis="y", color=theme.LIGHT, lw=0.6)
        axes.set_axisbelow(True)
    handles = [handle(look(i)) for i in range(len(names))]
    figure.legend(
        handles, names, loc="lower left", ncols=4, bbox_to_anchor=(0.05, 0.0), columnspacing=1.4
    )
    people = max(rung["people"] for rung in rungs.values())
    title = f"{facts['dataset']}: {people} people · {theme.emg_words(bool(facts['simulated']))}"
    style.title(figure, title, 0.1)
    figure.text(0.01, 0.9, "lines: 95 % over people", fontsize=8, color=GREY)
    style.save(figure, path)
    return figure


def _row(
    axes: Any, values: Sequence[tuple[int, float | None, Any]], place: int, count: int
) -> None:
    """One row: at each place a marker and an interval; `place` of `count` rows side by side."""
    shift = 0.7 * ((place + 0.5) / count - 0.5)
    of = look(place)
    known = [(at + shift, number(y)) for at, y, _ in values if np.isfinite(number(y))]
    axes.plot(
        [at for at, _ in known], [max(y, _LOWEST) for _, y in known], color=of[0], lw=0.7, alpha=0.6
    )
    for at, y, ends in values:
        mark(axes, at + shift, y, ends, of, lowest=_LOWEST, upright=True, size=24)
