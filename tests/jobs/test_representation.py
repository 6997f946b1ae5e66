"""Learning and reading a representation on the smallest dataset, interrupted and resumed."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from configs.tables import representations
from tests.conftest import small
from video2emg.core.errors import UserError
from video2emg.jobs import Options, compare, representation
from video2emg.parallel import mesh as mesh_lib
from video2emg.representation import features as features_lib
from video2emg.representation.report import PROBES
from video2emg.train.checkpoint import load_params


def tiny_config(data_dir, name):
    config = small(representations.get_config(f"{name}_debug"), data_dir, frame_rate=2.5)
    config.model.encoder.update(widths=(4, 8), dim=16)
    config.model.update(dim=16, heads=2)
    config.representation.update(layers=1, mask_span_s=0.8)
    return config


def run(config, rows, workdir):
    return compare.run(config, workdir, Options(rows=compare.table_rows(config, rows)))


@pytest.mark.slow
def test_one_table_of_three_objectives(tiny_dir, tmp_path, capsys):
    config = representations.get_config("debug")
    config.update(seeds=(0,), bootstrap=20, only="none,emg+contrastive", baseline="none")
    rows = [(name, tiny_config(tiny_dir, name)) for name in representations.OBJECTIVES]
    found = run(config, rows, tmp_path)
    part = found["test"]
    assert part["order"] == [
        "none",
        "emg+contrastive",
        "nothing",
        "duration",
        "small pictures",
        "measured EMG",
    ]
    learned = part["rows"]["emg+contrastive"]
    assert learned["objective"]["contrastive"] > 0 and learned["video_to_emg_r10"] > 0
    assert part["rows"]["none"]["video_to_emg_r10"] is None
    assert part["rows"]["nothing"]["load_skill"] == 0
    assert part["rows"]["duration"]["action_accuracy"] is None
    assert all(0 <= part["rows"][n]["action_accuracy"] <= 1 for n in ("none", "small pictures"))
    assert part["minus_baseline"]["nothing"]["video_to_emg_r1"] is None
    assert found["provenance"]["simulated"] is True and "objective" not in found["provenance"]
    with Image.open(tmp_path / "table.png") as picture:
        assert picture.size[0] > 800
    text = (tmp_path / "table.txt").read_text()
    assert "retrieval among all" in text and text.strip() in capsys.readouterr().out

    (tmp_path / "results.json").unlink()  # as if stopped before the end: nothing runs again
    before = (tmp_path / "emg+contrastive/0/results.json").stat().st_mtime_ns
    assert run(config, rows, tmp_path) == found
    assert (tmp_path / "emg+contrastive/0/results.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="no row emgg; there are none"):
        config.only = "emgg"
        run(config, rows, tmp_path / "other")


def test_a_masked_run_learns_and_leaves_everything_that_was_asked(tiny_dir, tmp_path):
    config = tiny_config(tiny_dir, "masked")
    representation.run(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert any("loss_masked_emg" in line and "loss_masked_pose" in line for line in lines)
    validation = next(line for line in lines if "validation_loss" in line)
    assert validation["validation_skill"] == -validation["validation_loss"]
    features, windows, clips = features_lib.read(tmp_path / features_lib.FILE)
    assert windows is None and set(features) == {"train", "validation", "test"}
    for split, of in clips.items():
        assert features[split].shape == (len(of.clip_id), 16) and np.isfinite(features[split]).all()
        assert (of.load > 0).all() and of.made.shape[0] == len(of.clip_id)
    people = [set(of.subject.tolist()) for of in clips.values()]
    assert not people[0] & people[2]
    assert representation.run(config, tmp_path)["test"].keys() >= set(PROBES)
    with pytest.raises(UserError, match=r"no trained model"):
        load_params(tmp_path / "nowhere", {})


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"train.same_action": 3}, "same_action=3 does not divide"),
        ({"representation.mask_share": 1.0}, "config.representation.mask_share=1.0"),
        ({"graph": "atlantis"}, "atlantis"),
    ],
)
def test_mistakes_are_found_before_anything_runs(changes, says, tiny_dir, tmp_path):
    config = tiny_config(tiny_dir, "contrastive")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=says):
        representation.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_the_devices_cannot_split_is_refused(tiny_dir):
    config = tiny_config(tiny_dir, "contrastive")
    config.eval.batch_size = 3
    mesh = jax.make_mesh((8, 1, 1), (*mesh_lib.AXES, mesh_lib.TENSOR))
    with pytest.raises(UserError, match=r"config\.eval\.batch_size"):
        representation._check(config, mesh)


def test_a_broken_file_of_features_is_named(tmp_path):
    (tmp_path / "features.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"features.npz: not the features of a run"):
        features_lib.read(tmp_path / "features.npz")


def test_every_preset_makes_every_row():
    seen = []
    for preset in representations.PRESETS:
        rows = dict(representations.rows(representations.get_config(preset)))
        assert list(rows) == list(representations.OBJECTIVES)
        assert all(row.train.loss.emg == (10.0 if "emg" in n else 0) for n, row in rows.items())
        assert rows["emg"].to_dict() not in seen  # a preset that changes nothing is none
        seen.append(rows["emg"].to_dict())
    with pytest.raises(ValueError, match="unknown 'emgg'"):
        representations.get_config("emgg")
