"""The table job on the smallest dataset: every kind of row, interrupted and resumed."""

import json
import math
import shutil

import pytest
from PIL import Image

from configs import baselines
from configs.tables import cross_view, protocols, torques, views
from tests.conftest import small
from video2emg.core.errors import UserError
from video2emg.jobs import Options, compare, regressor
from video2emg.run import setup
from video2emg.run.workdir import init_workdir


def table_config(data_dir, **changes):
    config = baselines.get_config("debug")
    config.update(dict(seeds=(0, 1), bootstrap=50) | changes)

    def rows():
        for name, row in baselines.rows(config):
            yield name, small(row, data_dir)

    return config, list(rows())


@pytest.fixture(autouse=True)
def _small_regressors(monkeypatch):
    """Two settings each; the time of support vectors grows with the square of their samples."""
    few = {"ridge": [dict(penalty=p) for p in (0.01, 1.0)]}
    few["support_vector"] = [dict(c=c, most=100) for c in (0.1, 1.0)]
    small = {n: (kind, few.get(n, all_)) for n, (kind, all_) in regressor.REGRESSORS.items()}
    monkeypatch.setattr(regressor, "REGRESSORS", small)


def run(config, rows, workdir):
    return compare.run(config, workdir, Options(rows=compare.table_rows(config, rows)))


KINDS = ("tds", "ridge_pose", "svr_video")


def start(workdir, config, run_dir):
    """Makes the workdir of a table that was stopped after its first row.

    All seeds of the row are the same run, under the names of several.
    """
    init_workdir(workdir, config)
    for seed in config.seeds:
        shutil.copytree(run_dir, workdir / f"ours/{seed}")
        path = workdir / f"ours/{seed}/config.json"
        written = json.loads(path.read_text())
        written["train"]["seed"] = seed
        path.write_text(json.dumps(written))


@pytest.mark.slow
def test_every_kind_of_system_in_one_table(tiny_dir, run_dir, tmp_path, capsys):
    config, rows = table_config(tiny_dir, only=",".join(KINDS))
    start(tmp_path, config, run_dir)
    found = run(config, rows, tmp_path)
    part = found["test"]
    seen = {name: row["sees"] for name, row in part["rows"].items()}
    assert seen == {
        "ours": "video",
        "tds": "pose",
        "ridge_pose": "pose",
        "svr_video": "video",
        "zero": "nothing",
        "train_mean": "nothing",
        "action_mean": "exercise",
        "template": "exercise, phase",
        "clock": "exercise, time in the window",
        "kinematic": "pose",
        "subject_mean": "test EMG",
        "nearest_neighbour": "video",
    }
    assert part["rows"]["template"]["skill"] == 0
    assert part["rows"]["subject_mean"]["uses_test_emg"]
    assert len(part["rows"]["tds"]["skill_per_seed"]) == 2
    assert len(part["rows"]["ridge_pose"]["skill_per_seed"]) == 1
    assert part["rows"]["ridge_pose"]["settings"]["penalty"] > 0
    assert part["rows"]["ours"]["parameters"] > 1000
    assert set(part["minus_baseline"]) == set(seen) - {"ours"}
    assert found["provenance"]["simulated"] is True and "sees" not in found["provenance"]
    with Image.open(tmp_path / "table.png") as picture:
        assert picture.size[0] > 800
    text = capsys.readouterr().out
    assert "simulated EMG" in text and "ridge_pose" in (tmp_path / "table.txt").read_text()

    (tmp_path / "results.json").unlink()  # as if stopped before the end: nothing runs again
    before = (tmp_path / "tds/0/results.json").stat().st_mtime_ns
    again = run(config, rows, tmp_path)
    assert again == found
    assert (tmp_path / "tds/0/results.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_every_other_row_of_the_debug_table_runs_to_the_end(tiny_dir, run_dir, tmp_path):
    """Beside the rows of the test above."""
    config, rows = table_config(tiny_dir, seeds=(0,), bootstrap=20)
    others = [name for name, _ in rows if name not in KINDS]
    assert len(others) == 8 and others[0] == "ours"
    config.only = ",".join(others)
    start(tmp_path, config, run_dir)
    found = run(config, rows, tmp_path)["test"]["rows"]
    assert set(others) <= set(found)
    assert all(math.isfinite(found[name]["skill"]) for name in others)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"only": "tdz"}, "no row tdz; there are ours"),
        ({"baseline": "theirs"}, "no row theirs"),
        ({"seeds": ()}, "config.seeds"),
    ],
)
def test_mistakes_of_a_table_are_found_before_anything_runs(changes, says, tiny_dir, tmp_path):
    config, rows = (
        table_config(tiny_dir, **changes)
        if changes.get("seeds") != ()
        else (baselines.get_config("debug"), table_config(tiny_dir)[1])
    )
    config.update(changes)
    with pytest.raises(UserError, match=says):
        run(config, rows, tmp_path / "table")
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize(
    "settings, views, says",
    [
        (dict(name="lasso", sees="pose"), (), "config.regressor.name: 'lasso'"),
        (dict(name="ridge", sees="smell"), (), "config.regressor.sees: 'smell'"),
        (dict(name="ridge", sees="pose"), ("front",), "for the pose set views to"),
        (dict(name="ridge", sees="encoder"), (), "for an encoder to one or more"),
    ],
)
def test_mistakes_of_a_regressor(settings, views, says, tmp_path):
    config = baselines.get_config("ridge_pose_debug")
    config.regressor.update(settings)
    config.data.views = views
    with pytest.raises(UserError, match=says):
        regressor.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_protocols_share_clips_and_yardstick(tiny_dir, tmp_path):
    """Each exercise by a model that never saw it, all of them one row; and fewer people."""
    config = protocols.get_config("debug")
    config.update(seeds=(0,), bootstrap=20)
    rows = []
    for name, row in protocols.rows(config):
        row.model.encoder.name, row.data.views = "pose", ()  # for speed
        row.data.update(montage="flex", channels=4)
        small(row, tiny_dir, frame_rate=2.5)
        if row.data.select.without_action in ("", *protocols.ACTIONS[:2]):
            rows.append((name, row))
    with pytest.raises(UserError, match="not tested on the same clips"):
        run(config, rows, tmp_path / "partly")
    rows = [(name, row) for name, row in rows if name != "leave_one_action_out"]
    init_workdir(tmp_path / "people", config)
    for name, _ in rows:
        shutil.copytree(tmp_path / "partly" / name, tmp_path / "people" / name)
    found = run(config, rows, tmp_path / "people")
    part = found["test"]
    # The two people are all there are: the same run by another way.
    assert part["rows"]["people_2"]["skill"] == part["rows"]["cross_subject"]["skill"]
    assert part["rows"]["template"]["skill"] == 0
    left_out = json.loads((tmp_path / "partly/leave_one_action_out/0/0/results.json").read_text())[
        "test"
    ]
    assert list(left_out["model"]["by_action"]) == [protocols.ACTIONS[0]]


def test_presets_of_the_protocols_differ_in_mechanics_and_load_only():
    mechanics, pose = (
        next(iter(protocols.rows(protocols.get_config(name))))[1] for name in ("mechanics", "pose")
    )
    assert (mechanics.model.mechanics.anatomy, pose.model.mechanics.anatomy) == ("simulated", "")
    assert (tuple(mechanics.model.extra_inputs), tuple(pose.model.extra_inputs)) == (("load",), ())
    pose.model.mechanics.anatomy, pose.model.extra_inputs = "simulated", ("load",)
    pose.augment.hide.load = 0.5
    assert pose.to_dict() == mechanics.to_dict()


def test_torques_of_postures_and_emg_that_explains_them_are_trained(tiny_dir, tmp_path):
    config = torques.get_config("debug")
    config.update(seeds=(0,), bootstrap=20)
    rows = [(n, row) for n, row in torques.rows(config) if n in ("none", "statics + moment arms")]
    for _, row in rows:
        small(row, tiny_dir, frame_rate=2.5)
    found = run(config, rows, tmp_path / "torques")["test"]["rows"]
    assert found["none"]["skill"] != found["statics + moment arms"]["skill"]
    log = (tmp_path / "torques/statics + moment arms/0/metrics.jsonl").read_text().splitlines()
    parts = json.loads(log[0])
    assert parts["loss_consistency"] > 0 and parts["loss_torque"] > 0


@pytest.mark.parametrize("preset", ["", "debug"])
def test_other_cameras_than_those_learned_from(preset):
    """What differs between the rows, and that each can be built."""
    rows = dict(cross_view.rows(cross_view.get_config(preset)))
    for row in rows.values():
        setup.build_model(row, setup.window_from_config(row))
    own, other, untold = rows.values()
    learned, tested = own.data.views, other.data.select.test_views
    assert own.data.select.test_views == () and not set(learned) & set(tested)
    assert tested == untold.data.select.test_views
    assert (own.model.view_embedding, other.model.view_embedding, untold.model.view_embedding) == (
        1,
        1,
        0,
    )
    shown = views.get_config(preset)
    setup.build_model(shown.main, setup.window_from_config(shown.main))
    assert {view for _, row in shown.rows for view in row} == set(shown.main.data.views)
