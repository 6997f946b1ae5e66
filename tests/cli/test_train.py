"""Configs, sweeps and the workdir from the command line."""

import os
import pathlib
import shlex

import pytest

from configs import aqa, v2emg
from tests.cli.command import launch
from video2emg.cli import config as config_lib
from video2emg.cli import main, train
from video2emg.core.errors import UserError
from video2emg.eval import results
from video2emg.jobs import compare

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = "configs/v2emg.py:debug"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_values_of_a_config_are_changed_in_every_spelling():
    arguments = [
        "--config.data.dir",
        "w",
        "--workdir",
        "w",
        "--config",
        CONFIG,
        "--config.train.steps=9",
        "-config.model.causal",
        "--config.data.views=('left',)",
        "--noconfig.model.auxiliary",
        "--config.train.seed",
        "-1",
    ]
    options = main.parse(train.Options, arguments)
    assert options.workdir == "w" and options.config == CONFIG
    config, changed = config_lib.load(options.config, options.overrides)
    assert changed == {
        "data.dir": "w",
        "train.steps": 9,
        "model.causal": True,
        "data.views": ("left",),
        "model.auxiliary": False,
        "train.seed": -1,
    }
    wanted = v2emg.get_config("debug")
    wanted.update_from_flattened_dict(changed)
    assert config.to_json() == wanted.to_json()


def test_a_config_of_another_folder_finds_its_neighbours(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import ml_collections\n"
        "def get_config(arg=''):\n    return ml_collections.ConfigDict(dict(arg=arg, steps=1))\n"
    )
    monkeypatch.chdir(tmp_path)
    config, _ = config_lib.load(f"{tmp_path}/mine.py:preset", ["--config.steps=2"])
    assert config.to_dict() == {"arg": "preset", "steps": 2}
    assert config_lib.load(f"{ROOT}/configs/aqa.py:debug")[0].to_json() == (
        aqa.get_config("debug").to_json()
    )
    with pytest.raises(UserError, match=r"mine.py has no sweep\(\)"):
        config_lib.function_of("mine.py", "sweep")


def commands(capsys, *flags):
    assert launch(*flags) == 0
    return capsys.readouterr().out.splitlines()


def test_a_sweep_as_commands_that_can_be_run_anywhere(capsys):
    flags = ("--config", CONFIG, "--config.train.steps=9", "--workdir", "w", "--sweep_print")
    assert commands(capsys, *flags) == [
        f"video2emg --config {CONFIG} --config.train.steps=9 --config.train.seed={seed} "
        f"--workdir w/{seed}"
        for seed in range(3)
    ]


def test_the_commands_of_a_sweep_hand_on_every_value(capsys):
    """Also values that are equal to the workdir, and those that the shell would take apart."""
    given = [
        "--config.data.dir",
        "w",
        "--workdir",
        "w",
        "--config.data.views",
        "('left', 'right')",
        "--config.train.seed=7",
        "--config.model.causal",
        "--compilation_cache=",
        "--profile",
    ]
    lines = commands(capsys, "--config", CONFIG, *given, "--sweep_print")
    assert len(lines) == 3
    for seed, line in enumerate(lines):
        program, *arguments = shlex.split(line)
        assert program == "video2emg"
        options = main.parse(train.Options, arguments)
        assert options.workdir == f"w/{seed}" and options.config == CONFIG
        assert options.profile and options.compilation_cache == "" and not options.sweep_print
        config, _ = config_lib.load(options.config, options.overrides)
        wanted = v2emg.get_config("debug")
        wanted.data.update(dir="w", views=("left", "right"))
        wanted.train.seed, wanted.model.causal = seed, True
        assert config.to_json() == wanted.to_json()


def test_the_rows_of_a_sweep_are_named_and_configured():
    comparison, rows = compare.sweep(aqa.get_config("debug"), aqa.sweep())
    names = [*aqa.FROZEN, "predicted_frozen, video=False", "predicted"]
    assert [row.name for row in rows] == names and comparison.baseline == names[0]
    assert {row.seeds for row in rows} == {tuple(range(5))}
    assert {row.config.emg_source for row in rows if row.name == "measured"} == {"measured"}
    overrides = [{"train.steps": 3, "train.seed": 1}, {"train.seed": 2}]
    _, rows = compare.sweep(v2emg.get_config("debug"), overrides)
    assert [(row.name, row.seeds) for row in rows] == [("train.steps=3", (1,)), ("", (2,))]


def test_how_the_state_lies_on_devices_is_printed_without_data(capsys):
    rows = commands(
        capsys,
        "--config",
        CONFIG,
        "--print_sharding",
        "--compilation_cache=",
        "--config.train.batch_size=8",
        "--config.eval.batch_size=8",
    )
    assert rows[0].split()[:3] == ["leaf", "shape", "spec"]
    kernel = next(r for r in rows if r.startswith("params/layer_0/Attention_0/query/kernel"))
    assert kernel.split()[1] == "32×2×16" and kernel.split()[-1] == f"{32 * 32 * 4:,}"


@pytest.mark.slow
def test_a_sweep_is_trained_collected_and_refused_elsewhere(tiny_dir, tmp_path, capsys):
    config = tmp_path / "two_seeds.py"
    config.write_text(
        "from configs import v2emg\n"
        "get_config = v2emg.get_config\n"
        "def sweep():\n    return [{'train.seed': seed} for seed in range(2)]\n"
    )
    steps = dict(steps=2, eval_every=2, save_every=2, warmup_steps=1, batch_size=8)
    tiny = [f"--config.data.dir={tiny_dir}", "--config.eval.batch_size=8"]
    tiny += [f"--config.train.{name}={value}" for name, value in steps.items()]
    flags = ["--config", f"{config}:debug", *tiny, "--workdir", tmp_path / "seeds"]
    assert launch(*flags[:2], *tiny, "--workdir", tmp_path / "seeds/0") == 0
    assert "Traceback" not in capsys.readouterr().err
    assert launch(*flags, "--sweep_collect") == 0
    found = results.read_results(tmp_path / "seeds" / "results.json")
    assert found["provenance"]["seeds"] == [0]
    assert "run 2 of 2: model, seed 1 is not finished" in capsys.readouterr().err
    assert set(os.listdir(tmp_path / "seeds")) == {"0", "config.json", "results.json", "table.txt"}
