"""Data must not depend on the order or the number of registered exercises."""

import dataclasses

import numpy as np
import pytest

from video2emg.data.datasets.gymsim.gymsim_dataset_builder import TWENTY, Builder
from video2emg.sim import record, trials
from video2emg.sim.exercises import EXERCISES, registry


@pytest.fixture
def other_registry(monkeypatch):
    """Reverses the registry and adds an exercise, when called."""
    new = dataclasses.replace(EXERCISES["barbell_squat"], id=1000, name="barbell_new")
    changed = registry([new, *reversed(EXERCISES.values())])

    def install():
        monkeypatch.setattr(trials, "EXERCISES", changed)
        monkeypatch.setattr(record, "EXERCISES", changed)

    return install


def test_a_clip_does_not_depend_on_other_exercises(other_registry):
    studio = record.Studio(views=("front",), size=16, fps=2.0)

    def clip():
        [trial] = trials.plan_trials(1, 1, 0, ("dumbbell_reverse_fly",))
        return record.record(trial, studio)

    before = clip()
    other_registry()
    after = clip()
    for field in dataclasses.fields(before):
        np.testing.assert_equal(getattr(after, field.name), getattr(before, field.name))


@pytest.mark.parametrize("config", ["tiny", "gym"])
def test_a_dataset_does_not_depend_on_other_exercises(config, other_registry):
    before = Builder.plan(None, config)
    other_registry()
    assert Builder.plan(None, config) == before


def test_ids_of_published_exercises_do_not_change():
    """They seed the data of `gymsim/gym`."""
    assert [EXERCISES[name].id for name in TWENTY] == list(range(20))


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(name="new"), "'barbell_squat' and 'new' both have the id 0"),
        (dict(id=1000), "two exercises are named 'barbell_squat'"),
    ],
)
def test_duplicate_exercises_are_refused(changes, message):
    squat = EXERCISES["barbell_squat"]
    with pytest.raises(ValueError, match=message):
        registry([squat, dataclasses.replace(squat, **changes)])


def test_trials_of_an_exercise_do_not_depend_on_the_other_planned_exercises():
    [alone] = trials.plan_trials(1, 1, 3, ("dumbbell_curl",))
    together = trials.plan_trials(1, 1, 3, ("barbell_squat", "dumbbell_curl"))
    assert dataclasses.replace(together[1], index=0) == alone
