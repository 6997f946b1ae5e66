"""A graph in other people's formats: networkx, GraphML, JSON-LD."""

from typing import Any

import networkx as nx

from video2emg.fkg.graph import Graph

# Edges of the network, and terms of the JSON-LD.
CONTAINS, MAY_OCCUR, CORRECTED_BY = "contains", "mayOccur", "correctedBy"
_LISTS = " | "  # GraphML has no lists


def to_networkx(graph: Graph) -> nx.MultiDiGraph:
    """Nodes named `kind:id` with their fields as attributes; edges with `kind`.

    `contains` has `order`; `mayOccur` has `weight` and `muscles`; `correctedBy` has `key_step`, on
    which it depends (and is there once for each). Fields that are unknown are left out.
    """
    network = nx.MultiDiGraph(name=graph.name, version=graph.version, source=graph.source)
    for tier in graph.tiers.values():
        network.graph[f"tier_{tier.id}"] = f"{tier.lowest}-{tier.highest}"
    for action in graph.actions.values():
        network.add_node(f"action:{action.id}", **_known(
            kind="Action", name=action.name, summary=action.summary, equipment=action.equipment,
            muscles=action.muscles, largest_penalty=action.largest_penalty))  # fmt: skip
    for step in graph.key_steps.values():
        network.add_node(f"step:{step.node}", **_known(
            kind="KeyStep", name=step.name, phase=step.phase, standard=step.standard))  # fmt: skip
    for error in graph.errors.values():
        network.add_node(f"error:{error.id}", **_known(
            kind="ErrorType", name=error.name, weight=error.weight, tier=error.tier,
            muscles=error.muscles, joints=error.joints, meaning=error.meaning,
            synonyms=error.synonyms))  # fmt: skip
    for id, text in graph.feedback.items():
        network.add_node(f"feedback:{id}", kind="Feedback", text=text)
    for action in graph.actions.values():
        for order, step in enumerate(action.steps):
            network.add_edge(
                f"action:{action.id}", f"step:{step.node}", CONTAINS, kind=CONTAINS, order=order
            )
    for step in graph.key_steps.values():
        for edge in step.errors:
            network.add_edge(
                f"step:{step.node}", f"error:{edge.error}", MAY_OCCUR,
                **_known(kind=MAY_OCCUR, weight=edge.weight, muscles=edge.muscles),
            )  # fmt: skip
            for id in edge.feedback:
                network.add_edge(
                    f"error:{edge.error}", f"feedback:{id}", f"{CORRECTED_BY} {step.node}",
                    kind=CORRECTED_BY, key_step=step.node,
                )  # fmt: skip
    return network


def to_graphml(graph: Graph) -> str:
    """GraphML, as yEd, Gephi and Cytoscape read it; lists are joined by ` | `."""
    return "\n".join(nx.generate_graphml(to_networkx(graph)))


def to_jsonld(graph: Graph) -> dict[str, Any]:
    """JSON-LD with its context inline; every id is a URN below `urn:fkg:<name>:<version>:`."""
    base = f"urn:fkg:{graph.name}:{graph.version}:"

    def link(kind: str, id: str) -> dict[str, str]:
        return {"@id": f"{kind}:{id}"}

    nodes: list[dict[str, Any]] = []
    for action in graph.actions.values():
        steps = {"@list": [link("step", step.node) for step in action.steps]}
        nodes.append(_fields("Action", "action", action.id, contains=steps, name=action.name,
            summary=action.summary, equipment=action.equipment, muscles=action.muscles,
            largestPenalty=action.largest_penalty))  # fmt: skip
    for step in graph.key_steps.values():
        occurs = []
        for edge in step.errors:
            occurs.append({"@type": "Occurrence", **_plain(
                of=link("error", edge.error), weight=edge.weight, muscles=edge.muscles,
                correctedBy=[link("feedback", id) for id in edge.feedback])})  # fmt: skip
        nodes.append(_fields("KeyStep", "step", step.node, name=step.name, phase=step.phase,
            standard=step.standard, mayOccur=occurs))  # fmt: skip
    for error in graph.errors.values():
        nodes.append(_fields("ErrorType", "error", error.id, name=error.name, weight=error.weight,
            tier=error.tier, muscles=error.muscles, joints=error.joints, meaning=error.meaning,
            synonyms=error.synonyms))  # fmt: skip
    for id, text in graph.feedback.items():
        nodes.append(_fields("Feedback", "feedback", id, text=text))
    context: dict[str, Any] = {"@vocab": "urn:fkg:terms:"}
    context |= {kind: f"{base}{kind}:" for kind in ("action", "step", "error", "feedback")}
    return {
        "@context": context,
        "@id": base.rstrip(":"),
        "@type": "FitnessKnowledgeGraph",
        **_plain(name=graph.name, version=graph.version, source=graph.source),
        "@graph": nodes,
    }


def _fields(type: str, kind: str, id: str, **values: Any) -> dict[str, Any]:
    return {"@id": f"{kind}:{id}", "@type": type, **_plain(**values)}


def _plain(**values: Any) -> dict[str, Any]:
    """Without what is unknown; tuples as lists."""
    kept = {key: value for key, value in values.items() if value not in (None, "", (), [])}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in kept.items()}


def _known(**values: Any) -> dict[str, Any]:
    """Attributes of a network: without what is unknown; lists joined."""
    return {
        key: _LISTS.join(v) if isinstance(v, list) else v for key, v in _plain(**values).items()
    }
