"""Runs a model over every clip of a split; its windows are averaged on the clip's own clock."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from video2emg.core.batch import muscle_queries
from video2emg.core.clip import Clip
from video2emg.core.joint_angles import joint_angles
from video2emg.core.overlap_add import OverlapAdd
from video2emg.data import video as video_lib
from video2emg.data.batches import window_batches
from video2emg.data.examples import Examples
from video2emg.eval import metrics
from video2emg.eval.series import ClipSeries
from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib

# Descriptor of the nearest-neighbour baseline: so many instants of a small grey picture per view.
_INSTANTS, _PIXELS = 8, 12


def evenly(count: int, most: int) -> Sequence[int]:
    """All indices below `count`, or `most` of them at even distances."""
    if count <= most:
        return range(count)
    return np.linspace(0, count - 1, most).round().astype(int).tolist()


def series_of(
    examples: Examples,
    descriptors: bool = False,
    clips: Sequence[int] | None = None,
    angles: bool = False,
) -> list[ClipSeries]:
    """The measured envelopes of a split, one series per clip.

    Args:
      examples: the split.
      descriptors: whether to add the descriptors of the nearest-neighbour baseline.
      clips: indices of the clips; all by default.
      angles: whether to add the joint angles of the kinematic baseline.
    """
    series = []
    for index in range(len(examples)) if clips is None else clips:
        clip = examples.clip(index)
        target, time = examples.target(index)
        one = ClipSeries(
            clip_id=clip.clip_id,
            dataset=clip.dataset,
            subject=clip.subject,
            action=clip.action,
            muscles=clip.muscles,
            time=time,
            phase=phase(clip, time),
            target=target,
            mask=np.isfinite(target),
            scale=examples.normalisation.scale(clip) if clip.emg_is_envelope else None,
            load=clip.load,
            starts=np.array(examples.window_starts(index)),
            window=examples.window.seconds,
            angles=_angles(examples, clip, time) if angles else None,
        )
        if descriptors:
            one = dataclasses.replace(one, descriptor=_descriptors(examples, index, one))
        series.append(one)
    return series


def phase(clip: Clip, time: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Place within the repetition, in [0, 1], at instants of the clip; NaN between repetitions.

    A clip that is a single repetition begins and ends with it.
    """
    if clip.repetitions is None:
        return ((time - time[0]) / (time[-1] - time[0])).astype(np.float32)
    place = np.full(len(time), np.nan, np.float32)
    for repetition in clip.repetitions:
        inside = (time >= repetition.start) & (time <= repetition.end)
        duration = repetition.end - repetition.start
        place[inside] = (time[inside] - repetition.start) / duration
    return place


def _angles(
    examples: Examples, clip: Clip, time: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "N A"] | None:
    """Joint angles at given instants, degrees; None without a pose."""
    pose, known = examples.pose(clip, time)
    if not known.any():
        return None
    return joint_angles(np.where(known[..., None], pose, np.nan), examples.window.joints)


def _descriptors(examples: Examples, index: int, series: ClipSeries) -> Float[np.ndarray, "R K"]:
    """The descriptor of every repetition of a clip."""
    if examples.clip(index).repetitions is None:
        return descriptor(examples, index)[None]
    spans = [series.time[[rows.start, rows.stop - 1]] for rows in series.repetitions]
    rows = [descriptor(examples, index, (first, last)) for first, last in spans]
    return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def descriptor(
    examples: Examples, index: int, span: tuple[float, float] | None = None
) -> Float[np.ndarray, " K"]:
    """Small grey pictures at fixed fractions of a repetition, each with zero mean; [K] float32.

    Without cameras the pose at those instants: the search of Muscles in Action's retrieval
    (Chiquier & Vondrick 2023), there over 30 frames.

    Args:
      examples: the split.
      index: of the clip.
      span: start and end of the repetition, s on the clip's clock; by default all of the clip.
    """
    clip = examples.clip(index)
    if not examples.window.views:
        times = np.linspace(*(span or (0, clip.end)), _INSTANTS)
        return examples.pose(clip, times)[0].astype(np.float32).ravel()
    times = np.linspace(*(span or (clip.frame_time[0], clip.frame_time[-1])), _INSTANTS)
    pictures = []
    for view in examples.window.views:
        if view not in clip.views:
            pictures.append(np.zeros((_INSTANTS, _PIXELS, _PIXELS), np.float32))
            continue
        frames, _ = video_lib.nearest_frames(clip, clip.views.index(view), times)
        small = [video_lib.decode(clip, int(f), _PIXELS) for f in frames]
        pictures.append(np.stack(small).mean(-1, dtype=np.float32))
    stacked = np.concatenate(pictures)
    return (stacked - stacked.mean((1, 2), keepdims=True)).ravel()


def predict(
    predict_fn: Callable[[Any, dict[str, jax.Array]], Outputs],
    params: Any,
    examples: Examples,
    batch: int,
    mesh: jax.sharding.Mesh,
    clips: Sequence[int] | None = None,
    channels: Sequence[str] = (),
) -> list[Float[np.ndarray, "N C"]]:
    """Predicts every clip of a split, or some.

    Args:
      predict_fn: jitted `train.step.predict_step`, its outputs copied to every device.
      params: of the model.
      examples: the split; every process reads its rows of each batch.
      batch: windows at a time; a multiple of the number of devices.
      mesh: the devices.
      clips: indices of the clips; all by default.
      channels: names of the C channels that are asked for; by default those of each clip.

    Returns:
      On every process, one [N, C] array per clip, on the time grid of `series_of`.
    """
    return predict_with_mae(predict_fn, params, examples, batch, mesh, clips, channels)[0]


def predict_with_mae(
    predict_fn: Callable[[Any, dict[str, jax.Array]], Outputs],
    params: Any,
    examples: Examples,
    batch: int,
    mesh: jax.sharding.Mesh,
    clips: Sequence[int] | None = None,
    channels: Sequence[str] = (),
) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """As `predict`, with the predicted mean absolute error, [N, C] per clip, or None."""
    clips = range(len(examples)) if clips is None else clips
    windows = [(int(i), start) for i in clips for start in examples.window_starts(int(i))]
    curves = _curves(predict_fn, params, examples, windows, batch, mesh, channels)
    emg, mae = [], []
    for index in map(int, clips):
        count = len(channels or examples.clip(index).muscles)
        values = curves[index].finish()
        emg.append(values[:, :count])
        mae.append(values[:, count:])
    has_mae = bool(mae) and mae[0].size > 0
    return emg, mae if has_mae else None


def _curves(
    predict_fn: Callable[[Any, dict[str, jax.Array]], Outputs],
    params: Any,
    examples: Examples,
    windows: Sequence[tuple[int, float]],
    batch: int,
    mesh: jax.sharding.Mesh,
    channels: Sequence[str] = (),
) -> dict[int, OverlapAdd]:
    """Predictions in windows (clip, start), averaged per clip on the time grid of `series_of`.

    The columns are the EMG of the clip's channels and, if the model predicts them, as many mean
    absolute errors.
    """
    rate = examples.window.emg_rate
    time = {i: examples.target(i)[1] for i in dict(windows)}
    curves = {i: OverlapAdd(len(grid), rate) for i, grid in time.items()}
    rows = mesh_lib.local_rows(mesh, batch)
    for host in window_batches(examples, windows, batch, rows.tolist()):
        if channels:
            host |= _asked(channels, host["emg"].shape)
        outputs = predict_fn(params, mesh_lib.put_batch(mesh, host))
        parts = [outputs.emg]
        if outputs.predicted_mae is not None:
            parts.append(outputs.predicted_mae)
        with jax.transfer_guard("allow"):
            values = np.stack([np.asarray(jax.device_get(x), np.float32) for x in parts], -2)
        for row in np.flatnonzero(host["_mask"]):
            index = int(host["_index"][row])
            start = float(host["_start"][row]) - float(time[index][0])
            own = values[row][..., : len(channels or examples.clip(index).muscles)]
            curves[index].add(start, own.reshape(len(own), -1))
    return curves


def _asked(channels: Sequence[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Fields of a batch that ask for these channels; `shape` is [B, N, M] of its EMG."""
    b, n, _ = shape
    muscle, side = (np.tile(one, (b, 1)) for one in muscle_queries(channels))
    blank = np.zeros((b, n, len(channels)), np.float32)
    return {"muscle": muscle, "side": side, "emg": blank, "emg_mask": blank > 0}


def shift_r(
    predict_fn: Callable[[Any, dict[str, jax.Array]], Outputs],
    params: Any,
    examples: Examples,
    batch: int,
    mesh: jax.sharding.Mesh,
    clips: Sequence[int] | None = None,
) -> float:
    """How little a prediction depends on where its window begins: 1 if not at all.

    Windows side by side are moved by half a window. The result is Pearson's r between both
    predictions of the same samples, per clip and channel, averaged over the channels that are
    active (measured peak of at least `metrics.QUIET`). A flat prediction counts as 0.

    Args:
      predict_fn: as of `predict`.
      params: of the model.
      examples: the split.
      batch: windows at a time.
      mesh: the devices.
      clips: indices of the clips; all by default.

    Returns:
      The mean r; NaN if no clip is one and a half windows long.
    """
    length = examples.window.seconds
    both: list[list[tuple[int, float]]] = [[], []]
    for index in map(int, range(len(examples)) if clips is None else clips):
        last = examples.end(index) + 1 / examples.window.emg_rate - length
        if last < length / 2:
            continue
        for windows, first in zip(both, (0.0, length / 2), strict=True):
            starts = np.arange(first, last + 1e-6, length)
            windows += [(index, float(start)) for start in starts]
    still, moved = (_curves(predict_fn, params, examples, windows, batch, mesh) for windows in both)
    correlations = []
    for index in still:
        target, _ = examples.target(index)
        seen = still[index].covered & moved[index].covered
        a, b = (
            curves[index].finish()[seen, : target.shape[1]].astype(np.float64)
            for curves in (still, moved)
        )
        pair = metrics.Moments.of(a, b)
        flat = (pair.m2_target == 0) | (pair.m2_prediction == 0)
        r = np.where(flat, 0.0, metrics.pcc(pair))
        active = np.where(np.isfinite(target), target, -np.inf).max(0) >= metrics.QUIET
        correlations.append(r[active])
    correlations = np.concatenate(correlations) if correlations else np.zeros(0)
    return float(correlations.mean()) if len(correlations) else float("nan")
