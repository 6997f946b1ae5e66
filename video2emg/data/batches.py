"""Examples → batches in order, for evaluation."""

from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core.batch import Example
from video2emg.data.examples import Examples


def eval_batches(
    examples: Examples,
    batch: int,
    rows: Sequence[int] | None = None,
    clips: Sequence[int] | None = None,
    stride: float | None = None,
) -> Iterator[Example]:
    """Every clip, in order, as windows that cover it; the last batch is padded.

    Args:
      examples: the split.
      batch: B, over all processes.
      rows: rows of each batch that this process reads; all by default.
      clips: indices of the clips to read; all by default.
      stride: from one window of a clip to the next, s; by default that of `examples.window`.

    Yields:
      As `window_batches`.
    """
    clips = range(len(examples)) if clips is None else clips
    windows = [(i, start) for i in clips for start in examples.window_starts(i, stride)]
    return window_batches(examples, windows, batch, rows)


def window_batches(
    examples: Examples,
    windows: Sequence[tuple[int, float]],
    batch: int,
    rows: Sequence[int] | None = None,
) -> Iterator[Example]:
    """Given windows in order; the last batch is padded.

    Args:
      examples: the split.
      windows: index of the clip, and start on its clock, s.
      batch: B, over all processes.
      rows: rows of each batch that this process reads; all by default.

    Yields:
      These rows stacked. Besides, for the whole batch: `_mask` [B], false on padding, `_index` [B]
      of the clips and `_start` [B] of the windows, s.
    """
    rows = range(batch) if rows is None else rows
    for first in range(0, len(windows), batch):
        chosen = list(windows[first : first + batch])
        count = len(chosen)
        chosen += [chosen[-1]] * (batch - count)
        read = {window: examples.read_window(*window) for window in {chosen[row] for row in rows}}
        items = [read[chosen[row]] for row in rows]
        yield {name: np.stack([item[name] for item in items]) for name in items[0]} | {
            "_mask": np.arange(batch) < count,
            "_index": np.array([index for index, _ in chosen], np.int32),
            "_start": np.array([start for _, start in chosen], np.float32),
        }
