"""A clip as it was recorded, with what is wrong with it."""

from pathlib import Path

import numpy as np

from video2emg.core.clip import Clip
from video2emg.data import video as video_lib
from video2emg.data.findings import Finding
from video2emg.viz import style, theme

_STRIP = 6  # frames


def draw(clip: Clip, findings: list[Finding], path: Path) -> None:
    """A strip of frames over the EMG as recorded, and the findings in words."""
    rows = len(clip.muscles) + (1 if clip.frames else 0)
    words = [f"{f.severity}: {f.field}: {f.message}"[:130] for f in findings[:6]]
    height = 0.5 + 0.2 * len(words) + 1.0 * max(rows, 1)
    figure = style.new_figure(9.0, height)
    top = 1 - (0.35 + 0.2 * len(words)) / height
    style.title(figure, clip.clip_id, 0.9)
    for i, text in enumerate(words):
        figure.text(0.1, 1 - (0.42 + 0.2 * i) / height, text, fontsize=8, va="top")
    each = (top - 0.35 / height) / max(rows, 1)
    row = 0
    if clip.frames:
        own = np.flatnonzero(clip.frame_view == 0)
        for k, frame in enumerate(own[np.linspace(0, len(own) - 1, _STRIP).astype(int)]):
            axes = figure.add_axes((0.1 + 0.15 * k, top - each, 0.14, each * 0.95))
            axes.imshow(video_lib.decode(clip, int(frame), 96))
            points = _keypoints(clip, float(clip.frame_time[frame]))
            axes.plot(*(96 * points.T - 0.5), ".", ms=2, color="red")
            axes.set_axis_off()
        row = 1
    for c, name in enumerate(clip.muscles):
        axes = figure.add_axes((0.1, top - each * (row + c + 1), 0.88, each * 0.8))
        axes.plot(clip.emg_time, clip.emg[:, c], lw=0.4, color="black")
        axes.set_ylabel(theme.channel_label(name), fontsize=7)
        axes.tick_params(labelsize=7, labelbottom=c == len(clip.muscles) - 1)
    style.save(figure, path)


def _keypoints(clip: Clip, time: float) -> np.ndarray:
    """[K, 2] keypoints of the first view nearest to `time` s, as fractions of the frame's side."""
    own = np.flatnonzero(clip.keypoint_view == 0)
    if not len(own):
        return np.zeros((0, 2))
    return clip.keypoints[own[np.abs(clip.keypoint_time[own] - time).argmin()], :, :2]
