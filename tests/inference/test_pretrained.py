"""The model in the package, on simulated squats and on films of real people."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest

import video2emg
from tests.cli.command import launch
from tests.data.test_film_pose import cut_out
from tests.inference.test_pose_input import squats
from tests.pose.films import model
from video2emg.core import vocabulary
from video2emg.core.batch import blank_batch
from video2emg.core.errors import UserError
from video2emg.data.film_pose import track_to_pose
from video2emg.export.packed import CARD, fingerprint, pack
from video2emg.fkg.feedback import Finding
from video2emg.inference.counterfactual import to_text
from video2emg.inference.output import tables
from video2emg.inference.run import PRETRAINED, PRETRAINED_VIDEO2EMG
from video2emg.parallel.mesh import make_mesh
from video2emg.run import setup
from video2emg.train.checkpoint import load_params


@pytest.fixture(scope="module")
def predictor():
    return video2emg.load()


def of(prediction, muscle):
    """Mean of both sides, [N]."""
    columns = [prediction.muscles.index(f"{side}_{muscle}") for side in ("left", "right")]
    return prediction.emg[:, columns].mean(1)


def test_the_cards_are_of_these_parameters_and_they_are_small(predictor):
    run = predictor.run
    for folder, params, config in (
        (PRETRAINED, run.aqa_head.params, "aqa"),
        (PRETRAINED_VIDEO2EMG, run.params, "v2emg"),
    ):
        card = (folder / CARD).read_text()
        (digest,) = re.findall(r"`([0-9a-f]{64})`", card)
        assert fingerprint(load_params(folder, params)) == digest
        assert "simulated people" in card and f"launch.py --config configs/{config}.py:pose" in card
    assert sum(f.stat().st_size for f in PRETRAINED.rglob("*") if f.is_file()) < 4 * 2**20


def test_the_saved_parameters_are_those_of_the_model(predictor):
    run = predictor.run
    expected = setup.abstract_params(run.model, blank_batch(run.window), make_mesh())
    assert jax.tree.structure(run.params) == jax.tree.structure(expected)
    for own, wanted in zip(*map(jax.tree.leaves, (run.params, expected)), strict=True):
        assert own.shape == wanted.shape and own.dtype == wanted.dtype


def test_squats_use_the_legs(predictor):
    track = squats()
    prediction = predictor.predict_pose(
        track_to_pose(track), equipment="barbell_back", load=60.0, height=1.75
    )
    assert prediction.action == "barbell_squat" and prediction.in_domain
    first = prediction.repetitions[0]
    within = (prediction.time >= first.start) & (prediction.time < first.end)
    rest = prediction.time < 0.4
    thigh, arm = of(prediction, "vastus_lateralis"), of(prediction, "biceps_brachii")
    assert thigh[within].mean() > 3 * arm[within].mean()
    assert thigh[within].max() > 4 * thigh[rest].mean()


def test_squats_are_judged(predictor):
    prediction = predictor.predict_pose(
        track_to_pose(squats()), equipment="barbell_back", load=60.0, height=1.75
    )
    for repetition in prediction.repetitions:
        assert repetition.score is not None and repetition.score > 60
        steps = [step for step, _, _ in repetition.phases]
        assert steps == ["stand", "descend", "rise"]
        # The rise begins where the hips are lowest, which the movement says too.
        turn = repetition.start + repetition.movement.first_half
        assert repetition.phases[2][1] == pytest.approx(turn, abs=0.35)
        assert repetition.feedback.graph == predictor.run.aqa_head.graph.label


def test_corrections_of_squats(predictor):
    whole = predictor.predict_pose(
        track_to_pose(squats(1)), action="barbell_squat", load=60.0, height=1.75
    )
    (first,) = whole.repetitions
    finding = Finding(
        *("rise", "forward_lean", "concentric", "Rise", "Trunk tips forward", "joint_safety"),
        **dict(probability=0.9, severity=0.8, penalty=20.0, start=None, end=None),
        **dict(muscles=(), joints=(), meaning="", advice=()),
    )
    leaning = dataclasses.replace(first.feedback, findings=(finding,))
    seen = dataclasses.replace(whole, repetitions=(dataclasses.replace(first, feedback=leaning),))
    (corrected,) = predictor.with_corrections(seen, height=1.75).repetitions
    (correction,) = corrected.corrections
    assert correction.severity == pytest.approx(0.72) and correction.score > 5
    assert correction.change("lumbar") < -5  # N·m
    assert "lower back" in to_text(corrected.corrections)
    with pytest.raises(UserError, match="--load"):
        predictor.with_corrections(dataclasses.replace(seen, load=None))
    # Key steps without a middle leave one repetition without corrections, and say so.
    stand, _, rise = first.phases
    empty = (stand, ("descend", rise[1], rise[1]), rise)
    both = (dataclasses.replace(seen.repetitions[0], phases=empty), seen.repetitions[0])
    told = predictor.with_corrections(dataclasses.replace(seen, repetitions=both), height=1.75)
    assert [len(r.corrections) for r in told.repetitions] == [0, 1]
    assert any("no corrections of repetition 1" in warning for warning in told.warnings)
    keep = np.ones(seen.pose.track.confidence.shape, bool)
    keep[:, seen.pose.track.names.index("left_wrist")] = False
    partly = dataclasses.replace(seen.pose, track=seen.pose.track.masked(keep))
    told = predictor.with_corrections(dataclasses.replace(seen, pose=partly), height=1.75)
    assert any("left_wrist seen less than half" in warning for warning in told.warnings)


def test_a_heavier_bar_needs_more(predictor):
    pose = track_to_pose(squats(2))
    light, heavy = (
        of(
            predictor.predict_pose(pose, equipment="barbell_back", load=load, height=1.75),
            "vastus_lateralis",
        )
        for load in (10.0, 100.0)
    )
    assert heavy.mean() > 1.05 * light.mean()


def test_torques_are_those_of_the_load(predictor, tmp_path):
    pose = track_to_pose(squats(2))
    light, heavy = (
        predictor.predict_pose(pose, action="barbell_squat", load=load, height=1.75)
        for load in (10.0, 100.0)
    )
    back = vocabulary.DOFS.index("lumbar_extension")
    knees = [vocabulary.DOFS.index(f"{side}_knee_extension") for side in vocabulary.SIDES]
    for column in (back, *knees):
        assert heavy.torque[:, column].max() > light.torque[:, column].max() + 20  # N·m
    peak = heavy.to_json()["repetitions"][0]["peak_torque_nm"]["lumbar_extension"]
    assert 100 < peak <= heavy.torque[:, back].max() + 0.1
    untold = predictor.predict_pose(pose, action="barbell_squat", height=1.75)
    assert untold.torque is None and not untold.to_json()["repetitions"][0]["peak_torque_nm"]
    tables.write(heavy, tmp_path)
    written = (tmp_path / "torques.sto").read_text().splitlines()
    assert written[6].split("\t") == ["time", *vocabulary.DOFS]
    values = np.genfromtxt(written[7:])
    np.testing.assert_allclose(values[:, 1:], heavy.torque, rtol=1e-4, atol=1e-3)


def test_a_run_is_packed_and_predicts_the_same(pose_dir, tmp_path):
    folder = pack(pose_dir, tmp_path / "packed", "python launch.py")
    pose = track_to_pose(squats(2))
    whole, packed = (video2emg.load(w).predict_pose(pose, load=20.0) for w in (pose_dir, folder))
    np.testing.assert_allclose(packed.emg, whole.emg, atol=2e-3)
    assert json.loads((folder / "config.json").read_text())["data"]["dir"] == ""
    with pytest.raises(UserError, match="not empty"):
        pack(pose_dir, folder)


def test_two_commands_and_a_film(tmp_path, capfd, no_network):
    """A man squats without a load; his thighs work when he is low and rises."""
    model()
    path = cut_out("squat/squat_side.mp4", tmp_path, 7.0, 19.5)
    out = tmp_path / "out"
    flags = ["--height", 1.75, "--equipment", "none", "--pose_rate", 8]
    assert launch("predict", "--video", path, *flags, "--out", out) == 0
    written = json.loads((out / "prediction.json").read_text())
    assert len(written["repetitions"]) == 2 and written["emg"]["simulated_training"]
    table = np.genfromtxt(out / "emg.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    time, thigh = table["time_s"], table["left_vastus_lateralis"]
    for repetition in written["repetitions"]:
        start, end = repetition["start_s"], repetition["end_s"]
        peak = time[(time > start) & (time < end)][thigh[(time > start) & (time < end)].argmax()]
        turn = start + repetition["movement"]["first_half_s"]
        assert turn - 0.5 < peak < end
        assert 80 < repetition["movement"]["range_left_deg"] < 130
    standing = np.nanmean(thigh[(time > 5.2) & (time < 6.5)])
    assert np.nanmax(thigh) > 5 * standing
    assert written["followed"] == ["part.mp4: one person was seen"]
    report = (out / "report.html").read_text()
    assert len(report) > 100_000 and "Followed in part.mp4: one person was seen" in report
    assert {"pose.trc", "emg.sto"} <= {file.name for file in out.iterdir()}
    assert "the far arm and leg are hidden" in capfd.readouterr().err


def test_a_walk_has_no_repetition_and_a_reason(tmp_path, capfd):
    model()
    path = cut_out("sports2d/demo.mp4", tmp_path, 2.4, 5.6)
    assert launch("predict", "--video", path, "--equipment", "none", "--out", tmp_path / "o") == 3
    written = json.loads((tmp_path / "o" / "prediction.json").read_text())
    assert not written["repetitions"] and written["score"] is None
    assert any("walks through the picture" in warning for warning in written["warnings"])
