"""Work in processes of their own: results in order, few of them in memory, nobody left behind."""

import collections
import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items per worker that may wait for their turn
_WORTH = 4  # items per worker below which starting it takes longer than the work


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order; memory does not grow with their number.

    Args:
      function: picklable (processes are spawned, so that threads of the caller do no harm).
      items: picklable.
      workers: processes; as many as there are cores, or none for a handful of items, if not given.

    Raises:
      What `function` raises, at the item's turn.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, len(items) // _WORTH)
    if workers <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _prepare) as pool:
        waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _prepare() -> None:
    """Keeps linear algebra from fighting for the same cores, and ends with the parent.

    A worker whose parent was killed would wait for work for ever.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
