"""The command as a user meets it: mistakes cost one line, the smallest run leaves everything."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from configs import v2emg
from video2emg.core.errors import UserError
from video2emg.jobs import video2emg
from video2emg.run.workdir import init_workdir

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
    assert "20 actions, 60 key steps" in done.stdout
    found = {path.name for path in tmp_path.iterdir()}
    assert {"barbell_squat.png", "gymsim.graphml", "gymsim.jsonld"} <= found and len(found) == 22


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
