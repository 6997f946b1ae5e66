import json

import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.fkg.feedback import feedback
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric

GRAPH = load("gymsim")
RUBRIC = Rubric.of(GRAPH)


def say(**changes):
    """A squat with caving knees and, less surely, a lateral shift."""
    pairs = RUBRIC.pairs[RUBRIC.actions.index("barbell_squat")]
    probability, extent = np.zeros(7), np.zeros(7)
    for error, p, s in (("knees_caving", 0.9, 0.8), ("lateral_shift", 0.6, 0.5)):
        probability[pairs.index(("rise", error))] = p
        extent[pairs.index(("rise", error))] = p * s
    fields = dict(graph=GRAPH, clip_id="c1", action="barbell_squat", score=79.3,
                  probability=probability, extent=extent, boundary=np.array([0, 0.4, 1.9, np.nan]),
                  end=3.2, threshold=0.5)  # fmt: skip
    return feedback(**fields | changes)


def test_largest_loss_first_with_everything_one_needs():
    said = say()
    first, second = said.findings
    assert (first.step, first.error) == ("rise", "knees_caving")
    assert (first.start, first.end) == (1.9, 3.2) and first.phase == "concentric"
    assert first.severity == pytest.approx(0.8)
    assert first.penalty == pytest.approx(100 * 8 * 0.72 / 38)
    assert first.tier == "core_stability" and "gluteus_maximus" in first.muscles
    assert first.advice == (GRAPH.feedback["knees_out"],)
    assert second.error == "lateral_shift" and second.muscles == ("vastus_lateralis",)
    assert [f.error for f in say(threshold=0.7).findings] == ["knees_caving"]


def test_as_text_and_as_json():
    text = say().to_text()
    assert text.startswith(
        "Barbell back squat: 79 of 100\n1. Knees fall inwards (rise from 1.9 s; 90%"
    )
    assert GRAPH.feedback["knees_out"] in text
    written = json.loads(json.dumps(say().to_json()))
    assert written["format"] == 1 and written["graph"] == "gymsim 1.0"
    assert written["findings"][0]["error"] == "knees_caving"
    assert say(threshold=1.1).to_text() == "Barbell back squat: 79 of 100\nNo error found."


def test_an_unknown_moment_is_not_invented():
    found = say(boundary=np.full(3, np.nan)).findings[0]
    assert found.start is None and "(rise; 90%" in say(boundary=np.full(3, np.nan)).to_text()


def test_what_the_graph_does_not_know_is_refused():
    with pytest.raises(UserError, match="'jump' is not an action"):
        say(action="jump")
    with pytest.raises(UserError, match="weights of 'A16' are unknown, so it cannot be scored"):
        say(graph=load("flex_topology"), action="A16", boundary=np.zeros(4))
