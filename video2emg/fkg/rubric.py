"""The tables of a knowledge graph, padded to rectangles.

Labels, error queries of models and evaluation use these tables. Letters: A actions, P key steps of
an action (padded), E (key step, error) pairs of an action (padded).
"""

import dataclasses
import functools
from collections.abc import Collection

import numpy as np
from jaxtyping import Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.fkg.graph import Graph


@dataclasses.dataclass(frozen=True)
class Rubric:
    """Actions with their key steps in order, and the errors that may occur in each.

    Hashable, so that it can be an attribute of a Linen module.

    Attributes:
      version: name and version of the graph; labels are valid for their own graph only.
      actions: A names.
      steps: per action, its key steps in order.
      pairs: per action, its (key step, error) pairs.
      weights: per action, the penalty of each pair; positive.
      tiers: per action, the tier of each pair; empty text if it has none.
    """

    version: str
    actions: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[tuple[str, str], ...], ...]
    weights: tuple[tuple[float, ...], ...]
    tiers: tuple[tuple[str, ...], ...]

    @classmethod
    def from_graph(cls, graph: Graph) -> "Rubric":
        """The tables of a graph.

        Raises:
          UserError: some weights of the graph are unknown.
        """
        actions = graph.actions.values()
        return cls(
            version=graph.label,
            actions=tuple(graph.actions),
            steps=tuple(tuple(step.id for step in action.steps) for action in actions),
            pairs=tuple(tuple((step.id, e.error) for step, e in a.pairs) for a in actions),
            weights=tuple(tuple(map(float, a.penalties)) for a in actions),
            tiers=tuple(tuple(graph.errors[e.error].tier for _, e in a.pairs) for a in actions),
        )

    def only(self, actions: Collection[str]) -> "Rubric":
        """The rubric of some of the actions, for a model that is trained on these only."""
        keep = [a for a, name in enumerate(self.actions) if name in actions]
        rows = {
            field: tuple(getattr(self, field)[a] for a in keep)
            for field in ("actions", "steps", "pairs", "weights", "tiers")
        }
        return dataclasses.replace(self, **rows)

    def __post_init__(self) -> None:
        rows = zip(self.actions, self.steps, self.pairs, self.weights, self.tiers, strict=True)
        for action, steps, pairs, weights, tiers in rows:
            where = f"graph {self.version}, action {action!r}"
            if not len(weights) == len(tiers) == len(pairs):
                raise UserError(
                    f"{where}: {len(weights)} weights and {len(tiers)} tiers for "
                    f"{len(pairs)} errors"
                )
            if len(set(pairs)) < len(pairs):
                raise UserError(f"{where}: an error is listed twice at one key step")
            for (step, error), weight in zip(pairs, weights, strict=True):
                if step not in steps:
                    raise UserError(
                        f"{where}: error {error!r} is at key step {step!r}, which the "
                        f"action does not have ({', '.join(steps)})"
                    )
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
        """Index of each key step in `step_names`; 0 on padding."""
        return _table([[self.step_names.index(s) for s in steps] for steps in self.steps], np.int32)

    @functools.cached_property
    def step_mask(self) -> Bool[np.ndarray, "A P"]:
        """True for key steps, false on padding."""
        return _table([[True] * len(steps) for steps in self.steps], bool)

    @functools.cached_property
    def pair_step(self) -> Int[np.ndarray, "A E"]:
        """Index of each pair's key step in `step_names`; 0 on padding."""
        return _table([[self.step_names.index(s) for s, _ in p] for p in self.pairs], np.int32)

    @functools.cached_property
    def pair_error(self) -> Int[np.ndarray, "A E"]:
        """Index of each pair's error in `error_names`; 0 on padding."""
        return _table([[self.error_names.index(e) for _, e in p] for p in self.pairs], np.int32)

    @functools.cached_property
    def step_position(self) -> Int[np.ndarray, "A E"]:
        """Index of each pair's key step among those of its action; -1 on padding."""
        rows = zip(self.steps, self.pairs, strict=True)
        return _table([[steps.index(s) for s, _ in pairs] for steps, pairs in rows], np.int32, -1)

    @functools.cached_property
    def tier_names(self) -> tuple[str, ...]:
        """Distinct tiers of all pairs, the one with the largest weight first."""
        largest: dict[str, float] = {}
        for tiers, weights in zip(self.tiers, self.weights, strict=True):
            for tier, weight in zip(tiers, weights, strict=True):
                largest[tier] = max(largest.get(tier, 0.0), weight)
        return tuple(sorted(largest, key=lambda tier: (-largest[tier], tier)))

    @functools.cached_property
    def pair_tier(self) -> Int[np.ndarray, "A E"]:
        """Index of each pair's tier in `tier_names`; -1 on padding."""
        return _table([[self.tier_names.index(t) for t in row] for row in self.tiers], np.int32, -1)

    @functools.cached_property
    def weight(self) -> Float[np.ndarray, "A E"]:
        """Penalty of each pair; 0 on padding."""
        return _table(self.weights, np.float32)

    @functools.cached_property
    def mirror(self) -> Int[np.ndarray, "A E"]:
        """Index of each pair's mirror image: the pair itself, unless the error has a side."""
        rows = []
        for action, pairs in zip(self.actions, self.pairs, strict=True):
            index = {pair: i for i, pair in enumerate(pairs)}
            try:
                rows.append([index[step, vocabulary.mirror(error)] for step, error in pairs])
            except KeyError as missing:
                raise UserError(
                    f"graph {self.version}, action {action!r}: {'/'.join(missing.args[0])} "
                    "is missing, the mirror image of an error with a side; add it, or set "
                    "augment.flip to 0"
                ) from None
        width = self.weight.shape[1]
        return np.array([row + list(range(len(row), width)) for row in rows], np.int32)


def _table(rows, dtype, padding: int = 0) -> np.ndarray:
    """Rows of different lengths as a padded rectangle."""
    table = np.full((len(rows), max(map(len, rows))), padding, dtype)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table
