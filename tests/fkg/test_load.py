import pathlib
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import shared
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.fkg.load import load, shipped
from video2emg.sim.exercises import EXERCISES

SMALL = """\
format: 1
name: small
version: "2"
tiers: {grave: [9, 10]}
errors:
  tilt: {weight: 9, tier: grave, name: Tilting}
  haste: {weight: 2}
feedback:
  slow: Take your time.
key_steps:
  lift:
    phase: concentric
    errors: [haste]
actions:
  row:
    steps: [lift]
  squat:
    steps:
      down:
        phase: eccentric
        errors:
          tilt:
          haste: {weight: 3, feedback: [slow]}
"""


def write(folder, text, name="graph.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_graph(tmp_path):
    graph = load(write(tmp_path, SMALL))
    assert graph.label == "small 2"
    assert list(graph.key_steps) == ["lift", "squat/down"]
    squat = graph.action("squat")
    assert squat.largest_penalty == 12  # the edge's own weight counts, 9 + 3
    assert squat.occurrence("down", "haste").feedback == ("slow",)
    assert graph.action("row").occurrence("lift", "haste").weight == 2
    places = [(action.id, step.id) for action, step in graph.actions_with("haste")]
    assert places == [("row", "lift"), ("squat", "down")]
    for lookup, message in (
        (lambda: graph.action("jump"), "'jump' is not an action of graph small 2"),
        (lambda: squat.step("up"), "'up' is not a key step of 'squat'"),
        (lambda: squat.occurrence("down", "wobble"), "'wobble' is not an error of 'down'"),
    ):
        with pytest.raises(UserError, match=message):
            lookup()


# Mistake: text to replace, replacement, line number and words of the message.
MISTAKES = {
    "unknown error": ("[haste]", "[hurry]", 13, "unknown error 'hurry'"),
    "unknown key step": ("steps: [lift]", "steps: [lift, drop]", 16, "unknown key step 'drop'"),
    "unknown feedback": ("[slow]", "[slower]", 23, "unknown feedback 'slower'"),
    "unknown tier": ("tier: grave", "tier: mild", 6, "unknown tier 'mild'"),
    "unknown kind": ("tier: grave", "tier: grave, shown_by: video", 6, "movement, muscles"),
    "unknown phase": ("phase: concentric", "phase: lifting", 12, "unknown phase 'lifting'"),
    "unknown field": ("name: Tilting", "nmae: Tilting", 6, "errors.tilt.nmae: unknown field"),
    "missing weight": ("haste: {weight: 2}", "haste: {name: Haste}", 7, "'weight' is missing"),
    "zero weight": ("haste: {weight: 2}", "haste: {weight: 0}", 7, "weight 0 is not positive"),
    "negative": ("haste: {weight: 2}", "haste: {weight: -2}", 7, "weight -2 is not positive"),
    "fraction": ("haste: {weight: 2}", "haste: {weight: 2.5}", 7, "expected a whole number"),
    "yes": ("haste: {weight: 2}", "haste: {weight: yes}", 7, "expected a whole number"),
    "weight off its tier": ("weight: 9", "weight: 8", 6, "weight 8 is outside tier 'grave', 9 to"),
    "duplicate edge": ("[haste]", "[haste, haste]", 13, "'haste' is listed twice"),
    "duplicate step": ("steps: [lift]", "steps: [lift, lift]", 16, "'lift' is listed twice"),
    "duplicate key": ("  haste: {weight: 2}", "  tilt: {weight: 2}", 7, "first in line 6"),
    "no phase": ("        phase: eccentric\n", "", 19, "'phase' is missing"),
    "no errors": ("    errors: [haste]\n", "", 14, "nothing can be scored"),
    "idle feedback": ("feedback:\n", "feedback:\n  idle: Rest.\n", 9, "nothing in the graph leads"),
    "idle error": ("tiers:", "key_steps_: {}\ntiers:", 4, "unknown field"),
    "wrong format": ("format: 1", "format: 7", 1, "format 7 is unknown"),
    "no version": ('version: "2"\n', "", 1, "'version' is missing"),
    "tier upside down": ("[9, 10]", "[10, 9]", 4, "expected [lowest, highest]"),
    "sum": ("  squat:\n", "  squat:\n    largest_penalty: 13\n", 18, "add up to 12, not 13"),
    "not YAML": ("errors:\n  tilt", "errors:\n tilt: [\n  tilt", 8, "not YAML"),
    "a list": ("feedback:\n  slow: Take your time.", "feedback: [slow]", 8, "expected a mapping"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_with_file_and_line(tmp_path, mistake):
    old, new, line, words = MISTAKES[mistake]
    assert SMALL.count(old) >= 1
    path = write(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert f"graph.yaml, line {line}" in message and words in message, message


def test_a_graph_may_extend_another(tmp_path):
    write(tmp_path, SMALL, "base.yaml")
    top = """\
format: 1
name: large
version: "3"
extends: base.yaml
errors:
  haste: {name: Haste, weight: 4}
actions:
  squat: {name: Squat}
"""
    graph = load(write(tmp_path, top, "top.yaml"))
    assert graph.label == "large 3"
    assert graph.errors["haste"].name == "Haste" and graph.errors["tilt"].name == "Tilting"
    assert graph.action("row").largest_penalty == 4
    assert graph.action("squat").name == "Squat" and len(graph.action("squat").pairs) == 2
    # A message names the file of the mistake, also if that file is extended by another.
    write(tmp_path, SMALL.replace("phase: eccentric", "phase: down"), "base.yaml")
    with pytest.raises(UserError, match=r"base.yaml, line 20"):
        load(tmp_path / "top.yaml")


def test_graphs_may_not_extend_each_other_in_a_circle(tmp_path):
    head = 'format: 1\nname: x\nversion: "1"\nextends: {}\n'
    write(tmp_path, head.format("b.yaml"), "a.yaml")
    write(tmp_path, head.format("a.yaml"), "b.yaml")
    with pytest.raises(UserError, match=r"line 4, extends: .*circle: a.yaml → b.yaml → a.yaml"):
        load(tmp_path / "a.yaml")


def test_hostile_files_end_in_one_message(tmp_path):
    for text, message in (
        ("", "empty"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("!!python/object/apply:os.system [ls]", "expected a mapping"),
        ("format: !!python/name:os.system ''\n", "line 1"),
        ("\x00", "not YAML"),
        ("- 1", "expected a mapping"),
        ("[" * 600, "not YAML"),
    ):
        with pytest.raises(UserError, match=message):
            load(write(tmp_path, text))
    (tmp_path / "graph.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError):
        load(tmp_path / "graph.yaml")
    with pytest.raises(UserError, match="No such file"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(UserError, match="neither the path of a YAML file nor one of"):
        load("nothing")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_loads_or_gives_a_message(tmp_path, data):
    """Removes, repeats or overwrites any piece of a valid file."""
    start = data.draw(st.integers(0, len(SMALL)))
    end = data.draw(st.integers(start, min(len(SMALL), start + 60)))
    piece = data.draw(
        st.text(max_size=8) | st.sampled_from([SMALL[start:end] * 2, "[", "{}", ": "])
    )
    path = tmp_path / "graph.yaml"
    path.write_bytes((SMALL[:start] + piece + SMALL[end:]).encode("utf-8", "replace"))
    try:
        graph = load(path)
    except UserError as error:
        assert "graph.yaml" in str(error)
    else:
        assert all(action.pairs for action in graph.actions.values())


def test_gymsim_is_complete():
    graph = load("gymsim")
    labelled = {name for name, exercise in EXERCISES.items() if exercise.errors}
    assert set(graph.actions) == labelled
    used = set()
    for action in graph.actions.values():
        exercise = EXERCISES[action.id]
        assert action.muscles == exercise.muscles and action.summary and action.name
        assert {edge.error for _, edge in action.pairs} == set(exercise.errors)
        assert action.steps[0].phase == "preparation"
        for step in action.steps:
            assert step.name and len(step.standard) > 40
        for step, edge in action.pairs:
            assert edge.feedback and edge.muscles, (action.id, step.id, edge.error)
            assert set(edge.muscles) <= set(vocabulary.MUSCLES)
            assert exercise.errors[edge.error].effect.muscle in edge.muscles
            used |= set(edge.feedback)
    for error in graph.errors.values():
        assert error.name and error.tier and error.joints and error.synonyms
        assert len(error.meaning) > 60
    assert used == set(graph.feedback)
    assert all(len(text) > 40 for text in graph.feedback.values())


def test_flex_topology_agrees_with_the_published_facts():
    facts = yaml.safe_load((shared("facts") / "flex_fkg_topology.json").read_text())
    graph = load("flex_topology")
    steps = {a.id: [s.id for s in a.steps] for a in graph.actions.values()}
    errors = {k: [e.error for e in s.errors] for k, s in graph.key_steps.items()}
    phases = {k: s.phase for k, s in graph.key_steps.items()}
    penalties = {a.id: a.largest_penalty for a in graph.actions.values()}
    assert steps == facts["action_to_keysteps"]
    assert errors == facts["keystep_to_errors"]
    assert phases == facts["keystep_phase_inferred"]
    assert penalties == facts["max_penalty_per_action_inferred"]
    assert all(error.weight is None for error in graph.errors.values())


def test_flex_topology_has_the_published_size():
    graph = load("flex_topology")
    contains = sum(len(a.steps) for a in graph.actions.values())
    may_occur = sum(len(s.errors) for s in graph.key_steps.values())
    sizes = (len(graph.actions), len(graph.key_steps), len(graph.errors), contains, may_occur)
    assert sizes == (20, 56, 63, 87, 278)


def test_the_documented_recipe_for_the_real_graph_works(tmp_path):
    page = pathlib.Path(__file__).parents[2] / "docs" / "fkg.md"
    recipe = re.search(r"```yaml\n(# flex\.yaml.*?)```", page.read_text(), re.DOTALL)
    assert recipe
    graph = load(write(tmp_path, recipe[1], "flex.yaml"))
    assert graph.errors["ET014"].weight and graph.errors["ET015"].weight is None
    assert len(graph.actions) == 20


def test_everything_shipped_loads():
    assert shipped() == ["flex_topology", "gymsim", "gymsim_effort"]
    for name in shipped():
        assert load(name).name == name
