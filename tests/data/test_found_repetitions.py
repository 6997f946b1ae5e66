"""Repetitions that are found in the pose of simulated sets."""

import dataclasses

import numpy as np
import pytest

from video2emg.core.clip import validate
from video2emg.data.found_repetitions import FoundRepetitions, SeenClips, found_spans, match
from video2emg.data.pose_noise import ESTIMATOR_NOISE
from video2emg.data.repetitions import MARGIN
from video2emg.sim import record
from video2emg.sim.trials import plan_trials

POSES = record.Studio(views=(), montage=())


@pytest.fixture(scope="module")
def sets():
    exercises = ("barbell_squat", "dumbbell_curl")
    return [record.record(trial, POSES) for trial in plan_trials(2, 1, 3, exercises)]


def test_what_is_found_carries_the_labels_of_the_true_repetition(sets):
    found = FoundRepetitions(sets, longest=6.0)
    assert found.sets == 4 and found.counted >= 3 and found.extra == 0
    assert found.true == 12 and len(found) >= 11
    assert np.median(np.abs(found.bound_errors)) < 0.1
    clips = [validate(clip) for clip in found]
    true = {r.score: r for clip in sets for r in clip.repetitions}
    for clip in clips:
        assert clip.repetitions is None and clip.errors == true[clip.score].errors
        # On the clock of the cut, the movement begins when its margin ends, or before.
        assert 0 <= clip.phases[1][1] < MARGIN + 0.15


def test_estimated_poses_have_the_same_errors_in_the_whole_set(sets):
    seen = SeenClips(sets, ESTIMATOR_NOISE)
    once, again = seen[0], seen[0]
    np.testing.assert_array_equal(once.pose, again.pose)
    assert once.pose.shape == sets[0].pose.shape
    assert np.nanmedian(np.abs(once.pose - sets[0].pose)) > 0.02
    assert once.repetitions == sets[0].repetitions
    found = FoundRepetitions(seen, longest=4.0)
    assert len(found) >= 0.7 * found.true


def test_each_repetition_is_matched_once():
    true = [(1.0, 3.0), (3.0, 5.0), (6.0, 8.0)]
    assert match(true, true) == [(0, 0), (1, 1), (2, 2)]
    # Two that were found as one overlap with neither by more than half of their union.
    assert match([(1.0, 5.0), (6.1, 8.2)], true) == [(1, 2)]
    assert match([(1.2, 2.9), (2.9, 3.1)], true) == [(0, 0)]
    assert match([], true) == [] and match(true, []) == []


def test_a_pose_that_stands_still_has_no_repetition(sets):
    still = dataclasses.replace(sets[0], pose=np.repeat(sets[0].pose[:1], len(sets[0].pose), 0))
    assert found_spans(still) == []
