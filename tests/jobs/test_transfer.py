"""A trained model on datasets that it was not trained on."""

import dataclasses
import json

import numpy as np
import pytest

from tests.conftest import fast_jobs, make_clip
from tests.data.lifter import lifter
from tests.data.mia_tree import grow
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.repetitions import Repetitions
from video2emg.data.select import Montage
from video2emg.data.store import open_dataset
from video2emg.eval.shrinkage import FILE
from video2emg.export.packed import pack
from video2emg.jobs import transfer
from video2emg.run import setup
from video2emg.run.workdir import read_config


def test_the_same_command_runs_on_windows_of_three_seconds(pose_dir, tmp_path, capsys):
    settings = transfer.Settings(
        run=str(pose_dir),
        dataset="mia/cross_subject",
        data_dir=str(tmp_path / "data"),
        manual_dir=str(grow(tmp_path)),
        out=str(tmp_path / "out"),
        k=(0, 1, 2, 50),
        action=("Squat",),
        bootstrap=20,
    )
    with fast_jobs():
        found = transfer.run(settings)
    printed = capsys.readouterr()
    assert printed.out.endswith((tmp_path / "out" / "table.txt").read_text())
    assert "left_biceps_brachii" not in printed.err  # the model knows it
    rungs = found["test"]["rungs"]
    assert set(rungs) == {"0", "1", "2"}  # nobody has 50
    # Six windows of each of three people; two are never revealed.
    assert {rung["repetitions"] for rung in rungs.values()} == {6}
    assert {rung["people"] for rung in rungs.values()} == {3}
    for k, rung in rungs.items():
        model = rung["rows"]["model"]
        assert set(model["by_muscle"]) == {"quadriceps", "hamstrings", "latissimus_dorsi"} | {
            "biceps_brachii"
        }
        assert np.isfinite(model["r"]) and (model["rmse"] is None) == (k == "0")
        assert {"ridge of other people", "physics, cleaned pose"} < set(rung["rows"])
    assert set(found["test"]["delays"]) == {"Subject0", "Subject1", "Subject2"}
    assert found["provenance"]["trained_on"] == "gymsim/tiny"
    assert not found["provenance"]["simulated"]
    assert (tmp_path / "out" / "table.png").exists()


def test_one_lifter_with_joint_angles(pose_dir, tmp_path, capsys):
    """No film, no MVC, no other people; the sets are cut by their pose."""
    lifter(tmp_path / "mine", seconds=16.0)
    settings = transfer.Settings(
        run=str(pose_dir),
        dataset="recordings/default",
        data_dir=str(tmp_path / "data"),
        manual_dir=str(tmp_path / "mine"),
        out=str(tmp_path / "out"),
        k=(0, 1, 2),
        bootstrap=20,
    )
    with fast_jobs():
        found = transfer.run(settings)
    printed = capsys.readouterr()
    rungs = found["test"]["rungs"]
    assert [rungs[k]["repetitions"] for k in "012"] == [6, 6, 6] and rungs["0"]["people"] == 1
    for k in "12":
        rows = rungs[k]["rows"]
        assert "ridge of other people" not in rows
        assert rows["kinematic"]["r"] > 0.8 and rows["kinematic"]["skill"] > 0.4
        assert rows["kinematic"]["r"] == pytest.approx(rows["kinematic"]["r_lag"])
    assert rungs["0"]["rows"]["model"]["skill"] is None
    assert "k = 2: r at lag (skill), loudness" in printed.out
    assert "delay of the EMG after the movement" in printed.out


def test_files_in_the_layout_of_flex(pose_dir, tiny_dir, tmp_path):
    splits = open_dataset("gymsim/tiny", tiny_dir).splits
    to_flex(
        {name: Repetitions(Montage(clips, "flex")) for name, clips in splits.items()},
        tmp_path / "flex",
    )
    settings = transfer.Settings(
        run=str(pose_dir),
        dataset="flex/cross_subject",
        data_dir=str(tmp_path / "data"),
        manual_dir=str(tmp_path / "flex"),
        out=str(tmp_path / "out"),
        k=(0, 1),
        bootstrap=20,
    )
    with fast_jobs():
        found = transfer.run(settings)
    assert set(found["test"]["rungs"]) == {"0", "1"}
    assert found["provenance"]["simulated"]
    assert np.isfinite(found["test"]["rungs"]["1"]["rows"]["ridge"]["skill"])


def test_a_model_that_sees_films_is_shown_its_views(run_dir, tiny_dir, tmp_path, capsys):
    settings = transfer.Settings(
        run=str(run_dir),
        dataset="gymsim/tiny",
        data_dir=str(tiny_dir),
        out=str(tmp_path / "out"),
        k=(0, 1),
        action=("barbell_squat",),
        bootstrap=20,
    )
    with fast_jobs():
        found = transfer.run(settings)
    assert "only --split test is honest" in capsys.readouterr().err
    for k, rung in found["test"]["rungs"].items():
        rows = rung["rows"]
        assert rows["physics"]["r"] > 0.6 > rows["model"]["r"]  # trained for two steps
        assert (rows["model"]["rmse"] is not None) and (rows["model"]["skill"] is None) == (
            k == "0"
        )
    assert found["provenance"]["sees"] == "video" and found["provenance"]["simulated"]
    window = setup.trained_window(read_config(run_dir), run_dir)
    assert window.joints == vocabulary.FLEX_21 and window.dofs == vocabulary.DOFS


def test_a_packed_run_is_a_run(pose_dir, tiny_dir, tmp_path):
    settings = transfer.Settings(
        run=str(pack(pose_dir, tmp_path / "packed")),
        dataset="gymsim/tiny",
        data_dir=str(tiny_dir),
        k=(0,),
        split="test",
        action=("dumbbell_curl",),
        bootstrap=20,
    )
    with fast_jobs():
        packed = transfer.run(settings)
        own = transfer.run(
            dataclasses.replace(settings, run=str(pose_dir), out=str(tmp_path / "out"))
        )
    rows = [found["test"]["rungs"]["0"]["rows"]["model"]["r"] for found in (packed, own)]
    assert rows[0] == pytest.approx(rows[1], abs=0.02)  # parameters of 16 bits
    assert (tmp_path / "packed" / "transfer" / "gymsim_tiny" / "table.txt").exists()


def test_what_is_learned_from_people_is_used_for_other_people(pose_dir, tiny_dir, tmp_path, capsys):
    run = pack(pose_dir, tmp_path / "packed")
    settings = transfer.Settings(
        run=str(run),
        dataset="gymsim/tiny",
        data_dir=str(tiny_dir),
        k=(1,),
        split="test",
        bootstrap=20,
    )
    with pytest.raises(UserError, match="trained on its people"):
        transfer.learn_prior(dataclasses.replace(settings, split="all"), run / FILE)
    with fast_jobs():
        prior = transfer.learn_prior(settings, run / FILE)
        assert prior.dataset == "gymsim/tiny" and np.isfinite(prior.mean).all()
        same = transfer.run(settings)
        assert "not used; it was learned from the people of" in capsys.readouterr().err
        dataclasses.replace(prior, dataset="gymsim/others").save(run / FILE)
        other = transfer.run(settings)
    assert same["provenance"]["prior"] is None
    assert other["provenance"]["prior"] == "gymsim/others"
    weights = [results["test"]["rungs"]["1"]["weights"] for results in (same, other)]
    assert weights[1].get("learned", 0) > weights[0].get("learned", 0) == 0
    assert (pack(run, tmp_path / "again") / FILE).exists()


def test_it_says_at_once_what_is_wrong(pose_dir, tiny_dir, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"job": "aqa"}))
    good = transfer.Settings(
        run=str(pose_dir), dataset="gymsim/tiny", data_dir=str(tiny_dir), out=str(tmp_path / "out")
    )
    for changed, says in (
        ({"k": (-1,)}, "--k"),
        ({"run": str(tmp_path / "other")}, "a run of job 'aqa'"),
        ({"run": str(tmp_path)}, "no configuration of a run here"),
        ({"action": ("yoga",)}, "--action yoga: not in gymsim/tiny"),
        ({"dataset": "gymsim/none"}, "gymsim/none"),
        ({"out": str(pose_dir)}, "a run lives there"),
    ):
        with pytest.raises(UserError, match=says):
            transfer.run(dataclasses.replace(good, **changed))
    assert not (tmp_path / "out").exists()


def test_a_group_of_muscles_is_the_mean_of_those_that_are_known():
    known = ["left_vastus_lateralis", "left_vastus_medialis", "right_rectus_femoris"]
    assert transfer._columns("left_quadriceps", known) == [0, 1]
    assert transfer._columns("right_quadriceps", known) == [2]
    assert transfer._columns("left_vastus_medialis", known) == [1]
    assert transfer._columns("left_soleus", known) == []


def test_clips_that_cannot_be_used_are_counted(clips):
    known = clips[0].muscles
    assert transfer._unusable(clips[0], known, False) == ""
    assert "no EMG" in transfer._unusable(clips[0], ["left_soleus"], False)
    assert "no pose" in transfer._unusable(
        dataclasses.replace(clips[0], pose_time=np.zeros(0)), known, False
    )
    assert "no film" in transfer._unusable(make_clip(0, views=()), known, True)
