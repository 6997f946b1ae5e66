"""A Fitness Knowledge Graph: actions, their key steps, possible errors, and corrections.

Action ──contains──▶ KeyStep ──may occur──▶ ErrorType ──corrected by──▶ Feedback. The correction
depends on the key step. The layers make cycles impossible. docs/fkg.md describes the file format.
"""

import dataclasses
import typing
from collections.abc import Mapping

from video2emg.core.errors import UserError
from video2emg.fkg.effects import Effect

Phase = typing.Literal["preparation", "concentric", "eccentric"]
PHASES: tuple[Phase, ...] = typing.get_args(Phase)
ShownBy = typing.Literal["movement", "muscles"]
SHOWN_BY: tuple[ShownBy, ...] = typing.get_args(ShownBy)


@dataclasses.dataclass(frozen=True)
class Tier:
    """A class of errors by their gravity.

    Attributes:
      id: e.g. `joint_safety`.
      lowest, highest: limits of the weights of its errors.
    """

    id: str
    lowest: int
    highest: int


@dataclasses.dataclass(frozen=True)
class ErrorType:
    """An error of technique.

    Attributes:
      id: stable.
      name: for people; empty if unknown.
      weight: penalty; None if unknown.
      tier: id of a tier; empty if unknown.
      muscles, joints: involved.
      meaning: what the error looks like and why it matters.
      synonyms: other names.
      shown_by: where it can be seen: `muscles` if the movement is the same without it.
    """

    id: str
    name: str = ""
    weight: int | None = None
    tier: str = ""
    muscles: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    meaning: str = ""
    synonyms: tuple[str, ...] = ()
    shown_by: ShownBy = "movement"


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """A *may occur* edge with its *corrected by* edges.

    Attributes:
      error: id of the error type.
      weight: penalty at this key step; by default that of the error type.
      muscles: involved at this key step; by default those of the error type.
      feedback: ids of the corrections at this key step.
      effects: what it changes in simulated people; empty if nothing that is worth naming; None if
        it was not measured.
    """

    error: str
    weight: int | None
    muscles: tuple[str, ...]
    feedback: tuple[str, ...]
    effects: tuple[Effect, ...] | None = None


@dataclasses.dataclass(frozen=True)
class KeyStep:
    """A part of an action that is judged separately.

    Attributes:
      node: id in the whole graph: `id`, or `action/id` if the step belongs to a single action.
      id: as in labels.
      phase: preparation | concentric | eccentric.
      name: for people.
      standard: correct execution.
      errors: errors that may occur, in order.
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
      id: as in labels.
      steps: key steps, in order.
      name, summary: for people.
      equipment: e.g. `barbell`; empty if unknown.
      muscles: trained muscles.
      largest_penalty: sum of the weights of all errors; None if unknown.
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
        """Every (key step, error) pair of the score, in order."""
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
            raise UserError(
                f"{count} of the weights of {self.id!r} are unknown, so it cannot be "
                "scored; docs/fkg.md says how to add them"
            )
        return weights

    def step(self, id: str) -> KeyStep:
        """A key step by its id.

        Raises:
          UserError: the action has no such key step.
        """
        for step in self.steps:
            if step.id == id:
                return step
        steps = ", ".join(step.id for step in self.steps)
        raise UserError(f"{id!r} is not a key step of {self.id!r} ({steps})")

    def occurrence(self, step: str, error: str) -> Occurrence:
        """The edge from a key step to an error.

        Raises:
          UserError: the action has no such key step, or the error cannot occur there.
        """
        edges = self.step(step).errors
        for edge in edges:
            if edge.error == error:
                return edge
        errors = ", ".join(edge.error for edge in edges) or "it has none"
        raise UserError(f"{error!r} is not an error of {step!r} in {self.id!r} ({errors})")


@dataclasses.dataclass(frozen=True)
class Graph:
    """A whole graph, loaded and checked by `load`.

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
        """`name version`; labels store it, to name the graph that they belong to."""
        return f"{self.name} {self.version}"

    @property
    def key_steps(self) -> dict[str, KeyStep]:
        """Distinct key steps of all actions, by node id."""
        return {s.node: s for action in self.actions.values() for s in action.steps}

    def action(self, id: str) -> Action:
        """An action by its id.

        Raises:
          UserError: the graph has no such action.
        """
        if id not in self.actions:
            actions = ", ".join(self.actions)
            raise UserError(f"{id!r} is not an action of graph {self.label} ({actions})")
        return self.actions[id]

    def actions_with(self, error: str) -> list[tuple[Action, KeyStep]]:
        """All (action, key step) where an error may occur."""
        return [
            (action, step)
            for action in self.actions.values()
            for step, edge in action.pairs
            if edge.error == error
        ]
