"""A trace of a few steps and a summary of where their time goes (`launch.py --profile`).

No step is added or repeated: a run with a profile trains the same parameters.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from video2emg.core.files import write_text
from video2emg.parallel import hosts
from video2emg.train.feed import Feed

# Numbers of steps: ignored; traced; timed one by one, waiting for each.
WARM, FREE, BLOCKED = 3, 8, 5
LENGTH = WARM + FREE + BLOCKED


class Profile:
    """Measures the first steps of a run and writes the folder `profile` of the workdir."""

    def __init__(self, folder: Path, step_fn: Any, feed: Feed, mesh: jax.sharding.Mesh):
        """Prepares the measurement.

        Args:
          folder: for the trace and `summary.txt`.
          step_fn: the jitted step.
          feed: of the batches; it measures the waiting time.
          mesh: the devices.
        """
        self._folder, self._step_fn, self._feed, self._mesh = folder, step_fn, feed, mesh
        self._n, self._tracing = 0, False
        self._alone: list[float] = []
        self._start = self._waited = self._free = self._input = 0.0

    def before(self, state: Any) -> None:
        """Call it before the batch of a step is requested."""
        if self._n in (WARM, WARM + FREE):
            jax.block_until_ready(state)
            now = time.perf_counter()
            if self._n == WARM:
                self._start, self._waited = now, self._feed.waited
                jax.profiler.start_trace(self._folder)
                self._tracing = True
            else:
                self._free = (now - self._start) / FREE
                self._input = (self._feed.waited - self._waited) / FREE
                self.close()

    def ready(self, batch: Any) -> None:
        """Call it when the batch is ready, before the step."""
        if WARM + FREE <= self._n < LENGTH:
            jax.block_until_ready(batch)
            self._start = time.perf_counter()

    def after(self, state: Any, batch: Any) -> str | None:
        """Call it after a step; returns the summary after the last measured step."""
        if WARM + FREE <= self._n < LENGTH:
            jax.block_until_ready(state)
            self._alone.append(time.perf_counter() - self._start)
        self._n += 1
        if self._n != LENGTH:
            return None
        text = self._summary(state, batch)
        if hosts.is_main():
            write_text(self._folder / "summary.txt", text)
        return text

    def close(self) -> None:
        """Ends the trace, if one is active."""
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()

    def _summary(self, state: Any, batch: Any) -> str:
        with jax.transfer_guard("allow"):
            compiled = self._step_fn.lower(state, batch).compile()
            ceiling = matmul_ceiling(self._mesh)
        flops = compiled.cost_analysis().get("flops", float("nan")) * self._mesh.size
        step = statistics.median(self._alone)
        gap = max(self._free - step, 0.0)
        device = self._mesh.devices.flat[0]
        memory = compiled.memory_analysis()
        planned = (
            memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            - memory.alias_size_in_bytes
            + memory.temp_size_in_bytes
        )
        peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
        rows = [
            ("devices", f"{self._mesh.size} × {device.device_kind}, mesh {dict(self._mesh.shape)}"),
            ("step in the loop", f"{self._free * 1e3:.1f} ms ({FREE} steps)"),
            ("step alone", f"{step * 1e3:.1f} ms (median of {BLOCKED}, each waited for)"),
            ("waiting for input", f"{self._input / self._free:.1%} of the step in the loop"),
            ("device idle", f"{gap / self._free:.1%} (in the loop minus alone; input included)"),
            ("FLOPs per step", f"{flops:.3g} (XLA: counts recomputation, a loop's body once)"),
            ("matmul ceiling", f"{ceiling:.3g} FLOP/s, measured on all devices together"),
            ("utilisation", f"{flops / self._free / ceiling:.1%} of the ceiling"),
            ("memory planned", f"{planned / 2**20:.0f} MiB per device (XLA)"),
            ("memory peak", "unknown" if peak is None else f"{peak / 2**20:.0f} MiB"),
            ("trace", f"{self._folder} (TensorBoard's profile plugin, or Perfetto)"),
        ]
        return "".join(f"{name:<18} {value}\n" for name, value in rows)


def matmul_ceiling(mesh: jax.sharding.Mesh, seconds: float = 0.5) -> float:
    """FLOP/s that all devices of a mesh together reach in matrix products.

    In bfloat16 on accelerators, in float32 on CPUs.
    """
    accelerator = mesh.devices.flat[0].platform != "cpu"
    size, dtype = (8192, jnp.bfloat16) if accelerator else (768, jnp.float32)
    sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    make = jax.jit(lambda: jnp.ones((mesh.size, size, size), dtype), out_shardings=sharding)
    x = make()
    multiply = jax.jit(lambda x: x @ x / size, out_shardings=sharding)
    x = jax.block_until_ready(multiply(x))  # compiles
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        x = jax.block_until_ready(multiply(x))
        best = min(best, time.perf_counter() - start)
    return 2 * mesh.size * size**3 / best
