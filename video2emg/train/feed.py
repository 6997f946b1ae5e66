"""Prepares batches ahead in a thread; its delays and errors are reported."""

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

import tqdm

from video2emg.core.errors import UserError

_WARN_AFTER_S = 30.0
_LONGEST_TURN_S = 2.0  # of waiting, of which each turn takes 1 s while the process runs


class Feed:
    """Iterates over batches; the next ones are prepared while the current one is used.

    Attributes:
      waited: total time that `next` has waited, s.
    """

    def __init__(self, batches: Iterable[Any], patience_s: float = 600.0, ahead: int = 1):
        """Starts the thread.

        Args:
          batches: iterated over in the thread.
          patience_s: longest time that one batch may take.
          ahead: number of batches prepared ahead.
        """
        self.waited = 0.0
        self._patience = patience_s
        self._ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(ahead)
        self._peeked: list[Any] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._prepare, args=(batches,), daemon=True)
        self._thread.start()

    def _prepare(self, batches: Iterable[Any]) -> None:
        try:
            for batch in batches:
                self._put((batch, None))
                if self._closed.is_set():
                    return
            self._put((None, StopIteration()))
        except BaseException as error:  # raised again in the thread that waits for the batch
            self._put((None, error))

    def _put(self, item: tuple[Any, BaseException | None]) -> None:
        while not self._closed.is_set():
            try:
                return self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def __iter__(self) -> "Feed":
        return self

    def peek(self) -> Any:
        """The next batch, without consuming it."""
        if not self._peeked:
            self._peeked.append(next(self))
        return self._peeked[0]

    def __next__(self) -> Any:
        """The next batch.

        Raises:
          UserError: it was not ready in time.
        """
        if self._peeked:
            return self._peeked.pop()
        last, waiting, warned = time.monotonic(), 0.0, False
        while True:
            try:
                batch, error = self._ready.get(timeout=min(1.0, self._patience))
            except queue.Empty:
                now = time.monotonic()
                # A machine that slept, or a process that was stopped, has not waited for input.
                waiting, last = waiting + min(now - last, _LONGEST_TURN_S), now
                if waiting >= self._patience:
                    raise UserError(
                        f"no training batch for {waiting:.0f} s (config.train.patience_s): reading "
                        "or decoding clips hangs; the last checkpoint is intact"
                    ) from None
                if waiting > _WARN_AFTER_S and not warned:
                    tqdm.tqdm.write(f"waiting for input since {waiting:.0f} s")
                    warned = True
                continue
            self.waited += waiting + min(time.monotonic() - last, _LONGEST_TURN_S)
            if error is not None:
                raise error
            return batch

    def close(self) -> None:
        """Ends the thread after the batch that it is preparing."""
        self._closed.set()
        self._thread.join(timeout=1.0)
