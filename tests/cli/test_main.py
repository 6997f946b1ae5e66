"""The command as a user meets it: help, mistakes of one line, exit statuses."""

import errno
import importlib
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest

from tests.cli.command import launch
from video2emg.cli import graph, main
from video2emg.cli.flags import FilmFlags
from video2emg.core.errors import Interrupted

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = "configs/v2emg.py:debug"
EIGHT = ["--config", CONFIG, "--config.train.batch_size=8"]  # the tests have as many devices


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--config", f"{CONFIG[:-6]}:debgu"], "debgu"),
        (["--config", "configs/nowhere.py"], "nowhere.py"),
        (["--config", CONFIG, "--config.train.stepz=3"], "stepz"),
        (["--config", CONFIG, "--config.train.steps=many"], "steps"),
        (["--config", CONFIG, "--config.train.steps", "many"], "steps"),
        ([*EIGHT, "--config.data.views=()"], "config.data.views"),
        ([*EIGHT, "--config.model.encoder.name=cmm"], "config.model.encoder.name"),
        ([*EIGHT, "--config.data.frame_rate=7"], "emg_rate"),
        ([*EIGHT, "--config.train.optimiser=sgd"], "config.train.optimiser"),
        ([*EIGHT, "--config.train.steps=3"], "config.train.warmup_steps=4"),
        (["--config", CONFIG, "again"], "unexpected argument 'again'"),
        (["train", "--config", CONFIG, "--process", "two"], "--process: invalid literal"),
        (["--confg", CONFIG], "unknown flag --confg (did you mean --config?)"),
        (["--config", CONFIG, "--dataset", "gymsim/tiny"], "unknown flag --dataset"),
        (["--config", "configs/baselines.py:debug", "--sweep"], "--sweep"),
        (["--workdir"], "Missing value for argument '--workdir'"),
        ([], "--config"),
    ],
)
def test_a_mistake_in_a_training_command_costs_one_line(flags, says, tmp_path, capsys):
    workdir = [] if flags == ["--workdir"] else ["--workdir", tmp_path / "run"]
    assert launch(*flags, *workdir) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags, says",
    [
        (["trian"], "unknown command 'trian' (did you mean train?)"),
        (["check-data"], "--dataset"),
        (["check-data", "--dataset", "gymsin/tiny"], "gymsin"),
        (["check-data", "--dataset", "recordings/default"], "manual_dir"),
        (["check-data", "--dataset", "recordings/default", "--manual_dir", "docs"], "clips.csv"),
        (["check-data", "--name", "recordings/default"], "unknown flag --name"),
        (["prepare-data"], "--dataset"),
        (["export-data"], "--dataset"),
        (["export-data", "--dataset", "gymsim/tiny", "--layout", "coco"], "'flex', 'mia'"),
        (["export-data", "--dataset", "gymsim/tiny", "--data_dir", "nowhere"], "prepare-data"),
        (["graph"], "--graph"),
        (["graph", "--graph", "gymsin"], "gymsin"),
        (["graph", "--graph", "gymsim", "--config.train.steps=3"], "--config.train.steps"),
        (["predict"], "--video"),
        (["predict", "--camera", "0", "--person", "2"], "the largest in the picture"),
        (["predict", "--video", "a.mp4", "--height", "175"], "0.5 to 2.5 m"),
        (["predict", "--pose", "nowhere.trc"], "nowhere.trc"),
        (["predict", "--checkpoint", "docs"], "unknown flag --checkpoint"),
        (["predict", "--run", "docs"], "--video"),
        (["predict", "--run", "docs", "--video", "nowhere.mp4"], "nowhere.mp4"),
        (["predict", "--run", "docs", "--video", "README.md"], "no configuration"),
        (["predict", "--run", "docs", "--video", "a.mp4", "--camera", "0"], "--camera 0"),
        (["predict", "--run", "docs", "--camera", "0"], "no configuration"),
        (["predict", "--run", "docs", "--camera", "0", "--load", "-1"], "--load -1.0"),
        (["predict", "--run", "docs", "--camera", "0", "--load", "x"], "--load"),
        (["predict", "--run", "docs", "--camera", "0", "--rate", "5"], "has its own clock"),
        (["predict", "--run", "docs", "--camera", "0", "--overlay"], "no configuration"),
        (["predict", "--run", "docs", "--camera", "0", "--measured", "emg.csv"], "use --video"),
        (["export"], "--run"),
        (["evaluate"], "--run"),
        (["evaluate", "--run", "docs"], "no configuration"),
        (["evaluate", "--run", "docs", "--split", "train"], "'test', 'validation'"),
        (["publish"], "--run"),
        (["publish", "--run", "runs/nowhere"], "--name"),
        (["publish", "--run", "runs/nowhere", "--kind", "aqa"], "runs/nowhere/results.json"),
    ],
)
def test_a_mistake_in_another_command_costs_one_line(flags, says, tmp_path, capsys):
    out = [] if flags[0] in ("trian", "prepare-data", "publish") else ["--out", tmp_path / "out"]
    assert launch(*flags, *out) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_all_of_its_flags(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert launch(command, "--help") == 0
    text = capsys.readouterr().out
    module = importlib.import_module(f"video2emg.cli.{command.replace('-', '_')}")
    assert module.__doc__.splitlines()[0] in text
    lines = [line.strip(" │") for line in text.partition("--help ")[2].splitlines()]
    flags = [(module.Options, name) for name in module.Options.__dataclass_fields__]
    if (module.Options, "film") in flags:
        flags.remove((module.Options, "film"))
        flags += [(FilmFlags, name) for name in FilmFlags.__dataclass_fields__]
    for options, name in flags:
        if name != "overrides":
            start = next(n for n, line in enumerate(lines) if line.startswith(f"--{name}"))
            assert attribute(options, name)[:10] in lines[start] + lines[start + 1]
    assert "overrides" not in text


def attribute(options, name):
    """What the docstring says of a field."""
    docs = (kind.__doc__ for kind in options.__mro__ if f"\n      {name}: " in kind.__doc__)
    return next(docs).split(f"\n      {name}: ")[1]


def test_the_list_of_commands(capsys):
    assert launch("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    for command, what in main.COMMANDS.items():
        assert any(line.split(maxsplit=1) == [command, what] for line in lines)
    folder = pathlib.Path(main.__file__).parent
    for command in main.COMMANDS:
        assert (folder / f"{command.replace('-', '_')}.py").exists()


def test_flags_may_be_written_with_dashes(capsys):
    assert launch("check-data", "--dataset", "recordings/default", "--manual-dir", "docs") == 2
    assert "clips.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, status, says",
    [
        (Interrupted("SIGTERM: saved"), 75, "SIGTERM: saved"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "a.npz"), 2, "disk full while writing a.npz"),
        (OSError(errno.ENOSPC, "No space left"), 2, "disk full while writing runs/graph"),
    ],
)
def test_exit_statuses(error, status, says, monkeypatch, capsys):
    def run(options):
        raise error

    monkeypatch.setattr(graph, "run", run)
    assert launch("graph") == status
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "a.npz"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),  # to a worker, not of the output
    ],
)
def test_other_errors_are_bugs_and_keep_their_traceback(error, monkeypatch):
    def run(options):
        raise error

    monkeypatch.setattr(graph, "run", run)
    with pytest.raises(type(error)):
        launch("graph")


def test_output_that_nobody_reads_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, ROOT / "launch.py", "--help"]
    with os.fdopen(writer) as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_predict_imports_nothing_of_figures_and_training():
    """It would wait for them."""
    program = (
        "import sys, video2emg.inference.predictor\n"
        "slow = {'grain', 'matplotlib', 'video2emg.data.train_stream'}\n"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_and_mistakes_wait_for_no_library():
    """In a process of its own, since this one has imported everything."""
    program = (
        "import sys; from video2emg.cli.main import COMMANDS, main\n"
        "assert all(main([command, '--help']) == 0 for command in COMMANDS)\n"
        "assert main(['predict', '--viedo', 'a.mp4']) == 2\n"
        "heavy = {'absl', 'jax', 'numpy', 'tensorflow', 'tensorflow_datasets', 'typeguard'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_and_the_installed_command_are_the_same(tmp_path):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["video2emg"].partition(":")
    assert getattr(importlib.import_module(module), function) is main.main
    command = [sys.executable, ROOT / "launch.py", "graph", "--graph", "gymsin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2 and "gymsin" in done.stderr and done.stderr.count("\n") == 1


def test_a_graph_becomes_pictures_and_files(tmp_path, capsys):
    assert launch("graph", "--graph", "gymsim", "--out", tmp_path) == 0
    assert "20 actions, 60 key steps" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert {"barbell_squat.png", "gymsim.graphml", "gymsim.jsonld"} <= names and len(names) == 22


def test_a_dataset_is_prepared_and_exported(tiny_dir, tmp_path, capsys):
    flags = ("--dataset", "gymsim/tiny", "--data_dir", tiny_dir)
    assert launch("prepare-data", *flags) == 0
    assert capsys.readouterr().out.startswith("gymsim/tiny 2.")
    assert launch("export-data", *flags, "--layout", "mia", "--out", tmp_path / "mia") == 0
    assert capsys.readouterr().out.endswith(f"clips in {tmp_path / 'mia'}\n")
    assert list((tmp_path / "mia").rglob("*.npy"))
    chosen = ("--action", "barbell_squat", "--muscles", "rectus_femoris,semitendinosus")
    out = tmp_path / "squats"
    assert launch("export-data", *flags, "--layout", "mia", *chosen, "--out", out) == 0
    assert {path.parent.parent.name for path in out.rglob("emgvalues.npy")} == {"barbell_squat"}
    facts = (out / "mia.yaml").read_text()
    assert "left_rectus_femoris" in facts and "vastus" not in facts
