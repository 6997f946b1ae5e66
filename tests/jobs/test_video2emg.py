"""The main job: the smallest run leaves everything, and can be evaluated again in other ways."""

import dataclasses
import json
import types
import zlib

import numpy as np
import pytest

from configs import v2emg
from tests.eval.test_scores import table as score_table
from video2emg.core.errors import UserError
from video2emg.eval import comparison, results, scores
from video2emg.jobs import video2emg
from video2emg.run.workdir import SCORES, init_workdir, read_config


def tiny_config(data_dir, **train):
    config = v2emg.get_config("debug")
    config.data.dir = str(data_dir)
    config.train.update(steps=4, eval_every=2, save_every=2, log_every=2, warmup_steps=1)
    config.train.update(dict(batch_size=8) | train)
    return config


def test_a_bucket_is_not_taken_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--workdir=gs://bucket/run: not a folder"):
        video2emg.run(tiny_config("data"), "gs://bucket/run")
    with pytest.raises(UserError, match=r"config.data.dir=s3:/.*: not a folder"):
        video2emg.run(tiny_config("s3://bucket/data"), tmp_path / "run")
    assert not list(tmp_path.glob("*:"))


def test_debug_run_end_to_end_then_again(tiny_dir, tmp_path, capsys, figures):
    config = tiny_config(tiny_dir)
    found = video2emg.run(config, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    for name in ("skill", "pcc", "rmse"):
        assert isinstance(written["test"]["model"][name], float)
    # One repetition per exercise: no amplitudes to correlate, and the file says so.
    assert written["test"]["model"]["amplitude_r"] is None
    for baseline in ("zero", "train_mean", "template", "nearest_neighbour"):
        assert {"skill", "pcc", "rmse"} <= set(written["test"]["baselines"][baseline])
    assert written["provenance"]["simulated"] is True
    assert {
        "best",
        "checkpoints",
        "figures",
        "metrics.jsonl",
        "normalisation.json",
        "tensorboard",
    } <= {path.name for path in (tmp_path / "run").iterdir()}
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = {name for name in steps[0] if name.startswith("loss_")}
    assert {"loss_pose", "loss_load", "loss_held", "loss_pose_only_emg"} <= losses
    assert not {"loss_pose_only_pose", "loss_pose_only_load"} & losses  # nothing predicts them
    again = video2emg.run(config, tmp_path / "run")
    assert again["test"] == written["test"]
    assert found["test"]["model"]["skill"] == written["test"]["model"]["skill"]
    assert "finished before" in capsys.readouterr().err


@pytest.mark.parametrize("count", [-1, 0.5])
def test_a_number_of_pose_windows_that_makes_no_sense_is_refused(tiny_dir, tmp_path, count):
    config = tiny_config(tiny_dir)
    with config.unlocked(), config.ignore_type():
        config.train.pose_windows = count
    with pytest.raises(UserError, match="pose_windows: expected a whole number"):
        video2emg.run(config, tmp_path / "run")


def test_another_configs_workdir_is_refused_with_the_difference(tiny_dir, tmp_path):
    init_workdir(tmp_path / "run", tiny_config(tiny_dir))
    with pytest.raises(UserError, match=r"belongs to another configuration.*train\.batch_size"):
        video2emg.run(tiny_config(tiny_dir, batch_size=16), tmp_path / "run")


def test_a_folder_of_something_else_is_refused(tiny_dir, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not empty and holds no run"):
        video2emg.run(tiny_config(tiny_dir), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def checksums(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: (path.stat().st_mtime_ns, zlib.crc32(path.read_bytes())) for path in files}


def test_an_evaluation_without_changes_repeats_the_results_of_the_run(run_dir, tmp_path, figures):
    before = checksums(run_dir)
    out = tmp_path / "again"
    evaluation = video2emg.evaluate(read_config(run_dir), run_dir, out)
    own = results.read_results(run_dir / "results.json")
    written = results.read_results(out / "results.json")
    assert written["test"] == own["test"]
    assert written["provenance"]["evaluation"] == {"run": str(run_dir), "changed": {}}
    assert evaluation["test"]["model"]["skill"] == own["test"]["model"]["skill"]
    assert (out / "scores.npz").read_bytes() == (run_dir / "scores.npz").read_bytes()
    assert {"amplitude.png", "skill.png"} <= {path.name for path in (out / "figures").iterdir()}
    assert (out / "table.txt").read_text().startswith("gymsim/tiny")
    assert checksums(run_dir) == before


@pytest.mark.parametrize(
    "split, changes",
    [
        ("test", {"data.views": ("front",)}),
        ("test", {"data.select.test_views": ("front_left", "front")}),
        ("test", {"data.select.without_action": "barbell_squat"}),
        ("validation", {}),
    ],
)
def test_an_evaluation_of_other_clips_or_views(split, changes, run_dir, tmp_path):
    before = checksums(run_dir)
    config = read_config(run_dir)
    config.update_from_flattened_dict(changes)
    video2emg.evaluate(config, run_dir, tmp_path, split)
    own = results.read_results(run_dir / "results.json")["test"]
    found = results.read_results(tmp_path / "results.json")
    assert set(found) == {"schema_version", "provenance", split}
    assert found[split]["model"]["rmse"] != own["model"]["rmse"]
    assert checksums(run_dir) == before
    if "data.select.without_action" in changes:
        # The model and the baselines have learned from that action nevertheless.
        same = own["model"]["by_action"]["barbell_squat"]["skill"]
        assert list(found[split]["model"]["by_action"]) == ["barbell_squat"]
        assert found[split]["model"]["skill"] == pytest.approx(same)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"train.steps": 3}, "config.train.steps: belongs to the training"),
        ({"data.select.people": 2}, "config.data.select.people: belongs to the training"),
        ({"data.views": ()}, "config.data.views"),
        ({"data.select.test_views": ("front",)}, "as many are needed"),
    ],
)
def test_what_an_evaluation_cannot_change(changes, says, run_dir, tmp_path):
    config = read_config(run_dir)
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=says):
        video2emg.evaluate(config, run_dir, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_evaluation_needs_a_finished_run_and_another_folder(run_dir, aqa_dir, tmp_path):
    with pytest.raises(UserError, match="holds a run"):
        video2emg.evaluate(read_config(run_dir), run_dir, run_dir)
    with pytest.raises(UserError, match="no finished"):
        video2emg.evaluate(read_config(aqa_dir), aqa_dir, tmp_path)
    with pytest.raises(UserError, match="--split 'train'"):
        video2emg.evaluate(read_config(run_dir), run_dir, tmp_path, "train")


def test_a_table_shows_the_baselines_that_any_of_its_rows_was_scored_with(tmp_path):
    """`physics` needs a pose, so that only the second row has it; the template is the first's."""
    model = scores.join([score_table()])  # in the order of its clips' ids
    theirs = dataclasses.replace(model, template_sq_error=2 * model.template_sq_error)
    parts = {
        "video": {"model": model, "template": model},
        "pose": {"model": theirs, "template": theirs, "physics": theirs},
    }
    runs = []
    for row, tables in parts.items():
        workdir = tmp_path / row
        workdir.mkdir()
        comparison.save(workdir / SCORES, tables)
        runs.append(types.SimpleNamespace(row=row, seed=0, workdir=workdir))
    systems, trivial = video2emg._systems(runs, "video")
    assert trivial == ("template", "physics")
    assert list(systems) == ["video", "pose", "template", "physics"]
    for tables in systems.values():
        np.testing.assert_array_equal(tables[0].template_sq_error, model.template_sq_error)
