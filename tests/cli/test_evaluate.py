"""A finished run, evaluated again from the command line."""

import pytest

from tests.cli.command import launch
from video2emg.cli import evaluate
from video2emg.eval import results


def test_an_evaluation_gets_a_folder_of_its_own_in_the_run(run_dir, capsys):
    files = {path.name for path in run_dir.iterdir()}
    assert launch("evaluate", "--run", run_dir, "--config.data.views=('front',)") == 0
    out = run_dir / "evaluations" / "test-data.views=front"
    assert {path.name for path in out.iterdir()} == {
        "figures",
        "results.json",
        "scores.npz",
        "table.txt",
    }
    printed = capsys.readouterr().out
    assert printed == (out / "table.txt").read_text()
    found = results.read_results(out / "results.json")
    assert found["provenance"]["evaluation"]["changed"] == {"data.views": ["front"]}
    assert {path.name for path in run_dir.iterdir()} == files | {"evaluations"}


@pytest.mark.slow
def test_mechanics_alone_stand_in_the_table(run_dir, tmp_path):
    out = tmp_path / "out"
    flags = ["--run", run_dir, "--out", out, "--config.eval.physics=True"]
    assert launch("evaluate", *flags) == 0
    found = results.read_results(out / "results.json")["test"]["baselines"]
    assert found["physics"]["pcc"] > found["template"]["pcc"]
    assert found["physics"]["pcc"] > found["physics_other_anatomy"]["pcc"] > 0.5


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--config.train.steps=3"], "config.train.steps: belongs to the training"),
        (["--config.data.viewz=3"], "viewz"),
        (["--config", "configs/v2emg.py"], "unknown flag --config"),
    ],
)
def test_mistakes_cost_one_line(flags, says, run_dir, tmp_path, capsys):
    assert launch("evaluate", "--run", run_dir, *flags, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--data_dir", "--config.data.dir"])
def test_a_missing_dataset_is_not_built(flag, run_dir, tmp_path, capsys):
    data = tmp_path / "nowhere"
    flags = (f"{flag}={data}", "--out", tmp_path / "out")
    assert launch("evaluate", "--run", run_dir, *flags) == 2
    error = capsys.readouterr().err
    assert f"config.data.dir={data}: 'gymsim/tiny' is not there" in error
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_name_of_an_evaluation_tells_what_was_changed():
    changed = {"data.select.test_views": ("front", "left"), "eval.batch_size": 8}
    name = "validation-data.select.test_views=front_left-eval.batch_size=8"
    assert evaluate.name_of("validation", changed) == name
    assert evaluate.name_of("test", {}) == "test"
