"""Communication between the processes of one run.

In a run with one process these functions do nothing or just call what they are given.
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
from jax._src import distributed  # JAX 0.10-0.12 has no public name for the coordinator's client

from video2emg.core.errors import UserError

T = TypeVar("T")
_TIMEOUT_MS = 24 * 3600 * 1000
_calls = itertools.count()


def join(coordinator: str = "", processes: int = 0, process: int = -1) -> None:
    """Connects the processes of this run; call it once, before any other use of JAX.

    Without arguments, JAX finds the other processes on TPU pods and GKE, and under SLURM and Open
    MPI.

    Args:
      coordinator: `host:port` of process 0.
      processes: number of processes.
      process: index of this process.

    Raises:
      UserError: only some of the three are given, or the other processes do not answer.
    """
    given = [bool(coordinator), processes > 0, process >= 0]
    if any(given) and not all(given):
        raise UserError(
            "--coordinator, --processes and --process belong together: give all three, or none "
            "where the cluster knows them"
        )
    several = all(given) or _started_together()
    if not several and not _has_tpu():
        return
    # CPU devices of different processes communicate through gloo; other platforms ignore this.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        if all(given):
            jax.distributed.initialize(coordinator, processes, process)
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        if not several and isinstance(error, ValueError):
            return  # a single TPU machine without a cluster
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot connect to the other processes of this run: {reason}") from error


def _started_together() -> bool:
    """Whether a launcher started several processes; JAX finds the others itself."""
    counts = (os.environ.get(name, "1") for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"))
    pod = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    return any(int(count) > 1 for count in counts) or pod


def _has_tpu() -> bool:
    """Whether there are TPU chips, which may belong to a pod."""
    chips = [*glob.glob("/dev/accel*"), *glob.glob("/dev/vfio/[0-9]*")]
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def is_main() -> bool:
    """Whether this process writes results."""
    return jax.process_index() == 0


def share(value: Any) -> list[Any]:
    """Gathers a JSON value from every process, on every process.

    All processes must make the same calls in the same order. The values go through the coordinator,
    because collectives of the devices time out when one process is busy for long: building a
    dataset may take an hour.
    """
    if jax.process_count() == 1:
        return [value]
    client, mine = distributed.global_state.client, jax.process_index()
    call = next(_calls)
    client.key_value_set(_key(call, mine), json.dumps(value))
    values = [
        json.loads(client.blocking_key_value_get(_key(call, process), _TIMEOUT_MS))
        for process in range(jax.process_count())
    ]
    if call > 0:  # all processes have answered this call, so they have read the previous one
        client.key_value_delete(_key(call - 1, mine))
    return values


def _key(call: int, process: int) -> str:
    return f"video2emg/{call}/{process}"


def agree(facts: Mapping[str, Any]) -> None:
    """Checks that all processes have equal facts.

    Args:
      facts: JSON values by name, e.g. every field of the configuration and the dataset's version.

    Raises:
      UserError: in every process, if a fact differs.
    """
    facts_of_all = share(dict(facts))
    for name in sorted(set().union(*facts_of_all)):
        values = [facts.get(name, "(nothing)") for facts in facts_of_all]
        for process, value in enumerate(values):
            if json.dumps(value) != json.dumps(values[0]):  # as text, NaN equals NaN
                raise UserError(
                    f"the processes of this run disagree on {name}: {values[0]!r} in process 0, "
                    f"{value!r} in process {process}"
                )


def main_first(work: Callable[[], T]) -> T:
    """Calls `work` in process 0 and, if it succeeds, in the others; all processes raise an error.

    For work that writes files that all processes may read, such as building a dataset.
    """
    if jax.process_count() == 1:
        return work()
    outcome = _attempt(work) if is_main() else None
    _raise_any(outcome)
    if not is_main():
        outcome = _attempt(work)
    _raise_any(outcome)
    return outcome[0]  # pyright: ignore[reportOptionalSubscript, reportReturnType]


def main_only(work: Callable[[], Any]) -> None:
    """Calls `work` in process 0 while the others wait; all processes raise an error."""
    if jax.process_count() == 1:
        work()
        return
    _raise_any(_attempt(work) if is_main() else None)


def _attempt(work: Callable[[], T]) -> tuple[T | None, str | None]:
    try:
        return work(), None
    except UserError as error:
        return None, str(error)


def _raise_any(outcome: tuple[Any, str | None] | None) -> None:
    for message in share(outcome and outcome[1]):
        if message is not None:
            raise UserError(message)


def log(message: str) -> None:
    """Prints a message on standard error in process 0; standard output is for results."""
    if is_main():
        print(message, file=sys.stderr, flush=True)
