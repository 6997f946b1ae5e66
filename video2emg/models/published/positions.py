"""Position embeddings for token grids of another size than in pretraining."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resize(
    table: Float[Array, "*grid D"], shape: Sequence[int], method: str = "linear"
) -> Float[Array, "*grid2 D"]:
    """Resamples a table of embeddings along each axis of its grid.

    The centres of the cells are at (i + ½) / n, and borders are repeated. `cubic` is what
    `transformers` uses for ViT (a = -0.75), `linear` what CUBIST uses for VideoMAE.

    Args:
      table: one embedding per cell.
      shape: new number of cells per axis.
      method: `linear` or `cubic`.

    Raises:
      ValueError: an unknown method, or a grid with another number of axes.
    """
    if len(shape) != table.ndim - 1:
        raise ValueError(f"a grid of {table.ndim - 1} axes cannot become {tuple(shape)}")
    for axis, length in enumerate(shape):
        if table.shape[axis] != length:
            weights = jnp.asarray(_weights(table.shape[axis], length, method), table.dtype)
            table = jnp.moveaxis(jnp.tensordot(weights, table, axes=(1, axis)), 0, axis)
    return table


def _weights(old: int, new: int, method: str) -> Float[np.ndarray, "new old"]:
    """Weight of each old cell in each new cell."""
    kernels = {"linear": (_triangle, 1), "cubic": (_cubic, 2)}
    if method not in kernels:
        raise ValueError(f"method {method!r} is not one of {sorted(kernels)}")
    kernel, reach = kernels[method]
    position = (np.arange(new) + 0.5) * old / new - 0.5
    left = np.floor(position).astype(int)
    weights = np.zeros((new, old))
    for offset in range(1 - reach, reach + 1):
        cell = left + offset
        values = kernel(np.abs(position - cell))
        np.add.at(weights, (np.arange(new), np.clip(cell, 0, old - 1)), values)
    return weights


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(d: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Cubic convolution (Keys 1981)."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
