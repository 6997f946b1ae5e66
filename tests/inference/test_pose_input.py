"""From the pose in a film to EMG, movement and warnings."""

import csv
import dataclasses
import json
import time

import jax
import numpy as np
import pytest

import video2emg
from tests.physics import placed
from tests.pose.squats import bends, filmed
from video2emg.cli import main as cli
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.pose_track import UPRIGHT, PoseTrack
from video2emg.data.film_pose import track_to_pose
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate
from video2emg.inference.pose_input import PoseInput
from video2emg.inference.prediction import RELATIVE
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.train.step import predict_step


def squats(count=3, rate=25.0):
    """A track of squats of one simulated person, with a rest around each."""
    pose = placed.placed_pose("barbell_squat")[0].astype(np.float64)
    rest = np.repeat(pose[:1], round(0.6 * rate), 0)
    joints = np.concatenate([rest, *[np.concatenate([pose, rest]) for _ in range(count)]])
    return PoseTrack(
        names=vocabulary.FLEX_21,
        times=np.arange(len(joints)) / rate,
        joints=joints,
        confidence=np.ones(joints.shape[:2]),
        source="squats",
        axes=UPRIGHT,
    )


@pytest.fixture(scope="module")
def predictor(pose_dir):
    return video2emg.load(pose_dir)


@pytest.fixture(scope="module")
def track():
    return squats()


def test_squats_are_found_and_measured(predictor, track):
    prediction = predictor.predict_pose(
        track_to_pose(track), action="barbell_squat", load=60.0, name="squats"
    )
    assert len(prediction.repetitions) == 3 and prediction.normalisation == "mvc"
    assert np.isfinite(prediction.emg).all() and prediction.low is not None
    for repetition in prediction.repetitions:
        movement = repetition.movement
        assert movement is not None and movement.joint in ("knee", "hip")
        assert 60 < movement.left < 140 and movement.left == pytest.approx(movement.right, abs=8)
        assert 0.5 < movement.first_half < 3 and 0.5 < movement.second_half < 3
    written = json.loads(json.dumps(prediction.to_json()))
    written = written["repetitions"][-1]["movement"]
    assert written["joint"] == movement.joint
    assert written["range_left_minus_right_deg"] == pytest.approx(movement.left - movement.right)


def test_the_emg_is_that_of_the_evaluation(predictor, pose_dir, tiny_dir):
    """A pose of the dataset, read as a recording, gives what the evaluation of its clip gives."""
    config = read_config(pose_dir)
    examples = setup.load_splits(config, open_dataset("gymsim/tiny", tiny_dir))[0]["test"]
    clip = examples.clip(0)
    known = np.isfinite(clip.pose).all(2)
    track = PoseTrack(clip.joints, clip.pose_time, clip.pose, known.astype(float), axes=UPRIGHT)
    pose = dataclasses.replace(track_to_pose(track), track=track)  # neither smoothed nor measured
    recording = PoseInput(pose, examples.window, load=clip.load, action=clip.action)
    start = examples.window_starts(0)[1]
    window, expected = recording.read_window(start), examples.read_window(0, start)
    np.testing.assert_array_equal(window["pose_mask"], expected["pose_mask"])
    np.testing.assert_allclose(window["pose"], expected["pose"], atol=2e-3)
    np.testing.assert_array_equal(window["held"], expected["held"])
    step, params = jax.jit(predict_step(predictor.run.model)), jax.device_get(predictor.run.params)
    curves = evaluate.predict(step, params, examples, 8, mesh_lib.make_mesh(), clips=[0])
    got = predictor.predict_pose(recording.pose, action=clip.action, load=float(clip.load))
    n = round(examples.window_starts(0)[-2] * examples.window.emg_rate)
    order = [got.muscles.index(m) for m in clip.muscles]
    np.testing.assert_allclose(got.emg[:n, order], curves[0][:n], atol=5e-3)


def test_what_is_not_told_is_said(predictor, track):
    prediction = predictor.predict_pose(track_to_pose(track))
    assert prediction.normalisation == RELATIVE and "relative" in prediction.unit
    warnings = " ".join(prediction.warnings)
    assert "--height" in warnings and "--load" in warnings and "simulated people" in warnings
    bodyweight = predictor.predict_pose(track_to_pose(track), equipment="none")
    assert bodyweight.normalisation == "mvc"


def test_what_is_not_seen_is_not_predicted(predictor, track):
    confidence = track.confidence.copy()
    confidence[60:120] = 0
    hidden = dataclasses.replace(track, confidence=confidence)
    prediction = predictor.predict_pose(track_to_pose(hidden), equipment="none")
    within = (prediction.time > 2.5) & (prediction.time < 4.7)
    assert np.isnan(prediction.emg[within]).all()
    assert np.isfinite(prediction.emg[prediction.time > 7]).all()
    assert not prediction.sample_in_domain[within].any()


def test_standing_still_gives_no_repetition_and_a_sentence(predictor, track):
    still = dataclasses.replace(track, joints=np.repeat(track.joints[:1], len(track.times), 0))
    prediction = predictor.predict_pose(track_to_pose(still), equipment="none")
    assert not prediction.repetitions and not prediction.in_domain
    assert any("no movement that is repeated" in warning for warning in prediction.warnings)
    assert not any("recognised" in warning for warning in prediction.warnings)


def write_csv(track, path):
    header = ["time [s]"]
    header += [f"{name}_{axis} [m]" for name in track.names for axis in "xyz"]
    rows = np.column_stack([track.times, track.joints.reshape(len(track.times), -1)])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows.tolist()])


def test_the_command_reads_a_pose(pose_dir, track, tmp_path, capsys):
    write_csv(track, tmp_path / "squats.csv")
    flags = ["--run", str(pose_dir), "--pose", str(tmp_path / "squats.csv")]
    flags += ["--equipment", "barbell_back", "--load", "60", "--height", "1.75"]
    status = cli.main(["predict", *flags, "--out", str(tmp_path / "out")])
    assert status in (0, 3)  # two steps of training do not make a detector
    out = capsys.readouterr()
    assert str(tmp_path / "out") in out.out
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert len(found["repetitions"]) == 3 and found["load_kg"] == 60
    assert found["followed"] == [] and not (tmp_path / "out" / "people.png").exists()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "a pose file has no film" in report and "the pose of another program" in report
    assert "left \\u2212 right" in report


def test_the_model_is_compiled_while_a_film_is_watched(pose_dir, track, monkeypatch):
    """Once, for the batches that follow, and not before the film could be read."""
    predictor = video2emg.load(pose_dir)
    compiled = predictor.run.forward._compiled
    compiled.clear_cache()  # jit shares programs of equal functions
    heard = []

    def watch(paths, options, say):
        assert not compiled._cache_size()
        if paths[0].name != "squats.mp4":
            raise UserError("no such file")
        say("seen")
        waited = time.monotonic()
        while not compiled._cache_size() and time.monotonic() - waited < 300:
            time.sleep(0.01)
        assert compiled._cache_size() == 1
        return track_to_pose(track)

    monkeypatch.setattr("video2emg.inference.predictor.film_to_pose", watch)
    with pytest.raises(UserError, match="no such file"):
        predictor.predict("other.mp4")
    assert not compiled._cache_size()
    found = predictor.predict("squats.mp4", action="barbell_squat", progress=heard.append)
    assert "seen" in heard and compiled._cache_size() == 1
    expected = predictor.predict_pose(track_to_pose(track), action="barbell_squat")
    np.testing.assert_array_equal(found.emg, expected.emg)


def test_mistakes_are_told(predictor, run_dir, track, tmp_path):
    pose = track_to_pose(track)
    with pytest.raises(UserError, match="equipment 'sofa'"):
        predictor.predict_pose(pose, equipment="sofa")
    with pytest.raises(UserError, match="needs files"):
        predictor.predict({"front": np.zeros((9, 8, 8, 3), np.uint8)})
    with pytest.raises(UserError, match="reads pictures, not poses"):
        video2emg.load(run_dir).predict_pose(pose)


@pytest.mark.parametrize("start", [-5.0, 1.7e9])
def test_a_clock_that_does_not_begin_with_the_film_begins_at_zero(start):
    track = filmed(bends(8, 15, 2))[0]
    moved = track_to_pose(dataclasses.replace(track, times=track.times + start))
    usual = track_to_pose(track)
    assert any("begin at" in remark for remark in moved.remarks)
    assert not any("begin at" in remark for remark in usual.remarks)
    np.testing.assert_allclose(moved.track.times, usual.track.times, atol=1e-5)
    spans = moved.gated.repeated.spans
    np.testing.assert_allclose(spans, usual.gated.repeated.spans, atol=1e-4)


def test_no_pose_is_invented_in_a_gap_of_the_times():
    track = filmed(bends(16, 15, 4))[0]
    later = np.where(track.times < 8, track.times, track.times + 20)
    pose = track_to_pose(dataclasses.replace(track, times=later))
    times = np.arange(8.5, 27.5, 0.5)
    assert not pose.track.seen_at(times).any()
    turns = pose.gated.repeated.turns
    assert len(turns) == 4 and not any(8.2 < turn < 27.8 for turn in turns)
