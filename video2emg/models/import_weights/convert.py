"""Converts published tensors to a tree of our parameters."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.traverse_util
import numpy as np

from video2emg.core.errors import UserError
from video2emg.models.import_weights.files import read
from video2emg.models.import_weights.layouts import LAYOUTS, TRANSFORMS, Layout, Transform


def load(path: str | pathlib.Path, layout: str, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Reads parameters from a file.

    Args:
      path: see `files.read`.
      layout: a key of `LAYOUTS`.
      shapes: our parameters, or their shapes (`jax.eval_shape` of `init`).

    Returns:
      A tree with the structure of `shapes`, float32.

    Raises:
      UserError: an unknown layout, an unreadable file, or tensors that do not fit.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout of weights: {layout!r} is not one of {sorted(LAYOUTS)}")
    return convert(read(path), LAYOUTS[layout], shapes, str(path))


def convert(
    tensors: Mapping[str, np.ndarray],
    layout: Layout,
    shapes: Mapping[str, Any],
    source: str = "weights",
) -> dict[str, Any]:
    """Converts tensors by name.

    Args:
      tensors: of the file.
      layout: of the file.
      shapes: our parameters or their shapes.
      source: name of the file, for errors.

    Returns:
      A tree with the structure of `shapes`, float32.

    Raises:
      UserError: tensors without a rule, parameters with no or with two tensors, or shapes that
        differ; one error lists them all.
    """
    targets = {
        name: tuple(leaf.shape)
        for name, leaf in flax.traverse_util.flatten_dict(dict(shapes), sep="/").items()
    }
    params: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for name, tensor in layout.prepare(dict(tensors)).items():
        matches = [(rule, m) for rule in layout.rules if (m := re.fullmatch(rule.pattern, name))]
        if not matches:
            problems.append(f"{name} {tensor.shape} is not known")
        for rule, match in matches:
            if rule.target is None:
                continue
            target = match.expand(rule.target)
            if target not in targets:
                problems.append(f"{name} {tensor.shape} has no parameter {target} in the model")
            elif target in params:
                problems.append(f"{name} is a second tensor for {target}")
            else:
                shape = targets[target]
                value = _transform(tensor, TRANSFORMS[rule.transform], shape)
                if value is None:
                    problems.append(f"{name} {tensor.shape} does not fit {target} {shape}")
                params[target] = np.zeros(shape, np.float32) if value is None else value
    missing = sorted(targets.keys() - params.keys())
    problems += [f"{name} {targets[name]} is missing" for name in missing]
    if problems:
        raise UserError(f"{source}: {len(problems)} tensors do not fit: {'; '.join(problems)}")
    return flax.traverse_util.unflatten_dict(params, sep="/")


def _transform(
    tensor: np.ndarray, transform: Transform, shape: tuple[int, ...]
) -> np.ndarray | None:
    """The transformed tensor, None if it does not fit `shape`."""
    try:
        value = np.asarray(transform.function(tensor), np.float32)
    except (ValueError, IndexError):  # another number of axes
        return None
    if value.shape == shape:
        return value
    if transform.split and _splits_into(value.shape, shape):
        return value.reshape(shape)
    return None


def _splits_into(shape: Sequence[int], parts: Sequence[int]) -> bool:
    """Whether each axis of `shape` is the product of the next axes of `parts`."""
    parts = list(parts)
    for size in shape:
        product = 1
        while parts and product < size:
            product *= parts.pop(0)
        if product != size:
            return False
    return all(size == 1 for size in parts)
