"""Functions called in other processes, which do not import the caller's script.

`multiprocessing` starts a process by importing the main script again. A script that opens a dataset
without `if __name__ == "__main__":` would then open it once more in every worker. The processes
here import only the module of the function that they are to call.
"""

import collections
import concurrent.futures
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # results per worker that may wait for their turn
_WORTH = 4  # items per worker below which starting it takes longer than the work
_PROGRAM = "from video2emg.data import workers; workers.serve()"
# Keeps the linear algebra of several workers from competing for the same cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerError(Exception):
    """A worker ended without an answer, e.g. because a library crashed."""


class Worker:
    """A Python process that calls functions, one at a time; it ends when its parent does."""

    def __init__(self) -> None:
        """Starts the process and does not wait for it."""
        path = os.pathsep.join(map(os.path.abspath, sys.path))
        self._started = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )

    def __call__(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Returns `function(*arguments)`; function, arguments and result are pickled.

        Raises:
          WorkerError: the process ended.
          RuntimeError: the process could not be started.
          Exception: what the function raises.
        """
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None and replies is not None
        request = pickle.dumps(pickle.dumps((function, arguments)))
        if not self._started and replies.read(1) != b"\n":
            raise RuntimeError(f"cannot start a worker process with {sys.executable}")
        self._started = True
        try:
            requests.write(request)
            requests.flush()
            succeeded, value = pickle.load(replies)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise WorkerError(f"a worker process ended (status {self._process.poll()})") from None
        if succeeded:
            return value
        raise value

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()


def serve() -> None:
    """What a worker does: answers the requests on its standard input until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends workers
    threading.Thread(target=_end_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # text that a library prints must not get among the replies
    try:
        replies.write(b"\n")
        replies.flush()
        while requests.peek(1):
            replies.write(_answer(pickle.load(requests)))
            replies.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _answer(request: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(request)
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            return pickle.dumps((False, pickle.loads(pickle.dumps(error))))
        except Exception:  # not every exception can be pickled
            return pickle.dumps((False, RuntimeError(traceback.format_exc())))


def call(function: Callable[..., Result], *arguments: Any, timeout: float) -> Result:
    """Returns `function(*arguments)`, called in a process of its own; see `Worker`.

    Raises:
      TimeoutError: after `timeout` s.
      WorkerError: the process crashed.
    """
    worker = Worker()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        try:
            return executor.submit(worker, function, *arguments).result(timeout)
        finally:
            worker.kill()


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order; memory does not grow with their number.

    Args:
      function: picklable.
      items: picklable.
      workers: processes; by default one per core, or none for a handful of items.

    Raises:
      Exception: what `function` raises, at the item's turn.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, len(items) // _WORTH)
    if workers <= 1:
        yield from map(function, items)
        return
    pool = [Worker() for _ in range(workers)]
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in pool:
        idle.put(worker)

    def call_idle(item: Item) -> Result:
        worker = idle.get()
        try:
            return worker(function, item)
        finally:
            idle.put(worker)

    executor = concurrent.futures.ThreadPoolExecutor(workers)
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    try:
        for item in items:
            waiting.append(executor.submit(call_idle, item))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for worker in pool:
            worker.kill()
        executor.shutdown(cancel_futures=True)
