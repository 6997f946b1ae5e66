"""Figure of one action of a knowledge graph."""

import textwrap

from video2emg.fkg.graph import Action, Graph, KeyStep, Occurrence
from video2emg.viz import style, theme

_LINE = 0.155  # in
_COLUMNS = (("key step", 0.3), ("what may go wrong", 2.9), ("what corrects it", 6.4))  # left, in
_WIDTH = 11.0  # in
_PHASES = {"preparation": theme.GREY, "concentric": theme.ORANGE, "eccentric": theme.BLUE}


def draw(graph: Graph, action: Action, path: style.Path) -> None:
    """Key steps, their errors, and the feedback to each error, from left to right.

    The width of an edge grows with the penalty. Texts that the graph lacks are replaced by ids.
    """
    rows = [
        (step, edge, [_step_text(step) if n == 0 else [], *_error_text(graph, edge)])
        for step in action.steps
        for n, edge in enumerate(step.errors or (None,))
    ]
    heights = _heights(rows)
    height = 0.75 + sum(heights)
    figure = style.new_figure(_WIDTH, height)
    style.title(figure, f"{action.name or action.id}  ({graph.label})", 0.3)
    for heading, left in _COLUMNS:
        figure.text(
            left / _WIDTH, 1 - 0.45 / height, heading, fontsize=8, color=theme.GREY, va="top"
        )
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    y, start = 0.7, 0.7
    for (step, edge, cells), row_height in zip(rows, heights, strict=True):
        if cells[0]:
            start = y
            bar = {"lw": 3, "color": _PHASES[step.phase], "solid_capstyle": "butt"}
            axes.plot([0.18, 0.18], [y, y + len(cells[0]) * _LINE], **bar)
        for (_, left), lines in zip(_COLUMNS, cells, strict=True):
            for n, line in enumerate(lines):
                weight = "bold" if n == 0 and left < 6 else "normal"
                text = {"fontsize": 7.5, "va": "top", "weight": weight, "color": theme.INK}
                axes.text(left, y + n * _LINE, line, **text)
        middle = y + 0.07
        if edge is not None:
            width = 0.8 if edge.weight is None else 0.25 * edge.weight
            path_y = [start + 0.07, start + 0.07, middle, middle]
            edge_style = {"lw": width, "color": _PHASES[step.phase], "alpha": 0.5}
            axes.plot([2.3, 2.45, 2.65, 2.8], path_y, **edge_style)
        if cells[2]:
            axes.plot([5.9, 6.3], [middle, middle], lw=0.8, color=theme.GREY)
        y += row_height
    style.save(figure, path)


def _error_text(graph: Graph, edge: Occurrence | None) -> tuple[list[str], list[str]]:
    """Lines about an error, and of the feedback to it; none for a step without errors."""
    if edge is None:
        return [], []
    error = graph.errors[edge.error]
    weight = "weight unknown" if edge.weight is None else f"−{edge.weight}"
    tier = f", {theme.plain(error.tier)}" if error.tier else ""
    lines = [error.name or error.id, f"{weight}{tier}"]
    if edge.muscles:
        lines += textwrap.wrap(", ".join(map(theme.plain, edge.muscles)), 38)
    feedback = [line for id in edge.feedback for line in textwrap.wrap(graph.feedback[id], 82)]
    return lines, feedback


def _step_text(step: KeyStep) -> list[str]:
    return [step.name or step.id, step.phase, *textwrap.wrap(step.standard, 34)]


def _heights(rows: list) -> list[float]:
    """Height of each row, in; the last row of a step has room for the rest of the step's text."""
    heights, used, needed = [], 0.0, 0.0
    for n, (step, _, cells) in enumerate(rows):
        if cells[0]:
            used, needed = 0.0, len(cells[0]) * _LINE + 0.12
        height = max(len(cells[1]), len(cells[2]), 1) * _LINE + 0.12
        if n + 1 == len(rows) or rows[n + 1][0] is not step:
            height = max(height, needed - used)
        heights.append(height)
        used += height
    return heights
