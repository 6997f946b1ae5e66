"""The mesh of all devices, and how the state and the batches are sharded over it.

Axes: `data` splits the batch; `fsdp` splits the batch and the parameters; `tensor` splits the
matrices of transformer layers over devices that work on the same examples.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Int

from video2emg.core.errors import UserError

AXES = ("data", "fsdp")  # that split the batch
TENSOR = "tensor"

# The axis, counted from the last, along which parameters of transformer layers (models/blocks.py)
# are split over `tensor`, by the end of their path. Attention is split by heads and the MLP by its
# hidden features, so each needs only one sum over the devices (Megatron-LM, Shoeybi et al. 2019).
RULES = (
    (re.compile(r"/(query|key|value)/(kernel|bias)$"), -2),
    (re.compile(r"Attention_0/out/kernel$"), -3),
    (re.compile(r"MLP_0/Dense_0/(kernel|bias)$"), -1),
    (re.compile(r"MLP_0/Dense_1/kernel$"), -2),
)


def make_mesh(fsdp: int = 1, tensor: int = 1) -> jax.sharding.Mesh:
    """A mesh over all devices.

    Axis types are Auto: XLA places the collectives, so the models' code needs no shardings.

    Args:
      fsdp: number of devices that the parameters are split over.
      tensor: number of devices that each layer is split over.

    Raises:
      UserError: the numbers do not divide the number of devices.
    """
    count = jax.device_count()
    for name, size in (("fsdp", fsdp), ("tensor", tensor)):
        if size < 1 or count % size:
            raise UserError(f"config.parallel.{name}={size} does not divide the {count} devices")
    if count % (fsdp * tensor):
        raise UserError(
            f"config.parallel: fsdp={fsdp} × tensor={tensor} does not divide the {count} devices"
        )
    shape = (count // (fsdp * tensor), fsdp, tensor)
    return jax.make_mesh(shape, (*AXES, TENSOR), axis_types=(AxisType.Auto,) * 3)


def batch_parts(mesh: jax.sharding.Mesh) -> int:
    """Number of parts that a batch is split into."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def check_batch(mesh: jax.sharding.Mesh, size: int, field: str) -> None:
    """Raises UserError unless a batch of `size`, set by the config's `field`, can be split."""
    parts = batch_parts(mesh)
    if size % parts:
        unit = "devices" if parts == mesh.size else "groups of devices"
        raise UserError(f"{field}={size} is not a multiple of the {parts} {unit}")


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The batch axis is split over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: jax.sharding.Mesh, shapes: Any, min_size: int = 2**18) -> Any:
    """Shardings of parameters or of a training state.

    Large leaves of transformer layers are split over `tensor` by `RULES`. Of the remaining axes of
    a large leaf, the largest one that can be divided is split over `fsdp`. Small leaves are
    replicated. The optimiser's moments and the average have the same path ends as their parameters,
    so they are sharded alike.

    Args:
      mesh: from `make_mesh`.
      shapes: pytree of arrays or shapes.
      min_size: number of elements from which a leaf is large: communication costs more than copies
        of smaller ones. Biases are split like their kernels, whatever their size.

    Returns:
      The same tree of `NamedSharding`.
    """
    tensor = mesh.shape.get(TENSOR, 1)
    fsdp = mesh.shape["fsdp"]

    def rule(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        shape = leaf.shape
        spec: list[str | None] = [None] * len(shape)
        name = path_name(path)
        large = np.prod(shape) >= min_size
        for pattern, axis in RULES:
            fits = len(shape) >= -axis and shape[axis] % tensor == 0
            if tensor > 1 and pattern.search(name) and fits and (large or name.endswith("bias")):
                spec[axis] = TENSOR
        if fsdp > 1 and large:
            for axis in np.argsort(shape, kind="stable")[::-1]:
                if spec[axis] is None and shape[axis] % fsdp == 0:
                    spec[axis] = "fsdp"
                    break
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree_util.tree_map_with_path(rule, shapes)


def path_name(path: tuple[Any, ...]) -> str:
    """A leaf's path as `a/b/c`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def local_rows(mesh: jax.sharding.Mesh, size: int) -> Int[np.ndarray, " R"]:
    """Indices of the examples of a global batch of `size` that this process holds, ascending."""
    indices = batch_sharding(mesh).addressable_devices_indices_map((size,))
    rows = [np.arange(size)[index] for index in indices.values() if index is not None]
    return np.unique(np.concatenate(rows))


def put_batch(mesh: jax.sharding.Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Makes a global batch, split over the devices, from this process's rows.

    This is the only host-to-device copy of the training loop, so it disables the transfer guard.

    Args:
      mesh: the devices.
      batch: fields with the rows of `local_rows`, in that order. Fields whose names begin with an
        underscore are for the host and are left out.
    """
    batch = {name: x for name, x in batch.items() if not name.startswith("_")}
    sharding = batch_sharding(mesh)
    with jax.transfer_guard("allow"):
        if jax.process_count() == 1:
            return {name: jax.device_put(np.asarray(x), sharding) for name, x in batch.items()}
        parts, local = batch_parts(mesh), _local_parts(mesh)

        def put(x: np.ndarray) -> jax.Array:
            x = np.asarray(x)
            size = len(x) * parts // local
            rows = local_rows(mesh, size)

            def part(index: Any) -> np.ndarray:
                first = np.searchsorted(rows, index[0].start or 0)
                stop = index[0].stop if index[0].stop is not None else size
                return x[first : np.searchsorted(rows, stop)]

            return jax.make_array_from_callback((size, *x.shape[1:]), sharding, part)

        return {name: put(x) for name, x in batch.items()}


def _local_parts(mesh: jax.sharding.Mesh) -> int:
    return len(local_rows(mesh, batch_parts(mesh)))


def table(shapes: Any, sharding: Any) -> str:
    """A text table of every leaf's path, shape, spec and bytes per device, and their sum."""
    rows = []
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    for (path, leaf), leaf_sharding in zip(leaves, jax.tree.leaves(sharding), strict=True):
        itemsize = 8 if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf.dtype.itemsize
        size = int(np.prod(leaf_sharding.shard_shape(leaf.shape), dtype=np.int64)) * itemsize
        spec = ", ".join(str(axis or "·") for axis in leaf_sharding.spec)
        rows.append((path_name(path), "×".join(map(str, leaf.shape)) or "scalar", spec, size))
    total = sum(row[3] for row in rows)
    rows.append(("all", "", "", total))
    head = ("leaf", "shape", "spec", "bytes per device")
    text = [head, *((*row[:3], f"{row[3]:,}") for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in text
    )
