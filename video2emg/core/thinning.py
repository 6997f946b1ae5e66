"""Leaving out pictures that come faster than they are wanted."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_EARLY_S = 5e-4  # for time bases in which a step has no exact value


def thinned(
    timed: Iterable[tuple[float, _Item]], rate: float | Callable[[float], float]
) -> Iterator[tuple[float, _Item]]:
    """Yields the first item, and of the others as many as a rate allows, in even steps.

    Args:
      timed: (s, item), in order of time.
      rate: Hz, or a function that returns it for a time, s.
    """
    due: float | None = None
    for time, item in timed:
        if due is None:
            due = time
        if time >= due - _EARLY_S:
            hz = rate(time) if callable(rate) else rate
            due = max(due + 1 / hz, time + 0.5 / hz)
            yield time, item
