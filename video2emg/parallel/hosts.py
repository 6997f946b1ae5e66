"""Several processes as one run: joining, agreeing, and who writes.

Everything here is the identity in a run of one process.
"""

import glob
import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
from jax._src import distributed  # the coordinator's client has no public name (JAX 0.10-0.12)

from video2emg.core.errors import UserError

T = TypeVar("T")
_PATIENCE_MS = 24 * 3600 * 1000
_calls = itertools.count()


def join(coordinator: str = "", processes: int = 0, process: int = -1) -> None:
    """Joins the processes of this run; to be called once, before any other use of JAX.

    Without arguments, JAX finds the others on TPU pods, under SLURM and Open MPI and on GKE.

    Args:
      coordinator: `host:port` of process 0.
      processes: how many there are.
      process: which this one is.

    Raises:
      UserError: only some of the three are given, or the others do not answer.
    """
    given = [bool(coordinator), processes > 0, process >= 0]
    if any(given) and not all(given):
        raise UserError("--coordinator, --processes and --process belong together: give all three, "
                        "or none where the cluster tells them")  # fmt: skip
    several = all(given) or _started_together()
    if not several and not _has_tpu():
        return
    # CPU devices of different processes talk through gloo; other platforms ignore this.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        if all(given):
            jax.distributed.initialize(coordinator, processes, process)
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        if not several and isinstance(error, ValueError):
            return  # a TPU by itself, which no cluster describes
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot join the other processes of this run: {reason}") from error


def _started_together() -> bool:
    """Whether a launcher started several processes; who the others are, JAX finds by itself."""
    counts = (os.environ.get(name, "1") for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"))
    pod = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    return any(int(count) > 1 for count in counts) or pod


def _has_tpu() -> bool:
    """Whether there are TPU chips; only their metadata server knows whether they are a pod's."""
    chips = [*glob.glob("/dev/accel*"), *glob.glob("/dev/vfio/[0-9]*")]
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def is_main() -> bool:
    """Whether this process writes results."""
    return jax.process_index() == 0


def share(value: Any) -> list[Any]:
    """A JSON value of every process, on every process; they call it in the same order.

    Goes through the coordinator and not through the devices, whose collectives give up when one
    process is busy for longer than the rest care to wait: a dataset may take an hour to build.
    """
    if jax.process_count() == 1:
        return [value]
    client, mine = distributed.global_state.client, jax.process_index()
    call = next(_calls)
    client.key_value_set(_key(call, mine), json.dumps(value))
    found = [
        json.loads(client.blocking_key_value_get(_key(call, process), _PATIENCE_MS))
        for process in range(jax.process_count())
    ]
    if call > 0:  # everybody has read the call before, or they would not have answered this one
        client.key_value_delete(_key(call - 1, mine))
    return found


def _key(call: int, process: int) -> str:
    return f"video2emg/{call}/{process}"


def agree(facts: Mapping[str, Any]) -> None:
    """Stops every process, with the difference named, unless all were started with equal facts.

    Args:
      facts: JSON values by name, e.g. every field of the configuration and the dataset's version.
    """
    everyone = share(dict(facts))
    names = sorted(set().union(*everyone))
    for name in names:
        values = [theirs.get(name, "(nothing)") for theirs in everyone]
        for process, value in enumerate(values):
            if json.dumps(value) != json.dumps(values[0]):  # NaN equals itself
                raise UserError(f"the processes of this run disagree on {name}: {values[0]!r} in "
                                f"process 0, {value!r} in process {process}")  # fmt: skip


def main_first(work: Callable[[], T]) -> T:
    """Does `work` in process 0, then, if that went well, in the others; an error is everybody's.

    For work that writes files that all processes may see, such as building a dataset.
    """
    if jax.process_count() == 1:
        return work()
    found = _attempt(work) if is_main() else None
    _raise_any(found)
    if not is_main():
        found = _attempt(work)
    _raise_any(found)
    return found[0]  # pyright: ignore[reportOptionalSubscript, reportReturnType]


def main_only(work: Callable[[], Any]) -> None:
    """Does `work` in process 0 while the others wait; an error is everybody's."""
    if jax.process_count() == 1:
        work()
        return
    _raise_any(_attempt(work) if is_main() else None)


def _attempt(work: Callable[[], T]) -> tuple[T | None, str | None]:
    try:
        return work(), None
    except UserError as error:
        return None, str(error)


def _raise_any(found: tuple[Any, str | None] | None) -> None:
    for message in share(found and found[1]):
        if message is not None:
            raise UserError(message)


def log(message: str) -> None:
    """Tells the user what is going on, on standard error; results go to standard output."""
    if is_main():
        print(message, file=sys.stderr, flush=True)
