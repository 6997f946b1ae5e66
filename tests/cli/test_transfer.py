"""The flags of the command; what it does is tested in tests/jobs/test_transfer.py."""

import pytest

from tests.cli.command import launch
from video2emg.jobs import transfer


def test_the_flags_reach_the_job(monkeypatch):
    seen = []
    monkeypatch.setattr(transfer, "run", seen.append)
    flags = ["--run", "runs/a", "--dataset", "mia/cross_subject", "--manual_dir", "mia"]
    assert launch("transfer", *flags) == 0
    assert seen[-1] == transfer.Settings("runs/a", "mia/cross_subject", manual_dir="mia")
    assert seen[-1].k == (0, 1, 2, 5, 10)
    more = ["--k", 0, 3, "--action", "Squat,Running", "--split", "test", "--apply_lag"]
    assert launch("transfer", *flags, *more, "--seed", 4) == 0
    last = seen[-1]
    assert (last.k, last.action, last.split) == ((0, 3), ("Squat", "Running"), "test")
    assert last.apply_lag and last.seed == 4


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--run", "runs/a"], "say which dataset"),
        (["--run", "nowhere", "--dataset", "gymsim/tiny"], "no configuration of a run here"),
        (["--run", "nowhere", "--dataset", "gymsim/tiny", "--k", "-1"], "numbers from 0 on"),
        (["--k", "many"], "many"),
    ],
)
def test_mistakes_cost_one_line(flags, says, capsys):
    assert launch("transfer", *flags) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
