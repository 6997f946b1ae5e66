"""Runs a model over every clip of a split; predictions are resampled to the clips' own clocks."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from video2emg.core import emg as emg_lib
from video2emg.data import video as video_lib
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.eval.series import ClipSeries
from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib

# Descriptor of the nearest-neighbour baseline: so many instants of a small grey picture per view.
_INSTANTS, _PIXELS = 8, 12


def evenly(count: int, most: int) -> Sequence[int]:
    """All indices below `count`, or `most` of them at even distances."""
    return range(count) if count <= most else np.linspace(0, count - 1, most).round().astype(int)  # pyright: ignore


def series_of(
    examples: Examples, descriptors: bool = False, clips: Sequence[int] | None = None
) -> list[ClipSeries]:
    """The measured envelopes of a split, one series per clip.

    Args:
      examples: the split.
      descriptors: whether to add the descriptors of the nearest-neighbour baseline.
      clips: indices of the clips; all by default.
    """
    series = []
    for index in range(len(examples)) if clips is None else clips:
        clip = examples.clip(index)
        target, time = examples.target(index)
        series.append(
            ClipSeries(
                clip_id=clip.clip_id,
                dataset=clip.dataset,
                subject=clip.subject,
                action=clip.action,
                muscles=clip.muscles,
                time=time,
                phase=((time - time[0]) / (time[-1] - time[0])).astype(np.float32),
                target=target,
                mask=np.isfinite(target),
                scale=examples.normalisation.scale(clip) if clip.emg_is_envelope else None,
                load=clip.load,
                descriptor=descriptor(examples, index) if descriptors else None,
            )
        )
    return series


def descriptor(examples: Examples, index: int) -> Float[np.ndarray, " K"]:
    """Small grey pictures at fixed fractions of a clip, each with zero mean; [K] float32.

    Without cameras the pose at those instants: the search of Muscles in Action's retrieval
    (Chiquier & Vondrick 2023), there over 30 frames.
    """
    clip = examples.clip(index)
    if not examples.window.views:
        times = np.linspace(0, clip.end, _INSTANTS)
        return examples.pose(clip, times)[0].astype(np.float32).ravel()
    times = np.linspace(clip.frame_time[0], clip.frame_time[-1], _INSTANTS)
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
) -> list[Float[np.ndarray, "N C"]]:
    """Predicts every clip of a split, or some.

    Args:
      predict_fn: jitted `train.step.predict_step`, its outputs copied to every device.
      params: of the model.
      examples: the split; every process reads its rows of each batch.
      batch: windows at a time; a multiple of the number of devices.
      mesh: the devices.
      clips: indices of the clips; all by default.

    Returns:
      On every process, one [N, C] array per clip, on the time grid of `series_of`.
    """
    return predict_with_mae(predict_fn, params, examples, batch, mesh, clips)[0]


def predict_with_mae(
    predict_fn: Callable[[Any, dict[str, jax.Array]], Outputs],
    params: Any,
    examples: Examples,
    batch: int,
    mesh: jax.sharding.Mesh,
    clips: Sequence[int] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """As `predict`, with the predicted mean absolute error, [N, C] per clip, or None."""
    pieces: dict[int, list[tuple[np.ndarray, np.ndarray]]] = collections.defaultdict(list)
    rows = mesh_lib.local_rows(mesh, batch)
    for host in eval_batches(examples, batch, rows.tolist(), clips):
        outputs = predict_fn(params, mesh_lib.put_batch(mesh, host))
        parts = [outputs.emg]
        if outputs.predicted_mae is not None:
            parts.append(outputs.predicted_mae)
        with jax.transfer_guard("allow"):
            values = np.stack([np.asarray(jax.device_get(x), np.float32) for x in parts], -1)
        for row in np.flatnonzero(host["_mask"]):
            times = float(host["_start"][row]) + examples.window.emg_time
            pieces[int(host["_index"][row])].append((times, values[row]))
    predictions: list[np.ndarray] = []
    for index in range(len(examples)) if clips is None else clips:
        target, time = examples.target(index)
        times, values = (np.concatenate(part) for part in zip(*pieces[index], strict=True))
        values = values[:, : target.shape[1]]
        on_clock, _ = emg_lib.resample(values.reshape(len(times), -1), times, time)
        predictions.append(on_clock.reshape(len(time), *values.shape[1:]))
    has_mae = bool(predictions) and predictions[0].shape[-1] > 1
    mae = [x[..., 1] for x in predictions] if has_mae else None
    return [x[..., 0] for x in predictions], mae
