import dataclasses
import json

import numpy as np
import pytest

from tests.fkg.test_effects import ARMS, GLUTEUS, KNEE
from video2emg.core.errors import UserError
from video2emg.fkg.feedback import feedback
from video2emg.fkg.load import load, with_edge
from video2emg.fkg.rubric import Rubric

GRAPH = load("gymsim")
RUBRIC = Rubric.from_graph(GRAPH)


def make_feedback(**changes):
    """A squat with caving knees and, less probable, a lateral shift."""
    pairs = RUBRIC.pairs[RUBRIC.actions.index("barbell_squat")]
    probability, expected_severity = np.zeros(7), np.zeros(7)
    for error, p, s in (("knees_caving", 0.9, 0.8), ("lateral_shift", 0.6, 0.5)):
        probability[pairs.index(("rise", error))] = p
        expected_severity[pairs.index(("rise", error))] = p * s
    fields = dict(
        graph=GRAPH,
        clip_id="c1",
        action="barbell_squat",
        score=79.3,
        probability=probability,
        expected_severity=expected_severity,
        boundary=np.array([0, 0.4, 1.9, np.nan]),
        end=3.2,
        threshold=0.5,
    )
    return feedback(**fields | changes)


def test_findings_are_complete_and_ordered_by_penalty():
    first, second = make_feedback().findings
    assert (first.step, first.error) == ("rise", "knees_caving")
    assert (first.start, first.end) == (1.9, 3.2) and first.phase == "concentric"
    assert first.severity == pytest.approx(0.8)
    assert first.penalty == pytest.approx(100 * 8 * 0.72 / 38)
    assert first.tier == "core_stability" and "gluteus_maximus" in first.muscles
    assert first.advice == (GRAPH.feedback["knees_out"],)
    assert second.error == "lateral_shift" and second.muscles == ("vastus_lateralis",)
    assert [f.error for f in make_feedback(threshold=0.7).findings] == ["knees_caving"]


def test_as_text_and_as_json():
    text = make_feedback().to_text()
    assert text.startswith(
        "Barbell back squat: 79 of 100\n1. Knees fall inwards (rise from 1.9 s; 90%"
    )
    assert GRAPH.feedback["knees_out"] in text
    written = json.loads(json.dumps(make_feedback().to_json()))
    assert written["format"] == 2 and written["graph"] == "gymsim 1.0"
    assert written["findings"][0]["error"] == "knees_caving"
    assert (
        make_feedback(threshold=1.1).to_text() == "Barbell back squat: 79 of 100\nNo error found."
    )


def with_effects(effects):
    """The graph whose caving knees have these effects."""
    squat = GRAPH.action("barbell_squat")
    edge = dataclasses.replace(squat.occurrence("rise", "knees_caving"), effects=effects)
    action = with_edge(squat, "rise", edge)
    return dataclasses.replace(GRAPH, actions={**GRAPH.actions, action.id: action})


def test_a_finding_has_its_largest_effects_at_its_severity():
    graph = with_effects((ARMS, GLUTEUS, KNEE))
    result = make_feedback(graph=graph, threshold=0.7)
    (finding,) = result.findings
    assert finding.severity == pytest.approx(0.8)  # that at which the effects were measured
    assert [e.part for e in finding.effects] == ["knee", "biceps_brachii", "gluteus_maximus"]
    half = make_feedback(graph=graph, threshold=0.7, expected_severity=np.full(7, 0.9 * 0.4))
    assert half.findings[0].effects[0].change == pytest.approx(9.0)
    assert "this raises the knee moment by 18 % (12 to 24) and the left-right" in result.to_text()
    assert "this raises the knee moment by 9 % (6 to 12)" in half.to_text()
    (written,) = json.loads(json.dumps(result.to_json()))["findings"]
    first = written["effects"][0]
    assert (first["kind"], first["unit"], first["simulated"]) == ("moment", "N·m", True)


def test_an_error_without_effects_is_a_matter_of_style():
    (finding,) = make_feedback(graph=with_effects(()), threshold=0.7).findings
    assert finding.effects == () and finding.effects_text.endswith("a matter of style.")
    (finding,) = make_feedback(graph=with_effects(None), threshold=0.7).findings
    assert finding.effects is None and finding.effects_text == ""


def test_an_unknown_start_is_left_out():
    result = make_feedback(boundary=np.full(3, np.nan))
    assert result.findings[0].start is None and "(rise; 90%" in result.to_text()


def test_unknown_actions_and_weights_are_refused():
    with pytest.raises(UserError, match="'jump' is not an action"):
        make_feedback(action="jump")
    with pytest.raises(UserError, match="weights of 'A16' are unknown, so it cannot be scored"):
        make_feedback(graph=load("flex_topology"), action="A16", boundary=np.zeros(4))
