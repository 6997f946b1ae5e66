"""A Fitness Knowledge Graph: actions, their key steps, what may go wrong there, and what to do.

Action ──contains──▶ KeyStep ──may occur──▶ ErrorType ──corrected by──▶ Feedback, the last edge
depending on the key step. The layers make cycles impossible. See docs/fkg.md for the file format.
"""

import dataclasses
import typing
from collections.abc import Mapping

from video2emg.core.errors import UserError

Phase = typing.Literal["preparation", "concentric", "eccentric"]
PHASES: tuple[Phase, ...] = typing.get_args(Phase)


@dataclasses.dataclass(frozen=True)
class Tier:
    """How grave a kind of error is.

    Attributes:
      id: e.g. `joint_safety`.
      lowest, highest: weight of its errors.
    """

    id: str
    lowest: int
    highest: int


@dataclasses.dataclass(frozen=True)
class ErrorType:
    """A way to do something wrong.

    Attributes:
      id: stable.
      name: what people call it; empty where unknown.
      weight: penalty; None where unknown.
      tier: id of a tier; empty where unknown.
      muscles, joints: involved.
      meaning: what it looks like and why it matters.
      synonyms: other names.
    """

    id: str
    name: str = ""
    weight: int | None = None
    tier: str = ""
    muscles: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    meaning: str = ""
    synonyms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """A *may occur* edge with its *corrected by* edges.

    Attributes:
      error: id of the error type.
      weight: penalty at this key step: the edge's own, else the error type's.
      muscles: involved here: the edge's own, else the error type's.
      feedback: ids of what corrects the error at this key step.
    """

    error: str
    weight: int | None
    muscles: tuple[str, ...]
    feedback: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class KeyStep:
    """A part of an action that is judged by itself.

    Attributes:
      node: id in the whole graph: `id`, or `action/id` for one that belongs to a single action.
      id: as labels say it.
      name: what people call it.
      phase: preparation | concentric | eccentric.
      standard: how it is done well.
      errors: what may occur, in order.
    """

    node: str
    id: str
    phase: Phase
    name: str = ""
    standard: str = ""
    errors: tuple[Occurrence, ...] = ()


@dataclasses.dataclass(frozen=True)
class Action:
    """An exercise.

    Attributes:
      id: as labels say it.
      steps: in order.
      name, summary: what people call it, and what it is.
      equipment: e.g. `barbell`; empty where unknown.
      muscles: trained.
      largest_penalty: sum of the weights of all its errors; None where unknown.
    """

    id: str
    steps: tuple[KeyStep, ...]
    name: str = ""
    summary: str = ""
    equipment: str = ""
    muscles: tuple[str, ...] = ()
    largest_penalty: int | None = None

    @property
    def pairs(self) -> tuple[tuple[KeyStep, Occurrence], ...]:
        """Every (key step, error) that counts in the score, in order."""
        return tuple((step, edge) for step in self.steps for edge in step.errors)

    @property
    def penalties(self) -> tuple[int, ...]:
        """The weight of each of `pairs`.

        Raises:
          UserError: some are unknown.
        """
        weights = tuple(edge.weight for _, edge in self.pairs if edge.weight is not None)
        if len(weights) < len(self.pairs):
            count = len(self.pairs) - len(weights)
            raise UserError(f"{count} of the weights of {self.id!r} are unknown, so it cannot be "
                            "scored; docs/fkg.md says how to add them")  # fmt: skip
        return weights

    def step(self, id: str) -> KeyStep:
        """A key step by its id.

        Raises:
          UserError: the action has none of that name.
        """
        for step in self.steps:
            if step.id == id:
                return step
        raise UserError(f"{id!r} is not a key step of {self.id!r} "
                        f"({', '.join(s.id for s in self.steps)})")  # fmt: skip

    def occurrence(self, step: str, error: str) -> Occurrence:
        """What is known of an error at a key step.

        Raises:
          UserError: the action has no such key step, or the error is none of it.
        """
        edges = self.step(step).errors
        for edge in edges:
            if edge.error == error:
                return edge
        raise UserError(f"{error!r} is not an error of {step!r} in {self.id!r} "
                        f"({', '.join(e.error for e in edges) or 'it has none'})")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Graph:
    """A whole graph; made by `load`, which has checked it.

    Attributes:
      name, version: of the graph; labels name both (`label`).
      source: where its knowledge comes from.
      tiers, actions, errors, feedback: by id; feedback is text.
    """

    name: str
    version: str
    source: str
    tiers: Mapping[str, Tier]
    actions: Mapping[str, Action]
    errors: Mapping[str, ErrorType]
    feedback: Mapping[str, str]

    @property
    def label(self) -> str:
        """`name version`, by which labels say what they were made with."""
        return f"{self.name} {self.version}"

    @property
    def key_steps(self) -> dict[str, KeyStep]:
        """Distinct key steps of all actions, by node id."""
        return {s.node: s for action in self.actions.values() for s in action.steps}

    def action(self, id: str) -> Action:
        """An action by its id.

        Raises:
          UserError: there is none of that name.
        """
        if id not in self.actions:
            raise UserError(f"{id!r} is not an action of graph {self.label} "
                            f"({', '.join(self.actions)})")  # fmt: skip
        return self.actions[id]

    def actions_with(self, error: str) -> list[tuple[Action, KeyStep]]:
        """Where an error may occur."""
        return [
            (action, step)
            for action in self.actions.values()
            for step, edge in action.pairs
            if edge.error == error
        ]
