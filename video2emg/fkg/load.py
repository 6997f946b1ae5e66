"""Reads a graph from YAML and checks it; docs/fkg.md describes the format."""

import dataclasses
from pathlib import Path

from video2emg.core.errors import UserError
from video2emg.fkg import located
from video2emg.fkg.graph import (
    PHASES,
    Action,
    ErrorType,
    Graph,
    KeyStep,
    Occurrence,
    Phase,
    Tier,
)
from video2emg.fkg.located import Located

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
    return _Builder(_merged(_find(name), ())).graph()


def _find(name: str | Path) -> Path:
    if str(name) in shipped():
        return _SHIPPED / f"{name}.yaml"
    path = Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"graph {str(name)!r}: neither the path of a YAML file nor one of "
                        f"{', '.join(shipped())}")  # fmt: skip
    return path


def _merged(path: Path, behind: tuple[Path, ...]) -> Located:
    """A file laid over the one that it extends."""
    path = path.resolve()
    root = located.read(path)
    fields = root.mapping(("format", "name", "version"), ("source", "extends", *_SECTIONS))
    if fields["format"].whole() != FORMAT:
        raise fields["format"].fail(f"format {fields['format'].value} is unknown; this is {FORMAT}")
    extends = fields.get("extends")
    if extends is None:
        return root
    name = extends.text()
    base = _find(name if name in shipped() else path.parent / name)
    if base.resolve() in (*behind, path):
        chain = " → ".join(p.name for p in (*behind, path, base))
        raise extends.fail(f"graphs extend each other in a circle: {chain}")
    return _overlay(_merged(base, (*behind, path)), root)


def _overlay(base: Located, top: Located) -> Located:
    """Entries of `top` replace those of `base`; mappings are merged."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, value in top.value.items():
        merged[key] = _overlay(merged[key], value) if key in merged else value
    return dataclasses.replace(top, value=merged)


class _Builder:
    """Turns located YAML into a `Graph`, refusing what does not fit together."""

    def __init__(self, root: Located):
        self._root, self._fields = root, root.entries()
        self._used: set[str] = set()

    def graph(self) -> Graph:
        self._tiers = {key: self._tier(key, v) for key, v in self._section("tiers").items()}
        self._errors = {key: self._error(key, v) for key, v in self._section("errors").items()}
        self._feedback = {key: v.text() for key, v in self._section("feedback").items()}
        shared = {
            key: self._key_step(key, key, value)
            for key, value in self._section("key_steps").items()
        }
        actions = {key: self._action(key, v, shared) for key, v in self._section("actions").items()}
        if not actions:
            raise self._root.fail("the graph has no actions")
        contained = {step.node for action in actions.values() for step in action.steps}
        for kind, everything, used in (
            ("key_steps", self._section("key_steps"), contained),
            ("errors", self._section("errors"), self._used),
            ("feedback", self._section("feedback"), self._used),
        ):
            for key, value in everything.items():
                if key not in used:
                    raise value.fail(f"nothing in the graph leads to this entry of {kind}")
        return Graph(
            name=self._fields["name"].text(),
            version=self._fields["version"].text(),
            source=self._fields["source"].text() if "source" in self._fields else "",
            tiers=self._tiers,
            actions=actions,
            errors=self._errors,
            feedback=self._feedback,
        )

    def _section(self, name: str) -> dict[str, Located]:
        return self._fields[name].entries() if name in self._fields else {}

    def _tier(self, key: str, at: Located) -> Tier:
        ends = [item.whole() for item in at.items()]
        if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
            raise at.fail("expected [lowest, highest] weight, both positive")
        return Tier(key, *ends)

    def _error(self, key: str, at: Located) -> ErrorType:
        fields = at.mapping(
            ("weight",), ("name", "tier", "muscles", "joints", "meaning", "synonyms")
        )
        tier = fields["tier"].text() if "tier" in fields else ""
        if tier and tier not in self._tiers:
            raise fields["tier"].fail(f"unknown tier {tier!r}; known: {', '.join(self._tiers)}")
        return ErrorType(
            id=key,
            name=_text(fields, "name"),
            weight=self._weight(fields["weight"], tier),
            tier=tier,
            muscles=_texts(fields, "muscles"),
            joints=_texts(fields, "joints"),
            meaning=_text(fields, "meaning"),
            synonyms=_texts(fields, "synonyms"),
        )

    def _weight(self, at: Located, tier: str) -> int | None:
        """A weight; `unknown` for one that nobody has published."""
        if at.value == "unknown":
            return None
        weight = at.whole()
        if weight <= 0:
            raise at.fail(f"weight {weight} is not positive")
        if tier and not self._tiers[tier].lowest <= weight <= self._tiers[tier].highest:
            raise at.fail(f"weight {weight} is outside tier {tier!r}, "
                          f"{self._tiers[tier].lowest} to {self._tiers[tier].highest}")  # fmt: skip
        return weight

    def _key_step(self, node: str, key: str, at: Located) -> KeyStep:
        fields = at.mapping(("phase",), ("name", "standard", "errors"))
        phase = fields["phase"].text()
        if phase not in PHASES:
            raise fields["phase"].fail(f"unknown phase {phase!r}; known: {', '.join(PHASES)}")
        return KeyStep(
            node=node,
            id=key,
            phase=_phase(phase),
            name=_text(fields, "name"),
            standard=_text(fields, "standard"),
            errors=self._occurrences(fields["errors"]) if "errors" in fields else (),
        )

    def _occurrences(self, at: Located) -> tuple[Occurrence, ...]:
        """A list of error ids, or a mapping from them to what is special at this key step."""
        if isinstance(at.value, list):
            edges = dict(zip(at.texts(), at.items(), strict=True))
            return tuple(self._occurrence(key, edge, {}) for key, edge in edges.items())
        return tuple(
            self._occurrence(key, edge, edge.mapping((), ("weight", "muscles", "feedback")))
            for key, edge in at.entries().items()
        )

    def _occurrence(self, key: str, at: Located, fields: dict[str, Located]) -> Occurrence:
        if key not in self._errors:
            raise at.fail(f"unknown error {key!r}")
        error = self._errors[key]
        feedback = _texts(fields, "feedback")
        for text in feedback:
            if text not in self._feedback:
                raise fields["feedback"].fail(f"unknown feedback {text!r}")
        self._used |= {key, *feedback}
        own = fields.get("weight")
        return Occurrence(
            error=key,
            weight=error.weight if own is None else self._weight(own, error.tier),
            muscles=_texts(fields, "muscles") or error.muscles,
            feedback=feedback,
        )

    def _action(self, key: str, at: Located, shared: dict[str, KeyStep]) -> Action:
        fields = at.mapping(
            ("steps",), ("name", "summary", "equipment", "muscles", "largest_penalty")
        )
        steps = fields["steps"]
        if isinstance(steps.value, list):
            for step, item in zip(steps.texts(), steps.items(), strict=True):
                if step not in shared:
                    raise item.fail(f"unknown key step {step!r}")
            found = tuple(shared[step] for step in steps.texts())
        else:
            found = tuple(
                self._key_step(f"{key}/{step}", step, value)
                for step, value in steps.entries().items()
            )
        action = Action(
            id=key,
            steps=found,
            name=_text(fields, "name"),
            summary=_text(fields, "summary"),
            equipment=_text(fields, "equipment"),
            muscles=_texts(fields, "muscles"),
            largest_penalty=_largest(fields.get("largest_penalty"), found),
        )
        if not action.pairs:
            raise at.fail("no error may occur in any key step, so nothing can be scored")
        return action


def _largest(stated: Located | None, steps: tuple[KeyStep, ...]) -> int | None:
    """The sum of all weights, which must be what the file says, if it says so."""
    weights = [edge.weight for step in steps for edge in step.errors]
    known = [w for w in weights if w is not None]
    total = sum(known) if len(known) == len(weights) else None
    if stated is None:
        return total
    if total not in (None, stated.whole()):
        raise stated.fail(f"the weights add up to {total}, not {stated.value}")
    if sum(known) > stated.whole() or stated.whole() <= 0:
        raise stated.fail(f"{stated.value} is too small for the weights, {sum(known)} or more")
    return stated.whole()


def _phase(text: str) -> Phase:
    return PHASES[[*PHASES].index(text)]  # pyright: ignore[reportArgumentType]


def _text(fields: dict[str, Located], key: str) -> str:
    return fields[key].text() if key in fields else ""


def _texts(fields: dict[str, Located], key: str) -> tuple[str, ...]:
    return fields[key].texts() if key in fields else ()
