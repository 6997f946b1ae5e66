"""The command as a user meets it: mistakes cost one line, the smallest run leaves everything."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from configs import v2emg
from video2emg.core.errors import UserError
from video2emg.fkg.load import load

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = "configs/v2emg.py:debug"


def launch(*flags):
    command = [sys.executable, "launch.py", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)


def tiny_config(data_dir, **train):
    config = v2emg.get_config("debug")
    config.data.dir = str(data_dir)
    config.train.update(steps=4, eval_every=2, save_every=2, log_every=2, warmup_steps=1)
    config.train.update(dict(batch_size=8) | train)
    return config


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--config", f"{CONFIG[:-6]}:debgu"], "debgu"),
        (["--config", "configs/nowhere.py"], "nowhere.py"),
        (["--config", CONFIG, "--config.train.stepz=3"], "stepz"),
        (["--config", CONFIG, "--config.train.steps=many"], "steps"),
        (["--config", CONFIG, "--config.data.views=3"], "views"),
        (["--config", CONFIG, "--config.model.encoder.name=cmm"], "config.model.encoder.name"),
        (["--config", CONFIG, "--config.data.frame_rate=7"], "emg_rate"),
        (["--config", CONFIG, "--config.train.optimiser=sgd"], "config.train.optimiser"),
        (["--config", CONFIG, "--config.train.steps=3"], "config.train.warmup_steps=4"),
        (["--config", CONFIG, "again"], "again"),
        (["--confg", CONFIG], "confg"),
        (["check-data"], "--name"),
        (["check-data", "--name", "gymsin/tiny"], "gymsin"),
        (["check-data", "--name", "recordings/default"], "manual_dir"),
        (["check-data", "--name", "recordings/default", "--manual_dir", "docs"], "clips.csv"),
        (["graph"], "--name"),
        (["predict"], "--checkpoint"),
        (["predict", "--checkpoint", "docs", "--video", "nowhere.mp4"], "nowhere.mp4"),
        (["predict", "--checkpoint", "docs", "--video", "README.md"], "no configuration"),
        (["predict", "--checkpoint", "docs", "--video", "a.mp4", "--camera", "0"], "--camera 0"),
        (["predict", "--checkpoint", "docs", "--camera", "0"], "no configuration"),
        (["export"], "--checkpoint"),
        (["graph", "--name", "gymsin"], "gymsin"),
        (["--config", "configs/baselines.py:debug", "--sweep"], "--sweep"),
        ([], "--config"),
    ],
)
def test_a_mistyped_command_costs_one_line(flags, says, tmp_path):
    done = launch(*flags, "--workdir", tmp_path / "run")
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_graph_becomes_pictures_and_files(tmp_path):
    done = launch("graph", "--name", "gymsim", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    graph = load("gymsim")
    assert f"{len(graph.actions)} actions, {len(graph.key_steps)} key steps" in done.stdout
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"gymsim.graphml", "gymsim.jsonld", *(f"{a}.png" for a in graph.actions)}


def test_a_sweep_as_commands_that_can_be_run_anywhere(tmp_path):
    done = launch("--config", CONFIG, "--config.train.steps=9", "--workdir", "w", "--sweep_print")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"python launch.py --config {CONFIG} --config.train.steps=9 --workdir w/{seed} "
        f"--config.train.seed={seed}"
        for seed in range(3)
    ]


def test_how_the_state_lies_on_devices_is_printed_without_data(tmp_path):
    done = launch("--config", CONFIG, "--print_sharding", "--compilation_cache=")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0].split()[:3] == ["leaf", "shape", "spec"]
    kernel = next(r for r in rows if r.startswith("params/layer_0/Attention_0/query/kernel"))
    assert kernel.split()[1] == "32×2×16" and kernel.split()[-1] == f"{32 * 32 * 4:,}"


def test_a_bucket_is_not_taken_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--workdir=gs://bucket/run: not a folder"):
        video2emg.run(tiny_config("data"), "gs://bucket/run")
    with pytest.raises(UserError, match=r"config.data.dir=s3:/.*: not a folder"):
        video2emg.run(tiny_config("s3://bucket/data"), tmp_path / "run")
    assert not list(tmp_path.glob("*:"))


def test_debug_run_end_to_end_then_again(tiny_dir, tmp_path, capsys):
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
    again = video2emg.run(config, tmp_path / "run")
    assert again["test"] == written["test"]
    assert found["test"]["model"]["skill"] == written["test"]["model"]["skill"]
    assert "finished before" in capsys.readouterr().err


def test_another_configs_workdir_is_refused_with_the_difference(tiny_dir, tmp_path):
    init_workdir(tmp_path / "run", tiny_config(tiny_dir))
    with pytest.raises(UserError, match=r"belongs to another configuration.*train\.batch_size"):
        video2emg.run(tiny_config(tiny_dir, batch_size=16), tmp_path / "run")


def test_a_folder_of_something_else_is_refused(tiny_dir, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not empty and holds no run"):
        video2emg.run(tiny_config(tiny_dir), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
