"""What can be said of a repetition: the tables of a knowledge graph, padded to rectangles.

Stands at the top level because data (labels), models (error queries) and evaluation all speak it.
Letters: A actions, P key steps of an action (padded), E (key step, error) pairs of one (padded).
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from video2emg import vocabulary
from video2emg.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rubric:
    """Actions with their key steps in order, and the errors that may occur in each.

    Hashable, so that it can be an attribute of a Linen module.

    Attributes:
      version: of the graph; labels made by one version mean nothing under another.
      actions: A names.
      steps: per action, its key steps in order.
      pairs: per action, its (key step, error) pairs.
      weights: per action, the penalty of each pair; positive.
    """

    version: str
    actions: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[tuple[str, str], ...], ...]
    weights: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        rows = zip(self.actions, self.steps, self.pairs, self.weights, strict=True)
        for action, steps, pairs, weights in rows:
            where = f"graph {self.version}, action {action!r}"
            if len(weights) != len(pairs):
                raise UserError(f"{where}: {len(weights)} weights for {len(pairs)} errors")
            if len(set(pairs)) < len(pairs):
                raise UserError(f"{where}: an error is listed twice at one key step")
            for (step, error), weight in zip(pairs, weights, strict=True):
                if step not in steps:
                    raise UserError(f"{where}: error {error!r} is at key step {step!r}, which the "
                                    f"action does not have ({', '.join(steps)})")  # fmt: skip
                if not weight > 0:
                    raise UserError(f"{where}: error {error!r} has weight {weight}, not positive")

    @functools.cached_property
    def step_names(self) -> tuple[str, ...]:
        """Distinct key steps of all actions."""
        return tuple(sorted({step for steps in self.steps for step in steps}))

    @functools.cached_property
    def error_names(self) -> tuple[str, ...]:
        """Distinct errors of all actions."""
        return tuple(sorted({error for pairs in self.pairs for _, error in pairs}))

    @functools.cached_property
    def step(self) -> Int[np.ndarray, "A P"]:
        """Place of each key step in `step_names`; 0 where `step_mask` is false."""
        return _table([[self.step_names.index(s) for s in steps] for steps in self.steps], np.int32)

    @functools.cached_property
    def step_mask(self) -> Bool[np.ndarray, "A P"]:
        """True where an action has that many key steps."""
        return _table([[True] * len(steps) for steps in self.steps], bool)

    @functools.cached_property
    def pair_step(self) -> Int[np.ndarray, "A E"]:
        """Key step of each pair, as a place in `step_names`."""
        return _table([[self.step_names.index(s) for s, _ in p] for p in self.pairs], np.int32)

    @functools.cached_property
    def pair_error(self) -> Int[np.ndarray, "A E"]:
        """Error of each pair, as a place in `error_names`."""
        return _table([[self.error_names.index(e) for _, e in p] for p in self.pairs], np.int32)

    @functools.cached_property
    def weight(self) -> Float[np.ndarray, "A E"]:
        """Penalty of each pair; 0 on padding."""
        return _table(self.weights, np.float32)

    @functools.cached_property
    def mirror(self) -> Int[np.ndarray, "A E"]:
        """Slot of each pair's mirror image: itself, unless the error's name has a side."""
        rows = []
        for action, pairs in zip(self.actions, self.pairs, strict=True):
            place = {pair: i for i, pair in enumerate(pairs)}
            try:
                rows.append([place[step, vocabulary.mirror(error)] for step, error in pairs])
            except KeyError as missing:
                raise UserError(
                    f"graph {self.version}, action {action!r}: {'/'.join(missing.args[0])} "
                    "is missing, the mirror image of an error with a side; add it, or set "
                    "augment.flip to 0"
                ) from None
        width = self.weight.shape[1]
        return np.array([row + list(range(len(row), width)) for row in rows], np.int32)


def _table(rows, dtype) -> np.ndarray:
    """Rows of unlike length as a rectangle, padded with zeros."""
    table = np.zeros((len(rows), max(map(len, rows))), dtype)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table
