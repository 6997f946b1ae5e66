"""Published tensors → a tree of our parameters, or one error that lists all that does not fit."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.traverse_util
import numpy as np

from video2emg.core.errors import UserError
from video2emg.models.import_weights.files import read
from video2emg.models.import_weights.layouts import HOW, LAYOUTS, Layout, Move


def load(path: str | pathlib.Path, layout: str, like: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a file.

    Args:
      path: see `files.read`.
      layout: of `LAYOUTS`.
      like: our parameters, or their shapes (`jax.eval_shape` of `init`).

    Returns:
      A tree like `like`, float32.

    Raises:
      UserError: an unknown layout, an unreadable file, or tensors that do not fit.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout of weights: {layout!r} is not one of {sorted(LAYOUTS)}")
    return convert(read(path), LAYOUTS[layout], like, str(path))


def convert(
    tensors: Mapping[str, np.ndarray],
    layout: Layout,
    like: Mapping[str, Any],
    where: str = "weights",
) -> dict[str, Any]:
    """Parameters out of tensors by name.

    Args:
      tensors: of the file.
      layout: which is which.
      like: our parameters or their shapes.
      where: named in errors.

    Returns:
      A tree like `like`, float32.

    Raises:
      UserError: listing every tensor that no rule knows, every parameter that got none or two, and
        every shape that differs.
    """
    wanted = {
        name: tuple(leaf.shape)
        for name, leaf in flax.traverse_util.flatten_dict(dict(like), sep="/").items()
    }
    found: dict[str, np.ndarray] = {}
    wrong: list[str] = []
    for name, tensor in layout.prepare(dict(tensors)).items():
        matches = [(rule, m) for rule in layout.rules if (m := re.fullmatch(rule.pattern, name))]
        if not matches:
            wrong.append(f"{name} {tensor.shape} is not known")
        for rule, match in matches:
            if rule.target is None:
                continue
            target = match.expand(rule.target)
            if target not in wanted:
                wrong.append(f"{name} {tensor.shape} has no place ({target}) in the model")
            elif target in found:
                wrong.append(f"{name} would fill {target} a second time")
            else:
                shape = wanted[target]
                value = _moved(tensor, HOW[rule.how], shape)
                if value is None:
                    wrong.append(f"{name} {tensor.shape} does not fit {target} {shape}")
                found[target] = np.zeros(shape, np.float32) if value is None else value
    wrong += [f"{name} {wanted[name]} is missing" for name in sorted(wanted.keys() - found.keys())]
    if wrong:
        raise UserError(f"{where}: {len(wrong)} tensors do not fit: {'; '.join(wrong)}")
    return flax.traverse_util.unflatten_dict(found, sep="/")


def _moved(tensor: np.ndarray, how: Move, shape: tuple[int, ...]) -> np.ndarray | None:
    """The tensor with its axes moved, None if it then has another shape."""
    try:
        value = np.asarray(how.move(tensor), np.float32)
    except (ValueError, IndexError):  # another number of axes
        return None
    if value.shape == shape:
        return value
    if how.cut and _cuts_into(value.shape, shape):
        return value.reshape(shape)
    return None


def _cuts_into(whole: Sequence[int], parts: Sequence[int]) -> bool:
    """Whether each axis of `whole` is the product of the next axes of `parts`."""
    parts = list(parts)
    for size in whole:
        product = 1
        while parts and product < size:
            product *= parts.pop(0)
        if product != size:
            return False
    return all(size == 1 for size in parts)
