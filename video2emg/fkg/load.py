"""Reads a graph from YAML and checks it; docs/fkg.md describes the format."""

import dataclasses
import functools
import typing
from pathlib import Path

from video2emg.core.errors import UserError
from video2emg.fkg import effects as effect_tables
from video2emg.fkg import yaml_positions
from video2emg.fkg.graph import (
    PHASES,
    SHOWN_BY,
    Action,
    ErrorType,
    Graph,
    KeyStep,
    Occurrence,
    Phase,
    ShownBy,
    Tier,
)
from video2emg.fkg.yaml_positions import YamlValue

_SHIPPED = Path(__file__).parent / "graphs"
FORMAT = 1
_SECTIONS = ("tiers", "errors", "feedback", "key_steps", "actions")


def shipped() -> list[str]:
    """Names of the graphs that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def load(name: str | Path) -> Graph:
    """Loads a graph.

    Args:
      name: one of `shipped()`, or the path of a YAML file.

    Raises:
      UserError: with file, line and field of the first mistake.
    """
    return _load_shipped(str(name)) if str(name) in shipped() else _load(_path(name))


def _load(path: Path) -> Graph:
    return _Builder(_merged(path, ())).graph(path.resolve())


@functools.cache
def _load_shipped(name: str) -> Graph:
    """A graph of the package, which takes half a second to read."""
    return _load(_path(name))


def _path(name: str | Path) -> Path:
    if str(name) in shipped():
        return _SHIPPED / f"{name}.yaml"
    path = Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(
            f"graph {str(name)!r}: neither the path of a YAML file nor one of "
            f"{', '.join(shipped())}"
        )
    return path


def _merged(path: Path, extended_by: tuple[Path, ...]) -> YamlValue:
    """The contents of a file, merged into those of the file that it extends.

    Args:
      path: of the file.
      extended_by: files that extend this one, to detect cycles.
    """
    path = path.resolve()
    root = yaml_positions.read(path)
    optional = ("source", "extends", "effects", *_SECTIONS)
    fields = root.mapping(("format", "name", "version"), optional)
    version = fields["format"]
    if version.integer() != FORMAT:
        raise version.error(f"format {version.value} is unknown; this is {FORMAT}")
    if "effects" in fields:  # a list: those of the files that it extends come first
        tables = dataclasses.replace(fields["effects"], value=[fields["effects"]])
        root = dataclasses.replace(root, value=fields | {"effects": tables})
    extends = fields.get("extends")
    if extends is None:
        return root
    name = extends.text()
    base = _path(name if name in shipped() else path.parent / name)
    if base.resolve() in (*extended_by, path):
        chain = " → ".join(p.name for p in (*extended_by, path, base))
        raise extends.error(f"graphs extend each other in a circle: {chain}")
    below = _merged(base, (*extended_by, path))
    merged = _overlay(below, root)
    if "effects" in fields and "effects" in below.entries():
        tables = [*below.entries()["effects"].items(), *root.entries()["effects"].items()]
        entry = dataclasses.replace(fields["effects"], value=tables)
        merged = dataclasses.replace(merged, value=merged.entries() | {"effects": entry})
    return merged


def _overlay(base: YamlValue, top: YamlValue) -> YamlValue:
    """Values of `top` replace those of `base`; mappings are merged."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, value in top.value.items():
        merged[key] = _overlay(merged[key], value) if key in merged else value
    return dataclasses.replace(top, value=merged)


class _Builder:
    """Turns YAML into a `Graph`, and refuses what is inconsistent."""

    def __init__(self, root: YamlValue):
        self._root, self._fields = root, root.entries()
        self._used: set[str] = set()

    def graph(self, path: Path) -> Graph:
        """The graph of the file at `path`."""
        self._tiers = {key: self._tier(key, v) for key, v in self._section("tiers").items()}
        self._errors = {key: self._error(key, v) for key, v in self._section("errors").items()}
        self._feedback = {key: v.text() for key, v in self._section("feedback").items()}
        shared = {
            key: self._key_step(key, key, value)
            for key, value in self._section("key_steps").items()
        }
        actions = {key: self._action(key, v, shared) for key, v in self._section("actions").items()}
        if not actions:
            raise self._root.error("the graph has no actions")
        contained = {step.node for action in actions.values() for step in action.steps}
        for section, entries, used in (
            ("key_steps", self._section("key_steps"), contained),
            ("errors", self._section("errors"), self._used),
            ("feedback", self._section("feedback"), self._used),
        ):
            for key, value in entries.items():
                if key not in used:
                    raise value.error(f"nothing in the graph leads to this entry of {section}")
        return Graph(
            name=self._fields["name"].text(),
            version=self._fields["version"].text(),
            source=self._fields["source"].text() if "source" in self._fields else "",
            tiers=self._tiers,
            actions=self._with_effects(actions, path),
            errors=self._errors,
            feedback=self._feedback,
        )

    def _with_effects(self, actions: dict[str, Action], path: Path) -> dict[str, Action]:
        """The actions with the effects of their errors.

        Args:
          actions: without.
          path: of the graph. Its own tables must fit it; those of files that it extends may have
            edges that it has removed. The last table that knows an edge counts.
        """
        tables = self._fields["effects"].items() if "effects" in self._fields else []
        for table in tables:
            file = table.path.parent / table.text()
            for (action, step, error), (line, effects) in effect_tables.read(file).items():
                try:
                    if action not in actions:
                        raise UserError(f"{action!r} is not an action of the graph")
                    edge = actions[action].occurrence(step, error)
                    if actions[action].step(step).node == step:
                        raise UserError(f"key step {step!r} is shared by actions, effects are not")
                except UserError as mistake:
                    if table.path == path:
                        raise UserError(f"{file}, line {line}: {mistake}") from None
                    continue
                changed = dataclasses.replace(edge, effects=effects)
                actions = actions | {action: with_edge(actions[action], step, changed)}
        return actions

    def _section(self, name: str) -> dict[str, YamlValue]:
        return self._fields[name].entries() if name in self._fields else {}

    def _tier(self, key: str, entry: YamlValue) -> Tier:
        ends = [item.integer() for item in entry.items()]
        if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
            raise entry.error("expected [lowest, highest] weight, both positive")
        return Tier(key, *ends)

    def _error(self, key: str, entry: YamlValue) -> ErrorType:
        fields = entry.mapping(
            ("weight",), ("name", "tier", "muscles", "joints", "meaning", "synonyms", "shown_by")
        )
        tier = fields["tier"].text() if "tier" in fields else ""
        if tier and tier not in self._tiers:
            raise fields["tier"].error(f"unknown tier {tier!r}; known: {', '.join(self._tiers)}")
        shown_by = _text(fields, "shown_by") or "movement"
        if shown_by not in SHOWN_BY:
            raise fields["shown_by"].error(f"expected one of {', '.join(SHOWN_BY)}")
        return ErrorType(
            id=key,
            name=_text(fields, "name"),
            weight=self._weight(fields["weight"], tier),
            tier=tier,
            muscles=_texts(fields, "muscles"),
            joints=_texts(fields, "joints"),
            meaning=_text(fields, "meaning"),
            synonyms=_texts(fields, "synonyms"),
            shown_by=typing.cast(ShownBy, shown_by),
        )

    def _weight(self, entry: YamlValue, tier: str) -> int | None:
        """A weight; None if it is `unknown` because it has not been published."""
        if entry.value == "unknown":
            return None
        weight = entry.integer()
        if weight <= 0:
            raise entry.error(f"weight {weight} is not positive")
        if tier and not self._tiers[tier].lowest <= weight <= self._tiers[tier].highest:
            raise entry.error(
                f"weight {weight} is outside tier {tier!r}, "
                f"{self._tiers[tier].lowest} to {self._tiers[tier].highest}"
            )
        return weight

    def _key_step(self, node: str, key: str, entry: YamlValue) -> KeyStep:
        fields = entry.mapping(("phase",), ("name", "standard", "errors"))
        phase = fields["phase"].text()
        if phase not in PHASES:
            raise fields["phase"].error(f"unknown phase {phase!r}; known: {', '.join(PHASES)}")
        return KeyStep(
            node=node,
            id=key,
            phase=typing.cast(Phase, phase),
            name=_text(fields, "name"),
            standard=_text(fields, "standard"),
            errors=self._occurrences(fields["errors"]) if "errors" in fields else (),
        )

    def _occurrences(self, entry: YamlValue) -> tuple[Occurrence, ...]:
        """From a list of error ids, or a mapping from them to what differs at this key step."""
        if isinstance(entry.value, list):
            edges = dict(zip(entry.texts(), entry.items(), strict=True))
            return tuple(self._occurrence(key, edge, {}) for key, edge in edges.items())
        return tuple(
            self._occurrence(key, edge, edge.mapping((), ("weight", "muscles", "feedback")))
            for key, edge in entry.entries().items()
        )

    def _occurrence(self, key: str, entry: YamlValue, fields: dict[str, YamlValue]) -> Occurrence:
        if key not in self._errors:
            raise entry.error(f"unknown error {key!r}")
        error = self._errors[key]
        feedback = _texts(fields, "feedback")
        for text in feedback:
            if text not in self._feedback:
                raise fields["feedback"].error(f"unknown feedback {text!r}")
        self._used |= {key, *feedback}
        weight = fields.get("weight")
        return Occurrence(
            error=key,
            weight=error.weight if weight is None else self._weight(weight, error.tier),
            muscles=_texts(fields, "muscles") or error.muscles,
            feedback=feedback,
        )

    def _action(self, key: str, entry: YamlValue, shared: dict[str, KeyStep]) -> Action:
        fields = entry.mapping(
            ("steps",), ("name", "summary", "equipment", "muscles", "largest_penalty")
        )
        steps = self._action_steps(key, fields["steps"], shared)
        action = Action(
            id=key,
            steps=steps,
            name=_text(fields, "name"),
            summary=_text(fields, "summary"),
            equipment=_text(fields, "equipment"),
            muscles=_texts(fields, "muscles"),
            largest_penalty=_largest_penalty(fields.get("largest_penalty"), steps),
        )
        if not action.pairs:
            raise entry.error("no error may occur in any key step, so nothing can be scored")
        return action

    def _action_steps(
        self, action: str, entry: YamlValue, shared: dict[str, KeyStep]
    ) -> tuple[KeyStep, ...]:
        """From a list of shared key steps, or a mapping of the action's own ones."""
        if not isinstance(entry.value, list):
            return tuple(
                self._key_step(f"{action}/{step}", step, value)
                for step, value in entry.entries().items()
            )
        for step, item in zip(entry.texts(), entry.items(), strict=True):
            if step not in shared:
                raise item.error(f"unknown key step {step!r}")
        return tuple(shared[step] for step in entry.texts())


def with_edge(action: Action, step: str, edge: Occurrence) -> Action:
    """The action with one edge of a key step replaced."""
    steps = tuple(
        dataclasses.replace(
            s, errors=tuple(edge if old.error == edge.error else old for old in s.errors)
        )
        if s.id == step
        else s
        for s in action.steps
    )
    return dataclasses.replace(action, steps=steps)


def _largest_penalty(stated: YamlValue | None, steps: tuple[KeyStep, ...]) -> int | None:
    """The sum of all weights, or the number stated in the file, which must agree with it."""
    weights = [edge.weight for step in steps for edge in step.errors]
    known = [w for w in weights if w is not None]
    total = sum(known) if len(known) == len(weights) else None
    if stated is None:
        return total
    if total not in (None, stated.integer()):
        raise stated.error(f"the weights add up to {total}, not {stated.value}")
    if sum(known) > stated.integer() or stated.integer() <= 0:
        raise stated.error(f"{stated.value} is too small for the weights, {sum(known)} or more")
    return stated.integer()


def _text(fields: dict[str, YamlValue], key: str) -> str:
    return fields[key].text() if key in fields else ""


def _texts(fields: dict[str, YamlValue], key: str) -> tuple[str, ...]:
    return fields[key].texts() if key in fields else ()
