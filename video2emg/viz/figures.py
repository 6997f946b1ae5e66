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
from video2emg.eval import metrics, scores
from video2emg.eval.series import ClipSeries, check_predictions
from video2emg.viz import style
from video2emg.viz.style import BLUE, GREY, INK, LIGHT, MARKERS, ORANGE, PALETTE, Path

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
    reference: str = "mvc",
) -> Figure:
    """Measured and predicted envelopes of one clip, one row per channel, under its video.

    Args:
      series: the clip.
      prediction: of the model.
      path: of the PNG.
      frames: pictures of one camera; some that fit are chosen.
      frame_time: when each was taken, s on the clip clock.
      phases: (key step, start s, end s), shaded.
      template: of the action, drawn thin.
      simulated: whether the EMG is; the title says so.
      reference: what 100 % is.

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
        shown = _choose(frame_time, limits)
        frames, frame_time = frames[shown], frame_time[shown]
        aspect = frames.shape[2] / frames.shape[1]
        strip = min(width * (right - left) / len(frames) / aspect, 1.6)
    heads, feet = (0.78 if phases else 0.6), 0.48
    height = heads + strip + row * len(series.muscles) + feet
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        1 + len(series.muscles),
        1,
        height_ratios=[max(strip, 0.01), *[row] * len(series.muscles)],
        left=left,
        right=right,
        bottom=feet / height,
        top=1 - heads / height,
        hspace=0.14,
    )
    if frames is not None and frame_time is not None:
        _film_strip(figure, figure.add_subplot(grid[0]), frames, frame_time, limits)
    top = 100 * _highest(series, prediction, template)
    panels = [figure.add_subplot(grid[1 + c]) for c in range(len(series.muscles))]
    for c, axes in enumerate(panels):
        _envelope_panel(axes, series, prediction, template, c)
        axes.set_xlim(*limits)
        axes.set_ylim(0, 1.12 * top)
        label = style.channel_label(series.muscles[c])
        axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(labelbottom=c == len(panels) - 1)
        for i, (_, start, end) in enumerate(phases):
            axes.axvspan(start, end, color=BLUE, alpha=0.10 if i % 2 else 0.03, lw=0)
    panels[-1].set_xlabel("time [s]")
    middle = (feet + row * len(series.muscles) / 2) / height
    label = f"EMG envelope [{style.unit(reference)}]"
    figure.text(0.012, middle, label, rotation=90, va="center")
    upper = figure.axes[0]
    for name, start, end in phases:
        middle = (max(start, limits[0]) + min(end, limits[1])) / 2
        text = style.plain(name)
        upper.annotate(
            text,
            (middle, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            va="bottom",
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=GREY,
        )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        ncols=3,
        borderpad=0,
        borderaxespad=0,
        bbox_to_anchor=(left, 1 - 0.33 / height),
    )
    words = [style.plain(series.action), f"subject {series.subject}", style.emg_words(simulated)]
    if math.isfinite(series.load):
        words.insert(1, f"{series.load:g} kg")
    style.title(figure, " · ".join(words), left * width)
    style.save(figure, path)
    return figure


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
    """Frames side by side over the whole width, each with a line to its place on the time axis."""
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
    found = metrics.Moments.of(series.target[:, channel], prediction[:, channel], mask)
    r, error = float(metrics.pcc(found)), 100 * float(metrics.rmse(found))
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
    reference: str = "mvc",
) -> Figure:
    """Predicted against measured amplitude, one panel per muscle, one point per clip and side.

    r is `scores.METRICS`' amplitude_r: within (action, side), so that it does not reward knowing
    which exercise is done.
    """
    table = scores.tabulate(series, predictions, predictions)
    muscles = [str(muscle) for muscle in np.unique(table.muscles)]
    actions = [str(action) for action in np.unique(table.action)]
    columns = min(4, len(muscles))
    rows = -(-len(muscles) // columns)
    size, heads, feet = 2.1, 0.85, 0.55
    width, height = 0.75 + size * columns, heads + feet + (size + 0.2) * rows
    width = max(width, 5.5)
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.65 / width,
        right=1 - 0.1 / width,
        bottom=feet / height,
        top=1 - heads / height,
        hspace=0.26,
        wspace=0.22,
    )
    for i, muscle in enumerate(muscles):
        axes = figure.add_subplot(grid[i // columns, i % columns])
        part = table.select(channels=table.muscles == muscle)
        y, p = 100 * part.amplitude_target, 100 * part.amplitude_prediction
        top = 1.08 * max(1.0, float(np.nanmax(np.stack([y, p]), initial=0)))
        axes.plot([0, top], [0, top], color=GREY, lw=0.9, zorder=1)
        for a, action in enumerate(actions):
            chosen = part.action == action
            axes.scatter(
                y[chosen],
                p[chosen],
                s=13,
                color=PALETTE[a % len(PALETTE)],
                alpha=0.75,
                lw=0,
                marker=MARKERS[a % len(MARKERS)],
                label=style.plain(action),
                zorder=2,
            )
        r = scores.score(part)["amplitude_r"]
        text = f"r = {r:.2f}" if math.isfinite(r) else "r undefined"
        axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top")
        axes.set(xlim=(0, top), ylim=(0, top), title=style.plain(muscle), box_aspect=1)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    unit = style.unit(reference)
    figure.text(
        1 - 0.1 / width,
        0.06 / height,
        "r: within action and side",
        fontsize=8,
        color=GREY,
        ha="right",
    )
    figure.supxlabel(f"measured mean envelope of the clip [{unit}]", fontsize=9, y=0.06 / height)
    figure.supylabel(f"predicted [{unit}]", fontsize=9, x=0.06 / width)
    people = len(np.unique(table.subject))
    words = ["Amplitude per clip", f"{len(series)} clips of {people} subjects"]
    style.title(figure, " · ".join([*words, style.emg_words(simulated)]), 0.65)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        ncols=6,
        bbox_to_anchor=(0.5 / width, 1 - 0.27 / height),
        columnspacing=1.2,
        handletextpad=0.2,
        markerscale=1.5,
    )
    style.save(figure, path)
    return figure


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
    shown = [part["model"], *(part["model"]["by_action"][action] for action in actions)]
    places = np.arange(len(shown)) + 0.35 * (np.arange(len(shown)) > 0)
    values = np.array([style.number(found.get("skill")) for found in shown])
    ends = np.array([_spread(found) for found in shown])
    baselines = [name for name in _SHOWN_BASELINES if name in part["baselines"]]
    marks = np.array([_skills(part["baselines"][name], actions) for name in baselines])
    everything = np.concatenate([values, ends.ravel(), marks.ravel()])
    low, high = style.finite_range(everything, -0.1, 0.5)
    low, high = max(low - 0.08, -0.6), min(high + 0.08, 1.0)

    width = max(6.0, 1.2 + 1.0 * len(shown))
    labels = ["all", *(textwrap.fill(style.plain(action), 12) for action in actions)]
    # Inches below the axes: the note, and as many lines as the longest name needs.
    below, above, height = 0.35 + 0.17 * max(text.count("\n") + 1 for text in labels), 0.87, 3.8
    figure = style.new_figure(width, height)
    share = 1 - (below + above) / height
    axes = figure.add_axes((0.75 / width, below / height, 1 - 0.85 / width, share))
    axes.bar(places[:1], values[:1], width=0.56, color=INK, alpha=0.85)
    bars = axes.bar(places[1:], values[1:], width=0.56, color=BLUE, alpha=0.85)
    spread = np.abs(np.nan_to_num(ends - values[:, None])).T
    axes.errorbar(places, values, spread, fmt="none", ecolor="black", capsize=3, lw=1.2)
    axes.axhline(0, color=INK, lw=1.2)
    handles: dict[str, Any] = {"model": bars}
    edge = low + 0.03 * (high - low)
    for b, name in enumerate(baselines):
        x = places + 0.14 * (b - (len(baselines) - 1) / 2)
        hidden = marks[b] < edge
        look = {"color": PALETTE[1 + b], "edgecolors": "white", "lw": 0.6, "zorder": 3}
        above = axes.scatter(x[~hidden], marks[b][~hidden], s=38, marker=MARKERS[b], **look)
        handles[style.plain(name)] = above
        axes.scatter(x[hidden], np.full(int(hidden.sum()), edge), s=30, marker="v", **look)
    axes.set_ylim(low, high)
    axes.set_xticks(places, labels)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("skill over the action template")
    people = part["model"].get("subjects", "?")
    words = [f"Skill on {people} unseen subjects", style.emg_words(bool(facts.get("simulated")))]
    style.title(figure, " · ".join(words), 0.75)
    interval = "whiskers: 95 % over subjects"
    if "seeds" in facts:
        interval = f"whiskers: ± sd over {len(facts['seeds'])} seeds"
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
    note = f"skill = 1 − SSE / SSE(template); {interval}; triangles: below the axis"
    figure.text(0.75 / width, 0.02, note, fontsize=8, color=GREY)
    style.save(figure, path)
    return figure


def _skills(found: Mapping[str, Any], actions: Sequence[str]) -> list[float]:
    """Skill over all and per action."""
    groups = [found, *(found.get("by_action", {}).get(action, {}) for action in actions)]
    return [style.number(group.get("skill")) for group in groups]


def _spread(found: Mapping[str, Any]) -> list[float]:
    """Ends of the interval of the skill: over subjects, or ± one standard deviation over seeds."""
    if found.get("skill_ci95") is not None:
        return [style.number(end) for end in found["skill_ci95"]]
    skill, sd = style.number(found.get("skill")), style.number(found.get("skill_sd"))
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
    for i, name in enumerate(losses):
        bold = name == "loss"
        look = (
            {"color": INK, "lw": 1.8, "zorder": 3} if bold else {"color": PALETTE[i - 1], "lw": 1}
        )
        left.plot(*_column(records, name), label=style.plain(name.removeprefix("loss_")), **look)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    left.legend(loc="upper right")
    curves = {"validation_skill": "skill", "validation_pcc": "PCC"}
    for i, (name, label) in enumerate(curves.items()):
        steps, values = _column(records, name)
        look = {"color": PALETTE[5 * (1 - i)], "marker": MARKERS[i], "ms": 3.5, "lw": 1.4}
        right.plot(steps, values, label=f"validation {label}", **look)
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
    found = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, np.float64), np.array(values, np.float64)
