"""The command as a user meets it: mistakes cost one line, and the smallest run leaves everything."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from configs import v2emg
from video2emg import experiment
from video2emg.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = "configs/v2emg.py:debug"


def launch(*flags):
    command = [sys.executable, "launch.py", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)


def tiny_config(data_dir, **train):
    config = v2emg.get_config("debug")
    config.data.dir = str(data_dir)
    config.train.update(steps=4, eval_every=2, save_every=2, log_every=2, warmup_steps=1, **train)
    return config


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--config", f"{CONFIG[:-6]}:debgu"], "debgu"),
        (["--config", "configs/nowhere.py"], "nowhere.py"),
        (["--config", CONFIG, "--config.train.stepz=3"], "stepz"),
        (["--config", CONFIG, "--config.train.steps=many"], "steps"),
        ([], "--config"),
    ],
)
def test_a_mistyped_command_costs_one_line(flags, says, tmp_path):
    done = launch(*flags, "--workdir", tmp_path / "run")
    assert done.returncode not in (0, None)
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_debug_run_end_to_end_then_again(tiny_dir, tmp_path, capsys):
    config = tiny_config(tiny_dir)
    found = experiment.run(config, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    for name in ("skill", "pcc", "rmse", "amplitude_r"):
        assert isinstance(written["test"]["model"][name], float)
    for baseline in ("zero", "train_mean", "template", "nearest_neighbour"):
        assert {"skill", "pcc", "rmse"} <= set(written["test"]["baselines"][baseline])
    assert written["provenance"]["simulated"] is True
    assert {"best", "checkpoints", "figures", "metrics.jsonl", "reference.json", "tensorboard"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    again = experiment.run(config, tmp_path / "run")
    assert again["test"] == written["test"] == json.loads(json.dumps(found["test"]))
    assert "finished before" in capsys.readouterr().err


def test_another_configs_workdir_is_refused_with_the_difference(tiny_dir, tmp_path):
    experiment._claim(tmp_path / "run", tiny_config(tiny_dir))
    with pytest.raises(UserError, match=r"belongs to another configuration.*train\.batch_size"):
        experiment.run(tiny_config(tiny_dir, batch_size=2), tmp_path / "run")


def test_a_folder_of_something_else_is_refused(tiny_dir, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not empty and holds no run"):
        experiment.run(tiny_config(tiny_dir), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
