"""One mesh of all devices, axes `data` and `fsdp`; how state and batches lie on it."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from video2emg.errors import UserError

AXES = ("data", "fsdp")


def make_mesh(fsdp: int = 1) -> jax.sharding.Mesh:
    """A mesh over all devices; `fsdp` of them share the parameters, the rest split the batch.

    Axis types are Auto: XLA places the collectives, so model code stays free of shardings.
    """
    count = jax.device_count()
    if count % fsdp:
        raise UserError(f"config.parallel.fsdp={fsdp} does not divide the {count} devices")
    return jax.make_mesh((count // fsdp, fsdp), AXES, axis_types=(AxisType.Auto,) * 2)


def check_batch(mesh: jax.sharding.Mesh, size: int, field: str) -> None:
    """Raises UserError unless a batch of `size`, set by the config's `field`, can be split."""
    if size % mesh.size:
        raise UserError(f"{field}={size} is not a multiple of the {mesh.size} devices")


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The batch axis is split over every device."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: jax.sharding.Mesh, shapes: Any, min_size: int = 2**18) -> Any:
    """Shards the largest divisible axis of every big leaf over `fsdp`; small ones are copied.

    Args:
      mesh: from `make_mesh`.
      shapes: pytree of things with a shape.
      min_size: elements below which the traffic would cost more than the copy.

    Returns:
      The same tree of `NamedSharding`.
    """
    parts = mesh.shape["fsdp"]

    def rule(leaf) -> NamedSharding:
        spec: list[str | None] = [None] * len(leaf.shape)
        if parts > 1 and np.prod(leaf.shape) >= min_size:
            for axis in np.argsort(leaf.shape)[::-1]:
                if leaf.shape[axis] % parts == 0:
                    spec[axis] = "fsdp"
                    break
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, shapes)


def put_batch(mesh: jax.sharding.Mesh, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """This process's examples → one global batch, split over the devices.

    The one deliberate host-to-device copy of the loop, so the transfer guard is lifted for it.
    """
    sharding = batch_sharding(mesh)
    with jax.transfer_guard("allow"):
        return {
            name: jax.make_array_from_process_local_data(sharding, np.asarray(value))
            for name, value in batch.items()
        }
