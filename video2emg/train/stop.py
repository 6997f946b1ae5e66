"""Turns signals that ask a run to stop into an orderly stop at a safe point."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import jax

from video2emg.core.errors import Interrupted
from video2emg.parallel import hosts

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Context in which SIGTERM and SIGINT are recorded instead of ending the process.

    A SIGINT after another signal raises KeyboardInterrupt immediately.

    Attributes:
      name: of the signal received, None before.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._immediate = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        # Python allows handlers in the main thread only; in others, signals keep their effect.
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
        if self._immediate:
            raise Interrupted(self.name)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Context for work that may be aborted: a signal raises Interrupted immediately.

        With several processes it has no effect, because all must stop at the same step; see
        `agreed`.
        """
        if jax.process_count() > 1:
            yield
            return
        if self.name is not None:
            raise Interrupted(self.name)
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def agreed(self) -> None:
        """Raises Interrupted in all processes if one got a signal; all must call it together."""
        for name in hosts.share(self.name):
            if name is not None:
                self.name = name
                raise Interrupted(name)
