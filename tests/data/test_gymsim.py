"""People of `gymsim/other`, on whom nothing is trained, and of `gymsim/gym_people`."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from video2emg.data import store
from video2emg.data.datasets.gymsim import gymsim_dataset_builder as gymsim
from video2emg.data.datasets.gymsim.gymsim_dataset_builder import OTHERS, Builder
from video2emg.sim import effort, record
from video2emg.sim.trials import plan_trials

STUDIO = record.Studio(views=(), emg_rate=500.0, montage=("biceps_brachii",))


def test_nearly_everybody_of_other_is_in_the_test_split():
    plan = Builder.plan(None, "other")
    people = {split: {t.subject.id for t in trials} for split, trials in plan.items()}
    assert {split: len(ids) for split, ids in people.items()} == {
        "train": 1,
        "validation": 1,
        "test": 8,
    }
    assert len(set.union(*people.values())) == 10
    trials = [trial for split in plan.values() for trial in split]
    assert {len(t.repetitions) for t in trials} == {3, 4, 5, 6}
    lags = {t.subject.id: t.subject.emg_lag for t in trials}
    assert min(lags.values()) < 0.4 and 0.8 < max(lags.values()) <= OTHERS.emg_lag


def test_the_people_of_the_other_configurations_are_the_usual_ones():
    for name, settings in Builder.builder_configs.items():
        shares = settings.population is not None and settings.population.common_drive != (0, 0)
        assert shares == (name in ("gym_moves", "gym_people", "loads", "other"))
        assert (settings.population is None) == (not shares)
        assert str(settings.version or Builder.VERSION) == ("2.1.0" if shares else "2.0.0")
        assert bool(settings.pose_noise.share) == (name in ("loads", "other"))
    subjects = {t.subject for split in Builder.plan(None, "tiny").values() for t in split}
    assert {(s.table, s.proportions, s.pace, s.emg_lag) for s in subjects} == {
        ("simulated", (), 1.0, 0.0)
    }


@pytest.fixture(scope="module")
def clip():
    [trial] = plan_trials(1, 1, 3, ("dumbbell_curl",), (1, 1))
    return record.record(trial, STUDIO)


def aligned_error(pose: np.ndarray, true: np.ndarray) -> float:
    """RMS distance of the known joints after the best rigid alignment of the whole clip, m."""
    known = np.isfinite(pose).all(2)
    a, b = pose[known] - pose[known].mean(0), true[known] - true[known].mean(0)
    turn = Rotation.align_vectors(b, a)[0]
    return float(np.sqrt(((turn.apply(a) - b) ** 2).sum(1).mean()))


def test_poses_of_other_have_the_errors_of_an_estimator(clip, monkeypatch):
    """Measured errors of estimators are 105-136 mm at most, and the ranges begin at zero."""
    monkeypatch.setattr(gymsim.sim, "record", lambda trial, studio: clip)
    noise = Builder.builder_configs["other"].pose_noise
    [trial] = plan_trials(1, 1, 3, ("dumbbell_curl",), (1, 1))
    trials = [dataclasses.replace(trial, seed=seed) for seed in range(20)]
    clips = [gymsim._record(t, STUDIO, noise) for t in trials]
    errors = [aligned_error(noisy.pose, clip.pose) for noisy in clips]
    assert min(errors) > 0.02 and max(errors) < 0.3
    assert 0.06 < np.mean(errors) < 0.15
    assert len({noisy.pose.tobytes() for noisy in clips}) == 20
    assert all(noisy.emg is clip.emg and noisy.drive is clip.drive for noisy in clips)
    assert gymsim._record(trial, STUDIO, gymsim.PoseNoise()) is clip
    again = gymsim._record(trials[4], STUDIO, noise)
    np.testing.assert_array_equal(again.pose, clips[4].pose)


def test_effort_has_no_pictures_and_labels_of_its_graph(tmp_path, monkeypatch):
    settings = Builder.builder_configs["effort"]
    monkeypatch.setattr(settings, "subjects", 3)
    monkeypatch.setattr(settings, "exercises", ("dumbbell_curl",))
    dataset = store.open_dataset("gymsim/effort", tmp_path)
    clips = [clip for split in dataset.splits.values() for clip in split]
    assert len({clip.subject for clip in clips}) == len(clips) == 3
    for clip in clips:
        assert not clip.views and not clip.frames and clip.emg_rate == 500
        assert clip.emg.shape[1] == 46 and len(clip.repetitions) == 3
        assert clip.provenance["graph"] == effort.graph().label


def test_more_people_for_training_leave_validation_and_test_as_they_are():
    few, many = (Builder.plan(None, name) for name in ("gym_poses", "crowd_poses"))

    def trials(plan, split):
        return {(t.subject.id, t.exercise): (t.seed, t.load) for t in plan[split]}

    for split in ("validation", "test"):
        assert trials(few, split) == trials(many, split)
    assert trials(few, "train").items() < trials(many, "train").items()
    people = [{t.subject.id for t in many[split]} for split in many]
    assert sum(map(len, people)) == len(set.union(*people)) == 800
