"""FLEX's layout: GymSim written and read again, and trees with mistakes."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import scipy.io
import yaml

from configs import v2emg
from tests.conftest import make_clip
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data import store
from video2emg.data.datasets.flex import Builder, layout
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.repetitions import cut
from video2emg.data.select import Montage
from video2emg.eval.out_of_domain import OODDetector
from video2emg.jobs import video2emg

from .presets import check_preset


@pytest.fixture(scope="module")
def exported(tiny_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("flex") / "tree"
    splits = {
        name: [cut(clip, 0) for clip in Montage(source, "flex")]
        for name, source in store.open_dataset("gymsim/tiny", tiny_dir).splits.items()
    }
    assert to_flex(splits, root) == 24
    return root, [clip for part in splits.values() for clip in part]


@pytest.fixture
def tree(exported, tmp_path):
    """A copy that a test may break."""
    shutil.copytree(exported[0], tmp_path / "tree")
    return tmp_path / "tree"


def clips_of(root, config="cross_subject"):
    return [c for part in Builder.source(root, config).values() for c in part]


def test_written_files_have_the_published_names_and_shapes(exported):
    root, _ = exported
    lists = {
        s: scipy.io.loadmat(root / "Split_4" / f"split_4_{s}_list.mat")[v]
        for s, v in layout.LISTS.items()
    }
    assert lists["train"].shape == (18, 3) and lists["test"].shape == (6, 3)
    assert len(list((root / "A01" / "001" / "View-1").glob("img_*.JPG"))) == 103
    with open(root / "Skeleton" / "A01" / "001" / "skeleton_points.csv") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 104 and len(rows[0]) == 63
    emg = np.loadtxt(root / "EMG" / "A01" / "001" / "EMG.csv", delimiter=",")
    assert emg.shape[1] == 4


def test_written_clips_are_read_again(exported):
    root, originals = exported
    clips = {(c.subject, c.action): c for c in clips_of(root)}
    for clip in originals:
        again = clips[clip.subject, clip.action]
        np.testing.assert_array_equal(again.emg, clip.emg)
        assert again.muscles == clip.muscles and again.emg_rate == clip.emg_rate
        assert again.load == clip.load and again.score == pytest.approx(clip.score)
        assert again.joints == vocabulary.FLEX_21
        # 103 rows over the clip: a pose in between may differ by what moves within a row.
        for j in (0, 5, 20):
            old = np.interp(again.pose_time, clip.pose_time, clip.pose[:, j, 2])
            np.testing.assert_allclose(again.pose[:, j, 2], old, atol=2e-3)
        assert set(again.frames) <= set(clip.frames) and again.views[0] == "front"
        assert not again.errors and not again.phases  # what the layout cannot hold


def test_subjects_are_held_out_unless_the_official_lists_are_chosen(exported):
    root, _ = exported
    people = [{c.subject for c in part} for part in Builder.source(root, "cross_subject").values()]
    assert len(set.union(*people)) == sum(map(len, people)) == 4
    official = {k: len(list(v)) for k, v in Builder.source(root, "official").items()}
    assert official["test"] == 6 and official["train"] + official["validation"] == 18
    assert "LEAKS" in Builder.builder_configs["official"].description


def test_the_preset_fits_the_dataset(exported, tmp_path):
    dataset, results = check_preset(v2emg.get_config("flex"), tmp_path, exported[0])
    assert dataset.simulated is True  # the files say where they come from
    assert np.isfinite(results["model"]["rmse"]) and "nearest_neighbour" in results["baselines"]


@pytest.mark.slow
def test_builds_and_trains_a_step_through_the_preset(exported, tmp_path):
    root, _ = exported
    config = v2emg.get_config("flex")
    debug = v2emg.get_config("debug")
    config.model, config.data.size, config.data.frame_rate = debug.model, 32, 5.0
    config.data.update(dir=str(tmp_path / "data"), manual_dir=str(root))
    config.train.update(
        steps=2, batch_size=8, eval_every=1, save_every=2, log_every=1, warmup_steps=1
    )
    found = video2emg.run(config, tmp_path / "run")
    assert found["provenance"]["simulated"] is True  # the tree says where it comes from
    assert OODDetector.load(tmp_path / "run").about["simulated"] is True
    assert np.isfinite(found["test"]["model"]["skill"])


def test_missing_views_and_modalities_stay_empty(tree):
    shutil.rmtree(tree / "A01" / "001" / "View-2")
    shutil.rmtree(tree / "Skeleton" / "A01" / "001")
    (tree / "EMG" / "A02" / "001" / "EMG.csv").unlink()
    facts = yaml.safe_load((tree / "flex.yaml").read_text()) | {"frame_rate": 40.0}
    (tree / "flex.yaml").write_text(yaml.safe_dump(facts))
    clips = {c.clip_id: c for c in clips_of(tree)}
    first, second = clips["flex_A01_001"], clips["flex_A02_001"]
    assert first.views == ("front",) and not first.joints and first.muscles
    assert not second.muscles and second.frame_time[1] == pytest.approx(1 / 40)


def test_two_columns_are_one_muscle_left_and_right(tree):
    facts = yaml.safe_load((tree / "flex.yaml").read_text())
    del facts["muscles"]["A01"]
    (tree / "flex.yaml").write_text(yaml.safe_dump(facts))
    (tree / "EMG" / "A01" / "001" / "EMG.csv").write_text("1,2\n3,4\n5,6\n")
    [clip] = [
        c for c in clips_of(tree) if not isinstance(c, UserError) and c.clip_id == "flex_A01_001"
    ]
    assert clip.muscles == ("left_first_muscle", "right_first_muscle")
    assert clip.provenance["muscles_named"] is False


@pytest.mark.parametrize(
    "path, content, message",
    [
        ("EMG/A01/001/EMG.csv", "", r"EMG\.csv: fewer than two rows"),
        ("EMG/A01/001/EMG.csv", "1,2,3\n1,2,3\n", r"EMG\.csv, line 1: expected 2 or 4 numbers"),
        ("EMG/A01/001/EMG.csv", "1,2,3,4\n1,2,x,4\n", r"EMG\.csv, line 2"),
        ("Skeleton/A01/001/skeleton_points.csv", "h\n1,2\n", r"points\.csv, line 2: expected 63"),
        ("Split_4/split_4_test_list.mat", "junk", r"test_list\.mat: expected a matrix"),
        ("flex.yaml", "emg_rat: 3", r"flex\.yaml: 'emg_rat'"),
        ("flex.yaml", "emg_rate: -3", r"flex\.yaml, emg_rate: -3"),
        ("flex.yaml", "muscles: {A01: [left_tongue]}", r"flex\.yaml, muscles, A01: unknown"),
        ("subjects.csv", "action,sample,subject\nA01,1,x\n", r"23 samples have no row"),
        ("subjects.csv", "who\nx\n", r"subjects\.csv: expected the columns"),
    ],
)
def test_wrong_files_are_named(tree, path, content, message):
    (tree / path).write_text(content)
    with pytest.raises(UserError, match=message):
        for clip in clips_of(tree):
            if isinstance(clip, UserError):
                raise clip


def test_a_sample_listed_twice_is_refused(tree):
    path = tree / "Split_4" / "split_4_test_list.mat"
    rows = scipy.io.loadmat(path)["consolidated_test_list"]
    scipy.io.savemat(path, {"consolidated_test_list": np.concatenate([rows, rows[:1]])})
    with pytest.raises(UserError, match="is listed twice"):
        clips_of(tree)


def test_without_files_the_message_says_where_to_get_them(tmp_path):
    with pytest.raises(UserError, match="on request by its authors"):
        store.open_dataset("flex/cross_subject", tmp_path)
    with pytest.raises(UserError, match=r"split_4_train_list\.mat: no such file"):
        store.open_dataset("flex/cross_subject", tmp_path, tmp_path)


def test_clips_that_do_not_fit_the_layout_are_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UserError, match="not empty"):
        to_flex({"train": [make_clip()]}, tmp_path / "full")
    one_channel = dataclasses.replace(
        make_clip(),
        muscles=("left_soleus",),
        emg=make_clip().emg[:, :1],
        emg_max=np.ones(1, np.float32),
        drive=np.zeros((0, 0)),
    )
    with pytest.raises(UserError, match="1 EMG channels"):
        to_flex({"train": [one_channel]}, tmp_path / "new")
