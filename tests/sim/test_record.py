import collections
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.clip import validate
from video2emg.core.errors import UserError
from video2emg.data.repetitions import Repetitions
from video2emg.sim import record as sim
from video2emg.sim import semg
from video2emg.sim.exercises import EXERCISES, GRAPH
from video2emg.sim.tempo import POSE_RATE
from video2emg.sim.trials import plan_trials

STUDIO = sim.Studio(views=("front", "left"), size=32, fps=5.0)


@pytest.fixture(scope="module")
def clips():
    return [sim.record(trial, STUDIO) for trial in plan_trials(1, 1, 4)]


def test_plan_is_pure_and_complete():
    trials = plan_trials(3, 2, 0)
    assert trials == plan_trials(3, 2, 0) and trials != plan_trials(3, 2, 1)
    assert [t.index for t in trials] == list(range(36))
    assert {t.subject.id for t in trials} == {"s000", "s001", "s002"}
    count = collections.Counter((t.subject.id, t.exercise) for t in trials)
    assert set(count.values()) == {2} and len(count) == 18
    assert len({t.seed for t in trials}) == 36
    for trial in trials:
        low, high, _ = EXERCISES[trial.exercise].loads
        assert low <= trial.load <= high


def test_loads_do_not_correlate_with_strength():
    trials = [t for t in plan_trials(60, 2, 0) if t.exercise == "dumbbell_curl"]
    strength, load = [t.subject.strength for t in trials], [t.load for t in trials]
    assert abs(np.corrcoef(strength, load)[0, 1]) < 0.2


def test_unknown_names_are_user_errors():
    with pytest.raises(UserError, match="unknown exercise 'barbel_squat'"):
        plan_trials(1, 1, 0, ("barbel_squat",))
    with pytest.raises(UserError, match="unknown view 'above'"):
        sim.record(plan_trials(1, 1, 0)[0], sim.Studio(views=("above",)))


def test_clips_are_valid(clips):
    for clip in clips:
        exercise = EXERCISES[clip.action]
        validate(clip)
        assert clip.muscles == tuple(f"{s}_{m}" for s in ("left", "right") for m in semg.MONTAGE)
        assert set(exercise.muscles) <= set(semg.MONTAGE)
        assert clip.joints == vocabulary.FLEX_21 and clip.emg_unit == "mV"
        assert abs(len(clip.emg) / clip.emg_rate - clip.pose_time[-1]) < 0.01
        steps = [step.id for step in GRAPH.action(clip.action).steps]
        assert not clip.phases and len(clip.repetitions) == 3
        for repetition in clip.repetitions:
            assert [name for name, *_ in repetition.phases] == steps
            assert repetition.phases[1][1] == repetition.start
            assert repetition.phases[-1][2] == repetition.end < clip.pose_time[-1]
            assert 0 <= repetition.score <= 100
        assert clip.provenance["graph"] == GRAPH.label
        assert clip.provenance["simulated"] is True and clip.provenance["licence"] == "CC0"
        assert np.isfinite(clip.torque).all() and np.isfinite(clip.emg).all()
        assert np.isfinite(clip.pose).all() and (clip.emg_max > 0).all()
        sizes = {Image.open(io.BytesIO(frame)).size for frame in clip.frames}
        assert sizes == {(32, 32)}


def test_people_stand_upright_and_face_x(clips):
    """Head above hips above ankles at the start; toes before heels; left is +y."""
    for clip in clips:
        start = dict(zip(clip.joints, clip.pose[0], strict=True))
        assert start["head"][2] > 1.2 > start["left_hip"][2] > 0.6 > start["left_ankle"][2] > 0
        assert start["left_toe"][0] - start["left_heel"][0] > 0.1
        assert start["left_shoulder"][1] - start["right_shoulder"][1] > 0.25


def test_a_set_is_continuous(clips):
    """No joint jumps between repetitions, m/s and m/s²."""
    for clip in clips:
        speed = np.linalg.norm(np.diff(clip.pose, axis=0), axis=-1) * POSE_RATE
        assert speed.max() < 3.5
        assert np.abs(np.diff(speed, axis=0)).max() * POSE_RATE < 40


def test_repetitions_are_clips_of_their_own(clips):
    repetitions = Repetitions(clips)
    assert len(repetitions) == 3 * len(clips)
    for k, clip in enumerate(repetitions):
        whole, label = clips[k // 3], clips[k // 3].repetitions[k % 3]
        validate(clip)
        assert clip.repetitions is None and clip.score == label.score
        assert clip.errors == label.errors
        start = label.start - clip.phases[1][1]
        for _, begin, end in clip.phases:
            assert -1e-9 <= begin < end <= clip.end + 1e-9
        first = np.searchsorted(whole.emg_time, start - 1e-9)
        np.testing.assert_array_equal(clip.emg, whole.emg[first : first + len(clip.emg)])
        first = np.searchsorted(whole.pose_time, start - 1e-9)
        np.testing.assert_array_equal(clip.pose, whole.pose[first : first + len(clip.pose)])
        assert abs(clip.frame_time).max() <= clip.end + 1e-9


def test_free_movement_has_no_repetitions():
    studio = sim.Studio(views=())
    [trial] = plan_trials(1, 1, 4, ("free_movement",))
    clip = sim.record(trial, studio)
    assert validate(clip).repetitions == () and not clip.frames and "graph" not in clip.provenance
    assert len(Repetitions([clip])) == 0


def test_record_is_reproducible(clips):
    again = sim.record(plan_trials(1, 1, 4)[2], STUDIO)
    assert again.frames == clips[2].frames
    for field in ("emg", "pose", "torque", "drive", "emg_max", "frame_time"):
        np.testing.assert_array_equal(getattr(again, field), getattr(clips[2], field))


def test_mvc_is_constant_per_subject():
    studio = sim.Studio(views=("front",), size=16, fps=1.0)
    trials = plan_trials(1, 2, 4, ("dumbbell_curl",))
    first, second = (sim.record(trial, studio) for trial in trials)
    np.testing.assert_array_equal(first.emg_max, second.emg_max)
    assert not np.array_equal(first.emg[:1000], second.emg[:1000])


def test_too_heavy_a_load_is_made_lighter(monkeypatch):
    trial = dataclasses.replace(plan_trials(1, 1, 4, ("dumbbell_curl",))[0], load=10.0)
    first = sim.attempt_trial(trial, 0)
    monkeypatch.setattr(sim, "MAX_SATURATION", -1.0)
    monkeypatch.setattr(sim, "MAX_ATTEMPTS", 2)
    with pytest.raises(UserError, match="cannot do dumbbell_curl"):
        sim.record(trial, STUDIO)
    assert sim.attempt_trial(trial, 4).load < first.load


def test_repetitions_of_different_manners_join_without_a_jump():
    """One manner turns the wrists once more than the other, which is the same posture."""
    trials = plan_trials(10, 1, 0, ("dumbbell_incline_press",), (2, 4))
    trial = dataclasses.replace(
        trials[1], repetitions=((("over_face", 0.4),), ()), load=6.0, seed=trials[1].seed
    )
    performance = sim.attempt_trial(trial, 0)
    assert performance.solution.relative_residual < sim.MAX_RESIDUAL
    speed = np.linalg.norm(np.diff(performance.motion.joints, axis=0), axis=-1) * POSE_RATE
    assert speed.max() < 3.0


def test_without_electrodes_only_the_movement_is_simulated():
    trial = plan_trials(1, 1, 0)[0]
    poses = sim.record(trial, sim.Studio(views=(), montage=()))
    whole = sim.record(trial, sim.Studio(views=()))
    assert poses.muscles == () and not poses.emg.size and not len(poses.heart_time)
    assert poses.provenance["attempts"] == whole.provenance["attempts"] == 1
    np.testing.assert_array_equal(poses.pose, whole.pose)
    np.testing.assert_array_equal(poses.torque, whole.torque)
    for one, other in zip(poses.repetitions, whole.repetitions, strict=True):
        assert (one.phases, one.errors) == (other.phases, other.errors)
