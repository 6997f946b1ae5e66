"""Batches prepared ahead, by a thread that may be late or die but not in silence."""

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

import tqdm

from video2emg.core.errors import UserError

_TELL_AFTER_S = 30.0


class Feed:
    """Iterates over batches; the next one is prepared while this one is used.

    Attributes:
      waited: seconds that `next` has waited, altogether.
    """

    def __init__(self, batches: Iterable[Any], patience_s: float = 600.0, ahead: int = 1):
        """Starts to prepare.

        Args:
          batches: made one by one in a thread.
          patience_s: how long one batch may take.
          ahead: batches held ready.
        """
        self.waited = 0.0
        self._patience = patience_s
        self._ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(ahead)
        self._seen: list[Any] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._prepare, args=(batches,), daemon=True)
        self._thread.start()

    def _prepare(self, batches: Iterable[Any]) -> None:
        try:
            for batch in batches:
                self._offer((batch, None))
                if self._over.is_set():
                    return
            self._offer((None, StopIteration()))
        except BaseException as error:  # handed to the thread that waits for the batch
            self._offer((None, error))

    def _offer(self, item: tuple[Any, BaseException | None]) -> None:
        while not self._over.is_set():
            try:
                return self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def __iter__(self) -> "Feed":
        return self

    def peek(self) -> Any:
        """The next batch, which stays the next."""
        if not self._seen:
            self._seen.append(next(self))
        return self._seen[0]

    def __next__(self) -> Any:
        """The next batch.

        Raises:
          UserError: none came in time.
        """
        if self._seen:
            return self._seen.pop()
        start = time.monotonic()
        told = False
        while True:
            try:
                batch, error = self._ready.get(timeout=min(1.0, self._patience))
            except queue.Empty:
                waiting = time.monotonic() - start
                if waiting >= self._patience:
                    raise UserError(
                        f"no training batch for {waiting:.0f} s (config.train.patience_s): reading "
                        "or decoding clips hangs; the last checkpoint is intact"
                    ) from None
                if waiting > _TELL_AFTER_S and not told:
                    tqdm.tqdm.write(f"waiting for input since {waiting:.0f} s")
                    told = True
                continue
            self.waited += time.monotonic() - start
            if error is not None:
                raise error
            return batch

    def close(self) -> None:
        """Ends the thread after the batch that it is making."""
        self._over.set()
        self._thread.join(timeout=1.0)
