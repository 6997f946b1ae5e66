import json

import networkx as nx
import pytest
import rdflib

from tests.fkg.test_effects import GLUTEUS, KNEE
from tests.fkg.test_feedback import with_effects
from video2emg.fkg import export
from video2emg.fkg.load import load, shipped


@pytest.mark.parametrize("name", shipped())
def test_network_has_every_node_and_edge(name):
    graph = load(name)
    network = export.to_networkx(graph)
    kinds = [kind for *_, kind in network.edges(data="kind")]
    assert network.number_of_nodes() == sum(
        map(len, (graph.actions, graph.key_steps, graph.errors, graph.feedback))
    )
    assert kinds.count(export.CONTAINS) == sum(len(a.steps) for a in graph.actions.values())
    assert kinds.count(export.MAY_OCCUR) == sum(len(s.errors) for s in graph.key_steps.values())
    assert nx.is_directed_acyclic_graph(network)


def test_graphml_is_read_back():
    graph = load("gymsim")
    network = export.to_networkx(graph)
    again = nx.parse_graphml(export.to_graphml(graph), force_multigraph=True)
    assert dict(again.nodes(data=True)) == dict(network.nodes(data=True))
    assert sorted(map(str, again.edges(data="key_step"))) == sorted(
        map(str, network.edges(data="key_step"))
    )
    assert again.nodes["error:partial_depth"]["muscles"] == "vastus_lateralis | gluteus_maximus"


def test_effects_are_exported():
    graph = with_effects((KNEE, GLUTEUS))
    network = export.to_networkx(graph)
    ends = "step:barbell_squat/rise", "error:knees_caving", export.MAY_OCCUR
    text = network.edges[ends]["effects"]
    assert text.startswith("In simulated people, this raises the knee moment by 22 %")  # at 1
    nodes = {node["@id"]: node for node in export.to_jsonld(graph)["@graph"]}
    occurrences = nodes["step:barbell_squat/rise"][export.MAY_OCCUR]
    (written,) = [o for o in occurrences if o["of"]["@id"] == "error:knees_caving"]
    assert written["effects"] == text
    first, second = written["effect"]
    assert (first["change"], first["unit"], first["simulated"]) == (KNEE.change, "N·m", True)
    assert second["part"] == "gluteus_maximus" and second["severity"] == 0.8


def test_jsonld_means_the_same_to_an_independent_reader():
    graph = load("gymsim")
    text = json.dumps(export.to_jsonld(graph))
    triples = rdflib.Dataset(default_union=True).parse(data=text, format="json-ld")
    base, terms = "urn:fkg:gymsim:1.0:", "urn:fkg:terms:"
    advice = triples.query(
        f"""SELECT ?text WHERE {{
          <{base}action:barbell_squat> <{terms}contains>/
            <{"http://www.w3.org/1999/02/22-rdf-syntax-ns#"}rest>*/
            <{"http://www.w3.org/1999/02/22-rdf-syntax-ns#"}first> ?step .
          ?step <{terms}mayOccur> ?edge .
          ?edge <{terms}of> <{base}error:knees_caving> ; <{terms}correctedBy>/<{terms}text> ?text .
        }}"""
    )
    assert [str(row[0]) for row in advice] == [graph.feedback["knees_out"]]
