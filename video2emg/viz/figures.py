"""Pictures of predictions and results, for a README or a paper.

Every function writes a PNG, whole or not at all, and returns the figure, which a notebook shows.
"""

import json
import math
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from video2emg.core.errors import UserError
from video2emg.core.text_table import number
from video2emg.eval import metrics, scores
from video2emg.eval.series import ClipSeries, check_predictions
from video2emg.viz import style, theme
from video2emg.viz.style import Path
from video2emg.viz.theme import BLUE, GREY, INK, LIGHT, MARKERS, ORANGE, PALETTE

_MAX_FRAMES = 8

# Baselines beside the bars of `skill_by_action`; the template is the zero line.
_SHOWN_BASELINES = ("nearest_neighbour", "action_mean", "train_mean", "zero")


@matplotlib.rc_context(style.RC)
def envelopes(
    series: ClipSeries,
    prediction: Float[np.ndarray, "N C"],
    path: Path,
    *,
    frames: UInt8[np.ndarray, "F H W 3"] | None = None,
    frame_time: Float[np.ndarray, " F"] | None = None,
    phases: Sequence[tuple[str, float, float]] = (),
    template: Float[np.ndarray, "N C"] | None = None,
    simulated: bool = False,
    normalisation: str = "mvc",
) -> Figure:
    """Measured and predicted envelopes of one clip, one row per channel, under its video.

    Args:
      series: the clip.
      prediction: of the model.
      path: of the PNG.
      frames: pictures of one camera; a few that fit are chosen.
      frame_time: when each was taken, s on the clip clock.
      phases: (key step, start s, end s), shaded.
      template: of the action, drawn thin.
      simulated: whether the EMG is; the title says so.
      normalisation: what 100 % is.

    Returns:
      The figure.
    """
    check_predictions([series], [prediction])
    if frames is not None and (frame_time is None or len(frame_time) != len(frames)):
        raise UserError(f"clip {series.clip_id!r}: the video strip needs a time for every frame")
    width, row = 8.0, 0.95
    left, right = 0.195, 0.985
    limits = float(series.time[0]), float(series.time[-1])
    strip = 0.0
    if frames is not None and frame_time is not None:
        chosen = _choose(frame_time, limits)
        frames, frame_time = frames[chosen], frame_time[chosen]
        aspect = frames.shape[2] / frames.shape[1]
        strip = min(width * (right - left) / len(frames) / aspect, 1.6)
    above, below = (0.78 if phases else 0.6), 0.48
    height = above + strip + row * len(series.muscles) + below
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        1 + len(series.muscles),
        1,
        height_ratios=[max(strip, 0.01), *[row] * len(series.muscles)],
        left=left,
        right=right,
        bottom=below / height,
        top=1 - above / height,
        hspace=0.14,
    )
    if frames is not None and frame_time is not None:
        _film_strip(figure, figure.add_subplot(grid[0]), frames, frame_time, limits)
    panels = [figure.add_subplot(grid[1 + c]) for c in range(len(series.muscles))]
    _envelope_panels(panels, series, prediction, template, phases)
    middle = (below + row * len(series.muscles) / 2) / height
    label = f"EMG envelope [{theme.unit(normalisation)}]"
    figure.text(0.012, middle, label, rotation=90, va="center")
    _phase_names(figure.axes[0], phases, limits)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="upper left",
        ncols=3,
        borderpad=0,
        borderaxespad=0,
        bbox_to_anchor=(left, 1 - 0.33 / height),
    )
    words = [theme.plain(series.action), f"subject {series.subject}", theme.emg_words(simulated)]
    if math.isfinite(series.load):
        words.insert(1, f"{series.load:g} kg")
    style.title(figure, " · ".join(words), left * width)
    style.save(figure, path)
    return figure


def _envelope_panels(
    panels: Sequence[Axes],
    series: ClipSeries,
    prediction: np.ndarray,
    template: np.ndarray | None,
    phases: Sequence[tuple[str, float, float]],
) -> None:
    """One panel per channel, with a shared axis of EMG, over shaded key steps."""
    top = 100 * _highest(series, prediction, template)
    for c, axes in enumerate(panels):
        _envelope_panel(axes, series, prediction, template, c)
        axes.set_xlim(float(series.time[0]), float(series.time[-1]))
        axes.set_ylim(0, 1.12 * top)
        label = theme.channel_label(series.muscles[c])
        axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(labelbottom=c == len(panels) - 1)
        for i, (_, start, end) in enumerate(phases):
            axes.axvspan(start, end, color=BLUE, alpha=0.10 if i % 2 else 0.03, lw=0)
    panels[-1].set_xlabel("time [s]")


def _phase_names(
    axes: Axes, phases: Sequence[tuple[str, float, float]], limits: tuple[float, float]
) -> None:
    """Names of the key steps above the upper axes."""
    for name, start, end in phases:
        middle = (max(start, limits[0]) + min(end, limits[1])) / 2
        axes.annotate(
            theme.plain(name),
            (middle, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            va="bottom",
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=GREY,
        )


def _choose(frame_time: Float[np.ndarray, " F"], limits: tuple[float, float]) -> list[int]:
    """Indices of at most `_MAX_FRAMES` frames, nearest to the middles of equal parts."""
    count = min(_MAX_FRAMES, len(frame_time))
    middles = limits[0] + (limits[1] - limits[0]) * (np.arange(count) + 0.5) / count
    return sorted({int(np.abs(frame_time - middle).argmin()) for middle in middles})


def _film_strip(
    figure: Figure,
    axes: Axes,
    frames: UInt8[np.ndarray, "k H W 3"],
    times: Float[np.ndarray, " k"],
    limits: tuple[float, float],
) -> None:
    """Frames side by side over the whole width, each with a line to its time on the axis."""
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    seconds_per_inch = (limits[1] - limits[0]) / (box.width * width)
    picture = box.height * height * frames.shape[2] / frames.shape[1]
    half = 0.48 * picture * seconds_per_inch
    room = (limits[1] - limits[0]) / len(frames)
    for i, (frame, time) in enumerate(zip(frames, times, strict=True)):
        centre = limits[0] + (i + 0.5) * room
        extent = (centre - half, centre + half, 0.0, 1.0)
        axes.imshow(frame, extent=extent, aspect="auto", interpolation="lanczos")
        axes.plot([centre, time], [0.0, -0.13], color=GREY, lw=1, clip_on=False)
    # Drawing a picture moves the limits to its extent.
    axes.set(xlim=limits, ylim=(0, 1))
    axes.axis("off")


def _highest(series: ClipSeries, prediction: np.ndarray, template: np.ndarray | None) -> float:
    """Top of the shared axis: channels keep their relative size."""
    high = [np.where(series.mask, series.target, 0).max(), prediction.max(), 0.05]
    return float(max([*high, template.max()] if template is not None else high))


def _envelope_panel(
    axes: Axes,
    series: ClipSeries,
    prediction: np.ndarray,
    template: np.ndarray | None,
    channel: int,
) -> None:
    mask = series.mask[:, channel]
    target = np.where(mask, 100 * series.target[:, channel], np.nan)
    axes.fill_between(series.time, 0, target, color=LIGHT, lw=0)
    axes.plot(series.time, target, color=INK, lw=1.2, label="measured")
    if template is not None:
        line = 100 * template[:, channel]
        axes.plot(series.time, line, color=BLUE, lw=1.1, ls=(0, (4, 2)), label="action template")
    axes.plot(series.time, 100 * prediction[:, channel], color=ORANGE, lw=1.8, label="predicted")
    moments = metrics.Moments.of(series.target[:, channel], prediction[:, channel], mask)
    r, error = float(metrics.pcc(moments)), 100 * float(metrics.rmse(moments))
    text = f"RMSE {error:.1f} %" + (f" · r {r:.2f}" if math.isfinite(r) else "")
    if not mask.any():
        text = "not measured"
    axes.text(
        0.995,
        0.95,
        text,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5},
    )


@matplotlib.rc_context(style.RC)
def scatter_by_muscle(
    series: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    path: Path,
    *,
    simulated: bool = False,
    normalisation: str = "mvc",
) -> Figure:
    """Predicted against measured amplitude, one panel per muscle, one point per clip and side.

    r is the amplitude_r of `scores.METRICS`: within (action, side), so that knowing the exercise
    does not raise it.
    """
    table = scores.tabulate(series, predictions, predictions)
    muscles = [str(muscle) for muscle in np.unique(table.muscles)]
    columns = min(4, len(muscles))
    rows = -(-len(muscles) // columns)
    size, above, below = 2.1, 0.85, 0.55
    width, height = 0.75 + size * columns, above + below + (size + 0.2) * rows
    width = max(width, 5.5)
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.65 / width,
        right=1 - 0.1 / width,
        bottom=below / height,
        top=1 - above / height,
        hspace=0.26,
        wspace=0.22,
    )
    actions = [str(action) for action in np.unique(table.action)]
    for i, muscle in enumerate(muscles):
        axes = figure.add_subplot(grid[i // columns, i % columns])
        _scatter_panel(axes, table.select(channels=table.muscles == muscle), actions)
        axes.set(title=theme.plain(muscle), box_aspect=1)
    unit = theme.unit(normalisation)
    note = {"fontsize": 8, "color": GREY, "ha": "right"}
    figure.text(1 - 0.1 / width, 0.06 / height, "r: within action and side", **note)
    figure.supxlabel(f"measured mean envelope of the clip [{unit}]", fontsize=9, y=0.06 / height)
    figure.supylabel(f"predicted [{unit}]", fontsize=9, x=0.06 / width)
    people = len(np.unique(table.subject))
    words = ["Amplitude per clip", f"{len(series)} clips of {people} subjects"]
    style.title(figure, " · ".join([*words, theme.emg_words(simulated)]), 0.65)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="upper left",
        ncols=6,
        bbox_to_anchor=(0.5 / width, 1 - 0.27 / height),
        columnspacing=1.2,
        handletextpad=0.2,
        markerscale=1.5,
    )
    style.save(figure, path)
    return figure


def _scatter_panel(axes: Axes, table: scores.Table, actions: Sequence[str]) -> None:
    y, p = 100 * table.amplitude_target, 100 * table.amplitude_prediction
    top = 1.08 * max(1.0, float(np.nanmax(np.stack([y, p]), initial=0)))
    axes.plot([0, top], [0, top], color=GREY, lw=0.9, zorder=1)
    for a, action in enumerate(actions):
        rows = table.action == action
        axes.scatter(
            y[rows],
            p[rows],
            s=13,
            color=PALETTE[a % len(PALETTE)],
            alpha=0.75,
            lw=0,
            marker=MARKERS[a % len(MARKERS)],
            label=theme.plain(action),
            zorder=2,
        )
    r = scores.score(table)["amplitude_r"]
    text = f"r = {r:.2f}" if math.isfinite(r) else "r undefined"
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top")
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


@matplotlib.rc_context(style.RC)
def skill_by_action(results: Mapping[str, Any], path: Path, *, split: str = "test") -> Figure:
    """Skill over the action template: the model as bars, the baselines as marks in front of them.

    Marks below the axis are drawn at its lower edge as triangles.

    Args:
      results: as `eval.results` writes them, of one seed (bars with 95 % intervals over subjects)
        or merged (with the standard deviation over seeds).
      path: of the PNG.
      split: which part of the results.
    """
    part = results.get(split, {})
    if "by_action" not in part.get("model", {}):
        raise UserError(f"these results have no scores by action for the split {split!r}")
    facts = results.get("provenance", {})
    actions = sorted(part["model"]["by_action"])
    groups = [part["model"], *(part["model"]["by_action"][action] for action in actions)]
    x = np.arange(len(groups)) + 0.35 * (np.arange(len(groups)) > 0)
    values = np.array([number(group.get("skill")) for group in groups])
    ends = np.array([_spread(group) for group in groups])
    baselines = [name for name in _SHOWN_BASELINES if name in part["baselines"]]
    marks = np.array([_skills(part["baselines"][name], actions) for name in baselines])
    everything = np.concatenate([values, ends.ravel(), marks.ravel()])
    low, high = style.finite_range(everything, -0.1, 0.5)
    low, high = max(low - 0.08, -0.6), min(high + 0.08, 1.0)

    width = max(6.0, 1.2 + 1.0 * len(groups))
    labels = ["all", *(textwrap.fill(theme.plain(action), 12) for action in actions)]
    # Inches below the axes: the note, and as many lines as the longest name needs.
    below, above, height = 0.35 + 0.17 * max(text.count("\n") + 1 for text in labels), 0.87, 3.8
    figure = style.new_figure(width, height)
    share = 1 - (below + above) / height
    axes = figure.add_axes((0.75 / width, below / height, 1 - 0.85 / width, share))
    axes.bar(x[:1], values[:1], width=0.56, color=INK, alpha=0.85)
    handles: dict[str, Any] = {
        "model": axes.bar(x[1:], values[1:], width=0.56, color=BLUE, alpha=0.85)
    }
    spread = np.abs(np.nan_to_num(ends - values[:, None])).T
    axes.errorbar(x, values, spread, fmt="none", ecolor="black", capsize=3, lw=1.2)
    axes.axhline(0, color=INK, lw=1.2)
    handles |= _baseline_marks(axes, x, dict(zip(baselines, marks, strict=True)), (low, high))
    axes.set_ylim(low, high)
    axes.set_xticks(x, labels)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("skill over the action template")
    people = part["model"].get("subjects", "?")
    words = [f"Skill on {people} unseen subjects", theme.emg_words(bool(facts.get("simulated")))]
    style.title(figure, " · ".join(words), 0.75)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="upper left",
        ncols=6,
        columnspacing=1.2,
        handletextpad=0.4,
        borderpad=0,
        borderaxespad=0,
        bbox_to_anchor=(0.75 / width, 0.9),
    )
    interval = "whiskers: 95 % over subjects"
    if "seeds" in facts:
        interval = f"whiskers: ± sd over {len(facts['seeds'])} seeds"
    note = f"skill = 1 − SSE / SSE(template); {interval}; triangles: below the axis"
    figure.text(0.75 / width, 0.02, note, fontsize=8, color=GREY)
    style.save(figure, path)
    return figure


def _baseline_marks(
    axes: Axes,
    x: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    limits: tuple[float, float],
) -> dict[str, Any]:
    """A mark per baseline and group; returns the handles of the legend."""
    handles = {}
    edge = limits[0] + 0.03 * (limits[1] - limits[0])
    for b, (name, skill) in enumerate(baselines.items()):
        shifted = x + 0.14 * (b - (len(baselines) - 1) / 2)
        below = skill < edge
        colours = {"color": PALETTE[1 + b], "edgecolors": "white", "lw": 0.6, "zorder": 3}
        handles[theme.plain(name)] = axes.scatter(
            shifted[~below], skill[~below], s=38, marker=MARKERS[b], **colours
        )
        axes.scatter(shifted[below], np.full(int(below.sum()), edge), s=30, marker="v", **colours)
    return handles


def _skills(scored: Mapping[str, Any], actions: Sequence[str]) -> list[float]:
    """Skill over all clips, and per action."""
    groups = [scored, *(scored.get("by_action", {}).get(action, {}) for action in actions)]
    return [number(group.get("skill")) for group in groups]


def _spread(scored: Mapping[str, Any]) -> list[float]:
    """Ends of the interval of the skill: over subjects, or ± one standard deviation over seeds."""
    if scored.get("skill_ci95") is not None:
        return [number(end) for end in scored["skill_ci95"]]
    skill, sd = number(scored.get("skill")), number(scored.get("skill_sd"))
    return [skill - sd, skill + sd]


@matplotlib.rc_context(style.RC)
def training_curves(metrics_jsonl: Path, path: Path) -> Figure:
    """Losses and validation skill over steps.

    Args:
      metrics_jsonl: one JSON object per line with `step` and any of `loss`, `loss_*`,
        `validation_*`.
      path: of the PNG.

    Raises:
      UserError: the file cannot be read or has no losses.
    """
    records = _read_log(metrics_jsonl)
    names = sorted({name for record in records for name in record})
    losses = [name for name in names if name.startswith("loss")]
    if not losses:
        raise UserError(f"{metrics_jsonl}: no losses to draw")
    figure = style.new_figure(8.0, 3.2)
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": 0.085, "right": 0.985, "bottom": 0.15, "top": 0.86}
    )
    # Windows without video have the colour of the same part with video, dotted.
    parts = [name.removeprefix("loss_").removeprefix("pose_only_") for name in losses]
    order = sorted({part for part in parts if part != "loss"})
    for name, part in zip(losses, parts, strict=True):
        if part == "loss":
            line: dict[str, Any] = {"color": INK, "lw": 1.8, "zorder": 3}
        else:
            colour = PALETTE[order.index(part) % len(PALETTE)]
            line = {"color": colour, "lw": 1, "ls": "-" if name == f"loss_{part}" else ":"}
        left.plot(*_column(records, name), label=theme.plain(name.removeprefix("loss_")), **line)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    left.legend(loc="upper right")
    curves = {"validation_skill": "skill", "validation_pcc": "PCC"}
    for i, (name, label) in enumerate(curves.items()):
        steps, values = _column(records, name)
        line = {"color": PALETTE[5 * (1 - i)], "marker": MARKERS[i], "ms": 3.5, "lw": 1.4}
        right.plot(steps, values, label=f"validation {label}", **line)
        if i == 0 and np.isfinite(values).any():
            best = int(np.nanargmax(values))
            right.annotate(
                f"best {values[best]:.3f}",
                (steps[best], values[best]),
                (0, 7),
                ha="center",
                textcoords="offset points",
                color=ORANGE,
                fontsize=8.5,
            )
    right.axhline(0, color=GREY, lw=1)
    right.margins(y=0.15)
    right.set(xlabel="step", ylabel="on validation subjects")
    right.legend(loc="lower right")
    style.title(figure, "Training", 0.085 * 8)
    style.save(figure, path)
    return figure


def _read_log(path: Path) -> list[dict[str, Any]]:
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not a log of metrics: {error}") from None


def _column(records: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one quantity."""
    known = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    steps, values = zip(*known, strict=True) if known else ((), ())
    return np.array(steps, np.float64), np.array(values, np.float64)
