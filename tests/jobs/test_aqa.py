"""The assessment job on the smallest dataset, from nothing to a table."""

import json

import numpy as np
import pytest

from configs import aqa
from configs.tables import aqa_granularity, aqa_modalities
from video2emg.aqa import report
from video2emg.core.errors import UserError
from video2emg.jobs import Options, compare
from video2emg.jobs import aqa as aqa_job
from video2emg.models.published.i3d import I3D
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup


def tiny_config(data_dir):
    config = aqa.get_config("debug")
    config.main.data.dir = str(data_dir)
    config.main.data.frame_rate = 2.5
    config.main.train.update(steps=2, eval_every=2, save_every=2, log_every=1, warmup_steps=1)
    for part in (config.main.train, config.main.eval, config.train, config.joint, config.eval):
        part.batch_size = 8
    config.train.update(steps=4, eval_every=4, save_every=4)
    config.joint.update(steps=2, warmup_steps=1)
    return config


def sweep(config, variants, workdir):
    comparison, rows = compare.sweep(config, variants)
    return compare.run(comparison, workdir, Options(rows=rows))


def test_from_nothing_to_a_table_of_sources(tiny_dir, tmp_path, capsys):
    variants = [
        {"emg_source": "predicted", "train.seed": 0},
        {"emg_source": "none", "model.score": "relative", "train.seed": 0},
    ]
    config = tiny_config(tiny_dir)
    found = sweep(config, variants, tmp_path / "table")
    written = json.loads((tmp_path / "table" / "results.json").read_text())
    assert set(written["test"]["sources"]) == {"predicted", "none, model.score=relative"}
    assert set(written["test"]["baselines"]) == {
        "train_mean", "action_prior", "nearest_neighbour", "emg_only", "true_errors"
    }  # fmt: skip
    ceiling = written["test"]["baselines"]["true_errors"]
    assert ceiling["map"] == 1.0 and ceiling["boundary_ms"] == 0.0 and ceiling["mae"] < 4
    assert written["test"]["baselines"]["action_prior"]["skill"] == pytest.approx(0, abs=1e-9)
    for row in written["test"]["sources"].values():
        for name in ("mae", "map", "ece", "boundary_ms", "relative_l2"):
            assert np.isfinite(row[name]), name
    # One repetition per action: no ranks, and the file says so.
    assert written["test"]["sources"]["predicted"]["srcc"] is None
    assert written["provenance"]["simulated"] is True
    assert {"video2emg", "predicted", "none, model.score=relative"} <= {
        path.name for path in (tmp_path / "table").iterdir()
    }
    joint = tmp_path / "table" / "predicted" / "0"
    assert {"frozen", "best", "aqa_predictions.npz", "results.json"} <= {
        p.name for p in joint.iterdir()
    }
    said = report.load(joint / "aqa_predictions.npz")
    assert set(said) == {"validation", "test"} and len(said["test"].score) == 6
    words = json.loads((joint / "feedback.json").read_text())
    assert len(words) == 6 and {w["graph"] for w in words} == {"gymsim 1.0"}
    for w in words:
        lost = [found["penalty"] for found in w["findings"]]
        assert lost == sorted(lost, reverse=True) and all(f["advice"] for f in w["findings"])
    capsys.readouterr()
    again = sweep(config, variants, tmp_path / "table")
    assert "finished before" in capsys.readouterr().err
    assert (
        again["test"]["sources"]["predicted"]["mae"] == found["test"]["sources"]["predicted"]["mae"]
    )


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"emg_source": "guessed"}, "config.emg_source: 'guessed'"),
        ({"model.score": "best"}, "config.model.score"),
        ({"model.action": "known"}, "config.model.action"),
        ({"emg_source": "none", "video": False}, "nothing to look at"),
        ({"emg_source": "predicted", "model.score": "relative"}, "frozen"),
        ({"video2emg": "nowhere/to/be/found"}, "no configuration of a run"),
        ({"train.batch_size": 7}, "config.train.batch_size"),
        ({"graph": "nothing"}, "neither the path of a YAML file nor one of"),
        ({"graph": "flex_topology"}, "weights of 'A01' are unknown"),
    ],
)
def test_mistakes_are_found_before_any_work(changes, says, tiny_dir, tmp_path):
    config = tiny_config(tiny_dir)
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=says):
        aqa_job.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_systems_of_others_judge_from_the_same_evidence(tiny_dir, tmp_path):
    """CoRe with a skeleton, its published quirks, USDL and the MLP: scores, and nothing else."""
    config = tiny_config(tiny_dir)
    variants = [
        {"row": name, **{f"published.{key}": value for key, value in settings.items()}}
        for name, settings in aqa.SYSTEMS.items()
    ]
    found = sweep(config, [{"row": "ours"}, *variants], tmp_path / "table")
    rows = found["test"]["sources"]
    assert set(rows) == {"ours", *aqa.SYSTEMS}
    for name in aqa.SYSTEMS:
        assert np.isfinite(rows[name]["mae"]) and rows[name]["map"] is None, name
        assert rows[name]["mae"] < 40
        assert set(found["test"]["minus"][name]) >= {"ours", "train_mean"}
    assert np.isfinite(rows["ours"]["map"])
    one = json.loads((tmp_path / "table/core_as_published/0/results.json").read_text())
    assert one["provenance"]["published"]["leaves_as_published"] is True
    assert one["test"]["model"]["boundary_ms"] is None
    assert not (tmp_path / "table/core_as_published/0/feedback.json").exists()


def test_flex_over_an_i3d_is_understood():
    """All but running it: compiling an I3D takes minutes."""
    config = aqa.get_config("core_i3d")
    aqa_job._check(config, mesh_lib.make_mesh())
    model = setup.build_model(config.main, setup.window_from_config(config.main))
    assert isinstance(model.encoder, I3D) and model.encoder.pixels == "symmetric"
    assert config.published.system == "core"
    assert set(config.published.modalities) == {"video", "pose", "emg"}


def test_the_rows_of_the_tables_are_what_the_job_understands():
    for module in (aqa_modalities, aqa_granularity):
        for override in module.sweep():
            config = module.get_config("debug")
            override.pop("row")
            config.update_from_flattened_dict(override)
            aqa_job._check(config, mesh_lib.make_mesh())


def test_one_camera_and_pose_and_nothing_learned_of_errors(tiny_dir, tmp_path):
    config = tiny_config(tiny_dir)
    config.update(views=("front",), extra_inputs=("pose", "load"), emg_source="none")
    config.update_from_flattened_dict(aqa_granularity.ROWS["score"])
    found = aqa_job.run(config, tmp_path / "run")["test"]["model"]
    assert np.isfinite(found["mae"]) and not np.isfinite(found["map"])
    assert not (tmp_path / "run/aqa_head.json").exists()
    config = tiny_config(tiny_dir)
    config.train.loss.error = 0.0
    with pytest.raises(UserError, match=r"loss\.error"):
        aqa_job.run(config, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
