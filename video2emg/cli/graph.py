"""Checks a knowledge graph, and writes it as pictures and in other formats."""

import dataclasses
from pathlib import Path

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      graph: name of a graph that comes with the package, or path of a YAML file.
      out: folder for a picture of every action, GraphML and JSON-LD.
    """

    graph: str = ""
    out: str = "runs/graph"


def run(options: Options) -> int:
    """Writes `<action>.png`, `<graph>.graphml` and `<graph>.jsonld`; returns the exit status."""
    if not options.graph:
        raise UserError("say which graph, e.g. --graph gymsim; see --help")
    from video2emg.core.files import write_json, write_text
    from video2emg.fkg import export
    from video2emg.fkg.load import load
    from video2emg.viz import knowledge

    graph = load(options.graph)
    folder = Path(options.out).expanduser()
    write_text(folder / f"{graph.name}.graphml", export.to_graphml(graph))
    write_json(folder / f"{graph.name}.jsonld", export.to_jsonld(graph))
    for action in graph.actions.values():
        knowledge.draw(graph, action, folder / f"{action.id}.png")
    pairs = sum(len(action.pairs) for action in graph.actions.values())
    unknown = sum(error.weight is None for error in graph.errors.values())
    print(
        f"{graph.label}: {len(graph.actions)} actions, {len(graph.key_steps)} key steps, "
        f"{len(graph.errors)} errors, {len(graph.feedback)} corrections, {pairs} penalties"
        + (f"; {unknown} weights unknown" if unknown else "")
    )
    print(f"{len(graph.actions)} pictures, GraphML and JSON-LD: {folder}")
    return 0
