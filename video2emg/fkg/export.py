"""Exports a graph as networkx, GraphML or JSON-LD."""

import dataclasses
from typing import Any

import networkx as nx

from video2emg.fkg.effects import UNITS, Effect, largest, to_text
from video2emg.fkg.graph import Action, ErrorType, Graph, KeyStep, Occurrence

# Edges of the network, and terms of the JSON-LD.
CONTAINS, MAY_OCCUR, CORRECTED_BY = "contains", "mayOccur", "correctedBy"
_LISTS = " | "  # GraphML has no lists
# Fields that both formats share, by class.
_FIELDS = {
    Action: ("name", "summary", "equipment", "muscles"),
    KeyStep: ("name", "phase", "standard"),
    ErrorType: ("name", "weight", "tier", "muscles", "joints", "meaning", "synonyms", "shown_by"),
    Occurrence: ("weight", "muscles"),
}


def to_networkx(graph: Graph) -> nx.MultiDiGraph:
    """Nodes named `kind:id` with their fields as attributes; edges with `kind`.

    `contains` edges have `order`; `mayOccur` edges have `weight`, `muscles` and `effects`, the
    sentence of `effects.to_text` with the largest effects at full severity; there is one
    `correctedBy` edge per key step, with `key_step`. Unknown fields are left out.
    """
    network = nx.MultiDiGraph(name=graph.name, version=graph.version, source=graph.source)
    for tier in graph.tiers.values():
        network.graph[f"tier_{tier.id}"] = f"{tier.lowest}-{tier.highest}"
    for action in graph.actions.values():
        fields = _joined(_fields(action) | _known(largest_penalty=action.largest_penalty))
        network.add_node(f"action:{action.id}", kind="Action", **fields)
    for step in graph.key_steps.values():
        network.add_node(f"step:{step.node}", kind="KeyStep", **_joined(_fields(step)))
    for error in graph.errors.values():
        network.add_node(f"error:{error.id}", kind="ErrorType", **_joined(_fields(error)))
    for id, text in graph.feedback.items():
        network.add_node(f"feedback:{id}", kind="Feedback", text=text)
    for action in graph.actions.values():
        for order, step in enumerate(action.steps):
            ends = f"action:{action.id}", f"step:{step.node}"
            network.add_edge(*ends, CONTAINS, kind=CONTAINS, order=order)
    for step in graph.key_steps.values():
        for edge in step.errors:
            ends = f"step:{step.node}", f"error:{edge.error}"
            fields = _joined(_fields(edge) | _known(effects=_sentence(edge)))
            network.add_edge(*ends, MAY_OCCUR, kind=MAY_OCCUR, **fields)
            for id in edge.feedback:
                ends = f"error:{edge.error}", f"feedback:{id}"
                key = f"{CORRECTED_BY} {step.node}"
                network.add_edge(*ends, key, kind=CORRECTED_BY, key_step=step.node)
    return network


def to_graphml(graph: Graph) -> str:
    """GraphML for yEd, Gephi and Cytoscape; lists are joined by ` | `."""
    return "\n".join(nx.generate_graphml(to_networkx(graph)))


def to_jsonld(graph: Graph) -> dict[str, Any]:
    """JSON-LD with its context inline; every id is a URN below `urn:fkg:<name>:<version>:`."""
    base = f"urn:fkg:{graph.name}:{graph.version}:"
    nodes: list[dict[str, Any]] = []
    for action in graph.actions.values():
        steps = {"@list": [_link("step", step.node) for step in action.steps]}
        nodes.append(
            _link("action", action.id)
            | {"@type": "Action", CONTAINS: steps}
            | _fields(action)
            | _known(largestPenalty=action.largest_penalty)
        )
    for step in graph.key_steps.values():
        occurrences = [_occurrence(edge) for edge in step.errors]
        nodes.append(
            _link("step", step.node)
            | {"@type": "KeyStep"}
            | _fields(step)
            | _known(**{MAY_OCCUR: occurrences})
        )
    for error in graph.errors.values():
        nodes.append(_link("error", error.id) | {"@type": "ErrorType"} | _fields(error))
    for id, text in graph.feedback.items():
        nodes.append(_link("feedback", id) | {"@type": "Feedback"} | _known(text=text))
    context: dict[str, Any] = {"@vocab": "urn:fkg:terms:"}
    context |= {kind: f"{base}{kind}:" for kind in ("action", "step", "error", "feedback")}
    return {
        "@context": context,
        "@id": base.rstrip(":"),
        "@type": "FitnessKnowledgeGraph",
        **_known(name=graph.name, version=graph.version, source=graph.source),
        "@graph": nodes,
    }


def _occurrence(edge: Occurrence) -> dict[str, Any]:
    """A `mayOccur` edge of the JSON-LD."""
    corrections = [_link("feedback", id) for id in edge.feedback]
    return (
        {"@type": "Occurrence", "of": _link("error", edge.error)}
        | _fields(edge)
        | _known(**{CORRECTED_BY: corrections}, effects=_sentence(edge))
        | _known(effect=[_effect(effect) for effect in edge.effects or ()])
    )


def _sentence(edge: Occurrence) -> str:
    """The largest effects at full severity, for people."""
    return to_text(edge.effects and [e.at(1.0) for e in largest(edge.effects)])


def _effect(effect: Effect) -> dict[str, Any]:
    """An effect of the JSON-LD."""
    unit = {"unit": UNITS[effect.kind], "simulated": True}
    return {"@type": "Effect"} | unit | _known(**dataclasses.asdict(effect))


def _link(kind: str, id: str) -> dict[str, Any]:
    return {"@id": f"{kind}:{id}"}


def _fields(node: Action | KeyStep | ErrorType | Occurrence) -> dict[str, Any]:
    """The shared fields of a node or edge, if known; lists are lists."""
    return _known(**{name: getattr(node, name) for name in _FIELDS[type(node)]})


def _known(**values: Any) -> dict[str, Any]:
    """Known values only; tuples as lists."""
    known = {key: value for key, value in values.items() if value not in (None, "", (), [])}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in known.items()}


def _joined(values: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a network, with joined lists."""
    return {key: _LISTS.join(v) if isinstance(v, list) else v for key, v in values.items()}
