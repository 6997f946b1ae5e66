"""Finished results on the pages where readers look."""

import json

import pytest

from tests.cli.command import launch
from video2emg.cli import publish
from video2emg.core.errors import UserError
from video2emg.eval import results

PAGE = "before\n<!-- systems: start -->\nold\n<!-- systems: end -->\nafter img/systems.png\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    root = tmp_path / "checkout"
    for folder in ("docs/img", "results"):
        (root / folder).mkdir(parents=True)
    (root / "README.md").write_text("")
    (root / "docs/published_systems.md").write_text(PAGE)
    monkeypatch.setattr(publish, "ROOT", root)
    return root


def test_a_table_with_its_picture(checkout, tmp_path, capsys):
    run = tmp_path / "run"
    results.write_results(run / "results.json", {"test": {"rows": {}}})
    (run / "table.txt").write_text("a table\n")
    (run / "table.png").write_bytes(b"picture")
    assert launch("publish", "--kind", "table", "--run", run, "--name", "systems") == 0
    assert capsys.readouterr().out == "a table\n"
    page = (checkout / "docs/published_systems.md").read_text()
    assert page == PAGE.replace("old", "```text\na table\n```")
    assert json.loads((checkout / "results/systems.json").read_text())["test"] == {"rows": {}}
    assert (checkout / "docs/img/systems.png").read_bytes() == b"picture"
    assert launch("publish", "--run", run, "--name", "other") == 2
    assert "<!-- other: start -->" in capsys.readouterr().err


def test_an_installed_package_has_no_pages(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    assert launch("publish", "--run", "runs/x", "--name", "systems") == 2
    assert "no checkout" in capsys.readouterr().err


def test_tables_of_extremes_and_coverage():
    groups = {f"g{n}": {"skill": n / 10} for n in range(5)}
    row = {"coverage": 0.81, "width": 0.2, "coverage_ci95": [0.7, 0.9]}
    row["without_predicted_mae"] = {"coverage": 0.79, "width": 0.3}
    model = {f"by_{name}": groups for name in ("action", "muscle", "subject")}
    found = {"test": {"model": model, "calibration": {"0.8": row}}}
    assert "| action | g4 0.40, g3 0.30, g2 0.20 | g0 0.00, g1 0.10, g2 0.20 |" in (
        publish.extremes(found)
    )
    assert publish.coverage(found).splitlines()[-1] == (
        "| 0.8 | 0.810 | 0.700 to 0.900 | 0.200 | 0.790 | 0.300 |"
    )


def test_tables_of_transfer(checkout, tmp_path):
    def row(r, skill, loudness):
        own = {"r_lag": r, "skill": skill, "loudness": loudness}
        prime = {"prime_r_lag": None, "prime_loudness": None}
        return own | prime | {"by_muscle": {"soleus": own, "quadriceps": own | {"r_lag": 0.9}}}

    rungs = {
        "0": {"rows": {"model": row(0.5, None, -0.25), "angle of the joint": row(0.25, None, 0.0)}},
        "5": {"rows": {"model": row(0.75, 0.5, None), "ridge": row(0.5, -0.125, 0.5)}},
    }
    found = {"test": {"rungs": rungs}}
    tables = publish.ladder(found).split("\n\n")
    assert len(tables) == 2  # prime movers are not named
    assert "| model | +0.50, −0.25 | +0.75 (+0.50), – |" in tables[0].splitlines()
    assert "| ridge |  | +0.50 (−0.12), +0.50 |" in tables[0].splitlines()
    assert [line.split(" | ")[0] for line in tables[1].splitlines()[2:]] == [
        "| quadriceps",
        "| soleus",
    ]
    with pytest.raises(UserError, match="say what the tables are called"):
        publish.run(publish.Options(kind="transfer", run=str(tmp_path)))
