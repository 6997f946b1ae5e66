"""Examples → endless shuffled and augmented batches for training.

The batch of a step is a function of the seed and the step alone, so that a run can be resumed at
any step and shared by any number of processes.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import grain
import numpy as np

from video2emg.core.batch import Example
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data import video as video_lib
from video2emg.data.augment import Augmentation
from video2emg.data.examples import Examples
from video2emg.data.pose_noise import PoseNoise
from video2emg.data.same_action import SameActionBatches

_THREADS = 4  # that make examples


class _ProcessRows(grain.MapDataset):
    """The rows of each batch that one process reads from an endless stream."""

    def __init__(self, stream: grain.MapDataset, batch: int, rows: Sequence[int], start: int):
        """Element k is row `rows[k % len(rows)]` of batch `start + k // len(rows)`."""
        super().__init__(stream)
        self._batch, self._rows, self._start = batch, list(rows), start

    def __len__(self) -> int:
        return len(self._parent)

    def __getitem__(self, index):
        step, row = divmod(index, len(self._rows))
        return self._parent[(self._start + step) * self._batch + self._rows[row]]


def stream(
    shuffled: grain.MapDataset,
    change: Callable[[Any, np.random.Generator], Any],
    batch: int,
    rows: Sequence[int] | None = None,
    start: int = 0,
    threads: int = _THREADS,
) -> grain.IterDataset:
    """Endless shuffled batches of `change(element, random generator)`.

    Batch s holds the elements s·B … s·B+B−1 of the stream, however many processes share it and
    wherever it is started.

    Args:
      shuffled: one epoch, seeded; each further epoch is shuffled differently.
      change: makes an example of an element; its randomness depends on the seed and on the
        element's place in the stream.
      batch: B, over all processes.
      rows: rows of each batch that this process reads, ascending; all by default.
      start: the first batch.
      threads: that make examples.
    """
    rows = range(batch) if rows is None else rows
    endless = shuffled.repeat().random_map(change)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * len(rows))
    return (
        _ProcessRows(endless, batch, rows, start)
        .to_iter_dataset(options)
        .batch(len(rows), drop_remainder=True)
    )


def train_batches(
    examples: Examples,
    augmentation: Augmentation,
    batch: int,
    seed: int,
    rows: Sequence[int] | None = None,
    start: int = 0,
    threads: int = _THREADS,
    same_action: int = 1,
    field: str = "config.train.batch_size",
    only: Sequence[int] | None = None,
) -> grain.IterDataset:
    """Endless shuffled batches of augmented windows, see `stream`.

    Args:
      examples: the training split.
      augmentation: what to change, and by how much.
      batch: B, over all processes.
      seed: of shuffling and augmentation.
      rows: rows of each batch that this process reads.
      start: the first batch.
      threads: that decode.
      same_action: how many clips of one action stand next to each other; divides the batch.
      field: of the config that says B, for the message.
      only: numbers of the clips that are read; all by default.

    Raises:
      UserError: fewer clips than B, fewer clips of an action than `same_action`, or fewer cameras
        to draw from than the window shows.
    """
    if len(examples) < batch:
        raise UserError(
            f"{field} {batch} is larger than the training split ({len(examples)} clips)"
        )

    cameras = list(augmentation.cameras)
    if cameras and len(cameras) < len(examples.window.views):
        raise UserError(
            f"config.augment.cameras: {cameras} are fewer than config.data.views "
            f"{examples.window.views}"
        )
    # A window of a set may begin at any phase of a repetition as it is.
    of_set = dataclasses.replace(augmentation, repeat=0.0)
    examples = examples.with_pose_noise(PoseNoise.from_config(augmentation.pose))

    def random_window(index: int, rng: np.random.Generator) -> Example:
        clip = examples.clip(int(index))
        recorded = clip.emg_time if clip.muscles else clip.pose_time
        slack = max(float(recorded[-1]) - examples.window.seconds, 0.0)
        window_start = rng.uniform(-augmentation.time, slack + augmentation.time)
        window_start = video_lib.align_to_frames(clip, window_start)
        shown = examples
        if cameras:
            shown = examples.with_views(_drawn(cameras, clip, examples.window.views, rng))
        example = shown.read_window(int(index), window_start, rng)
        return (augmentation if clip.repetitions is None else of_set)(example, rng, examples.mirror)

    numbers = range(len(examples)) if only is None else only
    clips = grain.MapDataset.source(numbers).seed(seed).shuffle()
    if same_action > 1:
        actions = [examples.clip(i).action for i in range(len(examples))]
        clips = SameActionBatches(clips, actions, same_action, seed)
    return stream(clips, random_window, batch, rows, start, threads)


def _drawn(
    cameras: Sequence[str], clip: Clip, views: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """As many cameras as there are views, of those that the clip has as far as it has so many.

    A clip without any of the cameras shows the views.
    """
    there = [name for name in cameras if name in clip.views]
    if not there:
        return list(views)
    drawn = rng.choice(there, min(len(views), len(there)), replace=False).tolist()
    lacking = [name for name in cameras if name not in clip.views]
    return drawn + lacking[: len(views) - len(drawn)]
