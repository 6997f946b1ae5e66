"""A picture of one action of a knowledge graph."""

import textwrap

from video2emg.fkg.graph import Action, Graph, KeyStep
from video2emg.viz import style

_LINE = 0.155  # in
_COLUMNS = (("key step", 0.3), ("what may go wrong", 2.9), ("what corrects it", 6.4))  # left, in
_WIDTH = 11.0  # in
_PHASES = {"preparation": style.GREY, "concentric": style.ORANGE, "eccentric": style.BLUE}


def draw(graph: Graph, action: Action, path: style.Path) -> None:
    """Key steps, what may go wrong in each, and what corrects it, from left to right.

    The width of an edge grows with the penalty. Texts that the graph lacks are replaced by ids.
    """
    rows = []  # lines of text per column, one row an error (or a step without any)
    for step in action.steps:
        for n, edge in enumerate(step.errors or (None,)):
            cells = [_step_text(step) if n == 0 else [], [], []]
            if edge is not None:
                error = graph.errors[edge.error]
                weight = "weight unknown" if edge.weight is None else f"−{edge.weight}"
                tier = f", {style.plain(error.tier)}" if error.tier else ""
                cells[1] = [error.name or error.id, f"{weight}{tier}"]
                if edge.muscles:
                    cells[1] += textwrap.wrap(", ".join(map(style.plain, edge.muscles)), 38)
                for id in edge.feedback:
                    cells[2] += textwrap.wrap(graph.feedback[id], 82)
            rows.append((step, edge, cells))
    heights = _heights(rows)
    height = 0.75 + sum(heights)
    figure = style.new_figure(_WIDTH, height)
    style.title(figure, f"{action.name or action.id}  ({graph.label})", 0.3)
    for heading, left in _COLUMNS:
        figure.text(
            left / _WIDTH, 1 - 0.45 / height, heading, fontsize=8, color=style.GREY, va="top"
        )
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    y, start = 0.7, 0.7
    for (step, edge, cells), tall in zip(rows, heights, strict=True):
        if cells[0]:
            start = y
            axes.plot(
                [0.18, 0.18],
                [y, y + len(cells[0]) * _LINE],
                lw=3,
                color=_PHASES[step.phase],
                solid_capstyle="butt",
            )
        for (_, left), lines in zip(_COLUMNS, cells, strict=True):
            for n, line in enumerate(lines):
                axes.text(
                    left,
                    y + n * _LINE,
                    line,
                    fontsize=7.5,
                    va="top",
                    weight="bold" if n == 0 and left < 6 else "normal",
                    color=style.INK,
                )
        middle = y + 0.07
        if edge is not None:
            width = 0.8 if edge.weight is None else 0.25 * edge.weight
            axes.plot(
                [2.3, 2.45, 2.65, 2.8],
                [start + 0.07, start + 0.07, middle, middle],
                lw=width,
                color=_PHASES[step.phase],
                alpha=0.5,
            )
        if cells[2]:
            axes.plot([5.9, 6.3], [middle, middle], lw=0.8, color=style.GREY)
        y += tall
    style.save(figure, path)


def _step_text(step: KeyStep) -> list[str]:
    return [step.name or step.id, step.phase, *textwrap.wrap(step.standard, 34)]


def _heights(rows: list) -> list[float]:
    """Of each row, in; the last row of a step makes room for what is left of the step's text."""
    heights, used, wanted = [], 0.0, 0.0
    for n, (step, _, cells) in enumerate(rows):
        if cells[0]:
            used, wanted = 0.0, len(cells[0]) * _LINE + 0.12
        tall = max(len(cells[1]), len(cells[2]), 1) * _LINE + 0.12
        if n + 1 == len(rows) or rows[n + 1][0] is not step:
            tall = max(tall, wanted - used)
        heights.append(tall)
        used += tall
    return heights
