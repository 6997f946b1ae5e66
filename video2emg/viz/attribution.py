"""Figures of encoder features and saliency; see `eval.attribution`."""

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from video2emg.viz import style, theme
from video2emg.viz.style import Path


def components(features: Float[np.ndarray, "T2 D"], count: int) -> Float[np.ndarray, "T2 {count}"]:
    """The first principal components over time, each scaled to a largest magnitude of 1."""
    centred = features - features.mean(0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    scores = left[:, :count] * size[:count]
    return scores / np.maximum(np.abs(scores).max(0), 1e-12)


@matplotlib.rc_context(style.RC)
def feature_course(
    frames: UInt8[np.ndarray, "T S S 3"],
    features: Float[np.ndarray, "T2 D"],
    seconds: float,
    path: Path,
) -> Figure:
    """Principal components of an encoder's features under the frames of the same camera.

    Args:
      frames: of one camera.
      features: of these frames; T2 instants.
      seconds: duration of both.
      path: of the PNG.
    """
    figure = style.new_figure(8, 3.2)
    film, course = figure.subplots(2, 1, height_ratios=[1, 2])
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), 8)).round().astype(int)
    film.imshow(np.concatenate(frames[chosen], axis=1))
    film.set_axis_off()
    time = (np.arange(len(features)) + 0.5) * seconds / len(features)
    for n, component in enumerate(components(features, 3).T):
        line = {"marker": theme.MARKERS[n], "color": theme.PALETTE[n], "label": f"PC {n + 1}"}
        course.plot(time, component, **line)
    course.set(xlabel="time [s]", ylabel="component", xlim=(0, seconds))
    course.legend(ncols=3)
    figure.tight_layout()
    style.save(figure, path)
    return figure


@matplotlib.rc_context(style.RC)
def saliency(
    frames: UInt8[np.ndarray, "T S S 3"], salient: Float[np.ndarray, "T S S"], path: Path
) -> Figure:
    """Frames of one camera, and below each its saliency.

    Args:
      frames: of one camera.
      salient: `eval.attribution.saliency`'s.
      path: of the PNG.
    """
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), 6)).round().astype(int)
    figure = style.new_figure(1.4 * len(chosen), 3.0)
    for axes, frame in zip(figure.subplots(2, len(chosen)).T, chosen, strict=True):
        axes[0].imshow(frames[frame])
        axes[1].imshow(
            salient[frame], vmin=0, vmax=np.percentile(salient[chosen], 99.5), cmap="magma"
        )
        for ax in axes:
            ax.set_axis_off()
    figure.tight_layout()
    style.save(figure, path)
    return figure
