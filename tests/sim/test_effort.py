"""Errors of effort have their stated effect on the EMG, and none on the movement."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.sim.people import PERSON
from video2emg.core import vocabulary
from video2emg.sim import effort, record, trials
from video2emg.sim.exercises import EXERCISES, GRAPH, STANDING

PAIRS = [(name, error) for name, e in effort.EFFORTS.items() for error in e.effects]


@functools.cache
def perform(name: str, error: str = "", severity: float = 1.0) -> record.Performance:
    exercise, errors = EXERCISES[name], {error: severity} if error else {}
    low = exercise.loads[0]
    return record.perform(PERSON, exercise, low, [errors], 2, standard_tempo=True, efforts=True)


def mean(performance: record.Performance, muscle: str) -> np.ndarray:
    """[2] mean drive of the left and the right side."""
    names = [vocabulary.channel(side, muscle) for side in ("left", "right")]
    return performance.drive[:, [performance.channels.index(n) for n in names]].mean(0)


@pytest.mark.parametrize("name, error", PAIRS)
def test_an_error_of_effort_changes_the_muscles_and_not_the_movement(name, error):
    correct, wrong = perform(name), perform(name, error)
    np.testing.assert_array_equal(wrong.qpos, correct.qpos)
    np.testing.assert_array_equal(wrong.motion.joints, correct.motion.joints)
    assert wrong.solution.relative_residual < record.MAX_RESIDUAL
    if error != effort.UNEVEN:
        np.testing.assert_array_equal(wrong.motion.torque, correct.motion.torque)
    effect = effort.EFFORTS[name].effects[error]
    before, after = mean(correct, effect.muscle), mean(wrong, effect.muscle)
    change = {
        effort.CO_CONTRACTION: after.mean() - before.mean() - effort.ANTAGONISTS,
        effort.SHOULDER_TENSION: after.mean() - before.mean() - effort.SHOULDERS,
    }
    if error in change:  # the stated amount
        assert abs(change[error]) < 0.04, change[error]
    elif error == effort.NO_BRACE:
        assert before.mean() > 0.8 * effort.BRACING[0] and after.mean() < before.mean() / 2
    elif error == effort.EXHAUSTED:
        assert after.mean() > 1.05 * before.mean()
        assert (wrong.remaining_capacity < correct.remaining_capacity).all()
    else:
        assert abs(np.log(after[0] / after[1])) > abs(np.log(before[0] / before[1])) + 0.15


def test_tension_adds_to_the_own_drive_of_a_head_that_follows_others():
    """Rectus femoris in a squat: the common drive is not counted twice."""
    person, squat = dataclasses.replace(PERSON, common_drive=0.6), EXERCISES["barbell_squat"]
    done = record.perform(person, squat, squat.loads[0], [{}], 2, standard_tempo=True)
    column = done.lifter.muscles.index("rectus_femoris_left")
    tension = np.zeros_like(done.solution.activation)
    tension[:, column] = 0.1
    nothing = np.zeros(len(tension))
    tense = effort.Exertion(np.zeros_like(tension), tension, nothing, 0.0)
    arguments = done.lifter, done.motion, person, done.time, 0.0
    (_, _, relaxed), (_, _, raised) = effort.solve(*arguments), effort.solve(*arguments, tense)
    rise = (raised.activation - relaxed.activation)[:, column]
    assert rise.mean() == pytest.approx(0.1, abs=0.03) and rise.max() < 0.2


@pytest.mark.parametrize("name", effort.EFFORTS)
def test_agonists_overcome_the_antagonists(name):
    prime = effort.EFFORTS[name].effects[effort.EXHAUSTED].muscle
    correct, wrong = perform(name), perform(name, effort.CO_CONTRACTION)
    assert mean(wrong, prime).mean() > mean(correct, prime).mean()


def test_one_foot_carries_the_stated_share():
    """The wrench on the whole body is zero, and knees extend by the ratio of the shares."""
    correct, wrong = perform("barbell_squat"), perform("barbell_squat", effort.UNEVEN)
    dofs = [vocabulary.DOFS.index(f"{s}_knee_extension") for s in ("left", "right")]
    before, after = (p.motion.named_torque[:, dofs] for p in (correct, wrong))
    np.testing.assert_allclose(after.sum(1), before.sum(1), rtol=0.05, atol=2.0)
    deep = before.sum(1) > 0.7 * before.sum(1).max()
    share = after[deep].max(1).sum() / after[deep].sum()
    assert 0.53 < share < 0.68


def test_effects_grow_with_severity():
    drives = [
        mean(perform("dumbbell_curl", effort.CO_CONTRACTION, s), "triceps_brachii").mean()
        for s in (0.4, 1.0)
    ]
    assert drives[1] - drives[0] == pytest.approx(0.6 * effort.ANTAGONISTS, abs=0.03)


def test_the_graph_adds_errors_of_effort_to_gymsim():
    graph = effort.graph()
    assert graph.name == "gymsim_effort" and set(effort.EFFORTS) == set(STANDING)
    for name in GRAPH.actions:
        expected = set(EXERCISES[name].errors)
        if name in effort.EFFORTS:
            expected |= set(effort.EFFORTS[name].effects)
        edges = [edge for _, edge in graph.action(name).pairs]
        assert {e.error for e in edges} == expected and len(edges) == len(expected)
        assert all(e.feedback for e in edges)


def test_errors_of_effort_are_drawn_beside_the_plan():
    plain, more = (trials.plan_trials(40, 1, 0, efforts=e) for e in (False, True))
    made = []
    for a, b in zip(plain, more, strict=True):
        visible = tuple(tuple(e for e in r if e[0] not in effort.ERRORS) for r in b.repetitions)
        assert dataclasses.replace(b, repetitions=visible, efforts=False) == a
        hidden = [dict(r) for r in b.repetitions]
        assert len({r.get(effort.EXHAUSTED) for r in hidden}) == 1
        made.append({n for r in hidden for n in r if n in effort.ERRORS})
    assert 0.4 < np.mean([bool(m) for m in made]) < 0.7
    assert set.union(*made) == set(effort.ERRORS)


def test_a_clip_with_errors_of_effort_is_the_same_movement():
    studio = record.Studio(views=(), emg_rate=500.0)
    [trial] = trials.plan_trials(1, 1, 3, ("dumbbell_curl",), (2, 2), efforts=True)
    errors = ((effort.EXHAUSTED, 0.8), (effort.CO_CONTRACTION, 0.7))
    trial = dataclasses.replace(trial, repetitions=((), ()))
    correct = record.record(trial, studio)
    wrong = record.record(dataclasses.replace(trial, repetitions=(errors, errors)), studio)
    np.testing.assert_array_equal(wrong.pose, correct.pose)
    assert wrong.load == correct.load and not wrong.frames
    assert wrong.provenance["graph"] == "gymsim_effort 1.0"
    weights = {edge.error: edge.weight for _, edge in effort.graph().action("dumbbell_curl").pairs}
    lost = 100 * sum(weights[n] * s for n, s in errors) / sum(weights.values())
    for repetition in wrong.repetitions:
        assert [e[1:] for e in repetition.errors] == list(errors)
        assert repetition.score == pytest.approx(100 - lost, abs=6)
    assert min(wrong.provenance["force_lost"]) >= 0
    assert np.mean(wrong.provenance["force_lost"]) > np.mean(correct.provenance["force_lost"])
