"""The assessment job on the smallest dataset, over the Video→EMG run that tests share."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import video2emg
from configs import aqa
from configs.tables import aqa_effort, aqa_granularity, aqa_modalities, aqa_poses
from tests.conftest import STEPS, make_clip, small
from tests.inference.test_pose_input import squats
from video2emg.aqa import frozen_features, report
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data.examples import Examples
from video2emg.data.film_pose import track_to_pose
from video2emg.data.repetitions import Repetitions
from video2emg.export.packed import pack
from video2emg.inference.run import open_run
from video2emg.jobs import Options, compare
from video2emg.jobs import aqa as aqa_job
from video2emg.models.published.i3d import I3D
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup


def tiny_config(data_dir, run_dir="", preset="debug"):
    """A preset in the sizes of `debug`, over the Video→EMG run in `run_dir`."""
    config, debug = aqa.get_config(preset), aqa.get_config("debug")
    for part in ("main", "copies", "model", "train", "joint", "eval"):
        config[part] = debug[part]
    small(config.main, data_dir)
    config.train.update(STEPS)
    config.joint.update(steps=2)
    config.video2emg = str(run_dir)
    return config


def sweep(config, variants, workdir):
    comparison, rows = compare.sweep(config, variants)
    return compare.run(comparison, workdir, Options(rows=rows))


@pytest.mark.slow
def test_a_table_of_sources(tiny_dir, run_dir, tmp_path, capsys):
    """Resumed where Video→EMG is trained: a copy of `run_dir` lies where it would train its own."""
    variants = [
        {"emg_source": "predicted", "train.seed": 0},
        {"emg_source": "none", "model.score": "relative", "train.seed": 0},
    ]
    config = tiny_config(tiny_dir)
    shutil.copytree(run_dir, tmp_path / "table" / "video2emg")
    found = sweep(config, variants, tmp_path / "table")
    written = json.loads((tmp_path / "table" / "results.json").read_text())
    assert set(written["test"]["sources"]) == {"predicted", "none, model.score=relative"}
    assert set(written["test"]["baselines"]) == {
        "train_mean",
        "action_prior",
        "nearest_neighbour",
        "emg_only",
        "true_errors",
    }
    ceiling = written["test"]["baselines"]["true_errors"]
    assert ceiling["map"] == 1.0 and ceiling["boundary_ms"] == 0.0 and ceiling["mae"] < 4
    assert written["test"]["baselines"]["action_prior"]["skill"] == pytest.approx(0, abs=1e-9)
    for row in written["test"]["sources"].values():
        for name in ("mae", "map", "ece", "boundary_ms", "relative_l2"):
            assert np.isfinite(row[name]), name
    # Two repetitions per action: the ranks of each agree or do not.
    assert -1 <= written["test"]["sources"]["predicted"]["srcc"] <= 1
    assert written["provenance"]["simulated"] is True
    assert {"video2emg", "predicted", "none, model.score=relative"} <= {
        path.name for path in (tmp_path / "table").iterdir()
    }
    joint = tmp_path / "table" / "predicted" / "0"
    assert {"frozen", "best", "aqa_predictions.npz", "results.json"} <= {
        p.name for p in joint.iterdir()
    }
    run = open_run(joint)  # its own OOD detector belongs to the jointly trained encoder
    assert run.aqa_head is not None and run.ood_detector.about["simulated"] is True
    said = report.load(joint / "aqa_predictions.npz")
    assert set(said) == {"validation", "test"} and len(said["test"].score) == 12
    words = json.loads((joint / "feedback.json").read_text())
    assert len(words) == 12 and {w["graph"] for w in words} == {"gymsim 1.0"}
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
        ({"eval.hide": ("colour",)}, "config.eval.hide: 'colour'"),
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


def test_a_batch_that_the_devices_cannot_split_is_refused(tiny_dir):
    config = tiny_config(tiny_dir)
    config.train.batch_size = 7
    mesh = jax.make_mesh((8, 1, 1), (*mesh_lib.AXES, mesh_lib.TENSOR))
    with pytest.raises(UserError, match=r"config\.train\.batch_size"):
        aqa_job._check(config, mesh)


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("core", "core_pose", "mlp") else ())
        for name in aqa.SYSTEMS
    ],
)
def test_every_preset_of_a_system_of_others_runs_to_the_end(preset, tiny_dir, run_dir, tmp_path):
    aqa_job.run(tiny_config(tiny_dir, run_dir, preset), tmp_path / "run")
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    scores = written["test"]["model"]
    assert scores["mae"] is not None and scores["map"] is None and scores["boundary_ms"] is None
    published = written["provenance"]["published"]
    assert published["system"] == aqa.SYSTEMS[preset]["system"]
    assert published["leaves_as_published"] == (preset == "core_as_published")
    assert not (tmp_path / "run" / "feedback.json").exists()


def test_a_table_of_our_head_and_one_of_others(tiny_dir, run_dir, tmp_path):
    config = tiny_config(tiny_dir, run_dir)
    variants = [{"row": "ours"}, {"row": "mlp", "published.system": "mlp"}]
    found = sweep(config, variants, tmp_path / "table")["test"]
    assert set(found["sources"]) == {"ours", "mlp"}
    assert np.isfinite(found["sources"]["mlp"]["mae"]) and found["sources"]["mlp"]["map"] is None
    assert set(found["minus"]["mlp"]) >= {"ours", "train_mean"}
    assert np.isfinite(found["sources"]["ours"]["map"])


def test_flex_over_an_i3d_is_understood():
    """All but running it: compiling an I3D takes minutes."""
    config = aqa.get_config("core_i3d")
    aqa_job._check(config, mesh_lib.make_mesh())
    model = setup.build_model(config.main, setup.window_from_config(config.main))
    assert isinstance(model.encoder, I3D) and model.encoder.pixels == "symmetric"
    assert config.published.system == "core"
    assert set(config.published.modalities) == {"video", "pose", "emg"}


def test_the_rows_of_the_tables_are_what_the_job_understands():
    for module in (aqa_modalities, aqa_granularity, aqa_poses, aqa_effort):
        rows = {override.pop("row"): override for override in module.sweep()}  # of one seed
        for override in rows.values():
            config = module.get_config("debug")
            config.update_from_flattened_dict(override)
            aqa_job._check(config, mesh_lib.make_mesh())


def test_one_camera_and_pose_and_nothing_learned_of_errors(tiny_dir, run_dir, tmp_path):
    config = tiny_config(tiny_dir, run_dir)
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


@pytest.fixture(scope="module")
def pose_head_dir(tiny_dir, pose_dir, tmp_path_factory):
    """A head on the poses of people whom its Video→EMG model has not seen; they have no EMG."""
    config = tiny_config(tiny_dir, pose_dir, "pose")
    config.dataset = "gymsim/tiny_poses"
    config.eval.update(pose_noise=True, found=True, clean=True, hide=("load",))
    workdir = tmp_path_factory.mktemp("pose_head")
    aqa_job.run(config, workdir)
    return workdir


def test_a_head_on_poses_scores_given_and_found_repetitions(pose_head_dir):
    written = json.loads((pose_head_dir / "results.json").read_text())
    assert written["provenance"]["dataset"] == "gymsim/tiny_poses"
    assert written["test"]["model"]["mae"] > 0 and "emg_only" not in written["test"]["baselines"]
    assert written["clean"]["model"]["clips"] == written["test"]["model"]["clips"]
    assert written["clean"]["model"]["mae"] != written["test"]["model"]["mae"]
    assert set(written["each_alone"]) >= {"srcc", "mae", "map"}
    found = written["found"]
    assert found["sets"] == 6 and found["repetitions"] == 12
    assert found["model"]["clips"] == round(found["found"] * 12) > 6
    assert 0 <= found["counted_exactly"] <= 1 and found["bound_error_median_s"] < 0.5


def test_a_head_on_poses_is_packed_and_predicts_the_same(pose_head_dir, tmp_path):
    packed = pack(pose_head_dir, tmp_path / "packed", "python launch.py")
    assert {p.name for p in packed.iterdir()} >= {"aqa_head.json", "video2emg", "README.md"}
    assert "Seed 0" in (packed / "README.md").read_text()
    pose = track_to_pose(squats(2))
    predictions = [
        video2emg.load(w).predict_pose(pose, action="barbell_squat", load=20.0)
        for w in (pose_head_dir, packed)
    ]
    repetitions = [prediction.repetitions for prediction in predictions]
    assert len(repetitions[0]) == 2
    for whole, small_one in zip(*repetitions, strict=True):
        if whole.score is None:
            assert whole.no_score_reason == "out of domain"
            continue
        assert small_one.score == pytest.approx(whole.score, abs=0.5)
        # The key steps begin before the movement, and end with it.
        assert whole.phases[0][1] <= whole.start and whole.phases[-1][2] == whole.end
        assert whole.feedback is not None


def test_a_dataset_without_electrodes_has_no_measured_emg(tiny_dir, pose_dir, tmp_path):
    config = tiny_config(tiny_dir, pose_dir, "pose")
    config.update(dataset="gymsim/tiny_poses", emg_source="measured")
    with pytest.raises(UserError, match="gymsim/tiny_poses has no electrodes"):
        aqa_job.run(config, tmp_path / "run")


def test_only_sets_have_repetitions_to_be_found(tiny_dir):
    single = dataclasses.replace(make_clip(0), clip_id="one")
    window = setup.window_from_config(tiny_config(tiny_dir).main)
    test = Examples(Repetitions([single]), window, emg.Chain(), emg.Normalisation("mvc"))
    with pytest.raises(UserError, match=r"eval\.found.*'one' is a single repetition"):
        frozen_features._found(test, noise=False)
