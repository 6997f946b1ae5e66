"""Signals that ask a run to stop become a wish, granted where nothing is lost."""

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
    """Context in which SIGTERM and SIGINT are remembered instead of killing the process.

    A second SIGINT is an impatient person's: it raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.name: str | None = None
        self._immediate = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        # Python allows handlers in the main thread only; elsewhere signals keep their meaning.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._asked) for number in _SIGNALS}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, _: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
        if self._immediate:
            raise Interrupted(self.name)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Around work that may be dropped half-way: a signal raises Interrupted there and then.

        With several processes all must stop at the same step, so they finish it; see `agreed`.
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
        """Raises Interrupted in every process if any was asked to stop; they call it together."""
        for name in hosts.share(self.name):
            if name is not None:
                self.name = name
                raise Interrupted(name)
