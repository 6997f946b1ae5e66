"""MIA's layout: GymSim and MIA itself written and read again."""

import dataclasses

import numpy as np
import pytest
import yaml

from configs import v2emg
from tests.conftest import make_clip, one_window
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data import check, store
from video2emg.data.datasets.mia import Builder
from video2emg.data.datasets.mia.write import columns_of, to_mia, windows
from video2emg.data.select import Montage

from .mia_tree import clips_of, grow, hips_of, read, write_clip
from .presets import check_preset


@pytest.fixture
def tree(tmp_path):
    return grow(tmp_path)


@pytest.fixture(scope="module")
def exported(tiny_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("mia") / "tree"
    parts = {
        name: [one_window(clip) for clip in Montage(source, "flex")]
        for name, source in store.open_dataset("gymsim/tiny", tiny_dir).splits.items()
    }
    assert to_mia(parts, root) == 24
    return root, [clip for part in parts.values() for clip in part]


def test_written_files_have_the_published_names_and_shapes(exported):
    root, _ = exported
    lines = (root / "datasetsplits/train.txt").read_text().splitlines()
    assert len(lines) == 18 and all((root / line).is_dir() for line in lines)
    shapes = {p.stem: np.load(p, mmap_mode="r").shape for p in (root / lines[0]).iterdir()}
    assert shapes == {
        "emgvalues": (30, 8),
        "joints3d": (30, 49, 3),
        "joints2d": (30, 49, 2),
        "pose": (30, 72),
        "joints2dsmpl": (30, 49, 2),
        "betas": (30, 10),
        "verts": (30, 6890, 3),
        "bboxes": (30, 4),
        "predcam": (30, 3),
        "origcam": (30, 4),
    }
    assert "Zero, because it is not known" in (root / "README.txt").read_text()


def test_written_clips_are_read_again(exported):
    root, originals = exported
    found = {(c.subject, c.action): c for c in clips_of(root)}
    assert len(found) == 24
    for clip in originals:
        again = found[clip.subject, clip.action]
        [times] = windows(clip)
        wanted, _ = emg.resample(1e3 * emg.clip_envelope(clip), clip.emg_time, times)
        assert set(again.muscles) == set(clip.muscles) and again.emg_unit == "uV"
        own = [again.muscles.index(name) for name in clip.muscles]
        np.testing.assert_allclose(again.emg[:, own], wanted, rtol=1e-5, atol=1e-4)
        hips, old_hips = hips_of(again), hips_of(clip)
        for name in ("left_knee", "right_wrist", "left_toe"):
            own = clip.pose[:, clip.joints.index(name)] - clip.pose[:, old_hips].mean(1)
            moved, _ = emg.resample(own, clip.pose_time, times)
            now = again.pose[:, again.joints.index(name)] - again.pose[:, hips].mean(1)
            np.testing.assert_allclose(now, moved, atol=1e-5)
        assert np.isnan(again.pose[:, again.joints.index("left_eye")]).all()
        assert again.provenance["simulated"] is True


def test_mia_written_as_mia_stays_the_same(tree, tmp_path_factory):
    root = tmp_path_factory.mktemp("again") / "tree"
    parts = {k: list(read(v)) for k, v in Builder.source(tree, "official").items()}
    assert to_mia(parts, root) == 54
    first = sorted(clips_of(tree), key=lambda c: c.emg.tobytes())
    second = sorted(clips_of(root), key=lambda c: c.emg.tobytes())
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.emg, b.emg)
        assert (a.subject, a.action, a.muscles) == (b.subject, b.action, b.muscles)
        centred = a.pose - a.pose[:, hips_of(a)].mean(1, keepdims=True)
        np.testing.assert_allclose(centred, b.pose, atol=1e-6)
    assert yaml.safe_load((root / "mia.yaml").read_text())["muscles"] == {}


def test_muscles_get_the_columns_of_mia():
    clip = dataclasses.replace(make_clip(), muscles=("left_biceps_brachii", "right_soleus"))
    assert columns_of(clip) == [
        None,
        None,
        None,
        "left_biceps_brachii",
        "right_soleus",
        None,
        None,
        None,
    ]


def test_clips_that_do_not_fit_the_layout_are_refused_without_traces(tmp_path):
    long = make_clip(seconds=4.0)
    for change, message in (
        (
            dict(
                joints=(),
                pose=np.zeros((0, 0, 3)),
                torque=np.zeros((0, 0)),
                dofs=(),
                pose_time=np.zeros(0),
                drive=np.zeros((0, 0)),
            ),
            "has no pose",
        ),
        (dict(action="a/../b"), "no folder name"),
        (dict(joints=long.joints[::-1]), "not a named skeleton"),
    ):
        with pytest.raises(UserError, match=message):
            to_mia({"train": [long, dataclasses.replace(long, **change)]}, tmp_path / "new")
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="no clip has 3 s"):
        to_mia({"train": [make_clip(seconds=2.0)]}, tmp_path / "new")
    with pytest.raises(UserError, match="no clip for val: MIA's code needs both trees"):
        to_mia({"train": [long]}, tmp_path / "new")
    volts = dataclasses.replace(long, emg_unit="fraction")
    with pytest.raises(UserError, match="its emg_unit is fraction, but uV in others"):
        to_mia({"train": [long], "test": [volts]}, tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UserError, match="not empty"):
        to_mia({"train": [long]}, tmp_path / "full")


def test_a_written_tree_has_no_errors_and_changes_are_noticed(exported, tree):
    report = check.check_dataset(Builder.source(exported[0], "cross_subject"))
    assert not report.errors and report.clips["train"]
    before = Builder.fingerprint(tree)
    write_clip(tree, "train/Subject0/Squat/99")
    assert Builder.fingerprint(tree) != before


def test_the_preset_fits_the_dataset(exported, tmp_path):
    dataset, results = check_preset(v2emg.get_config("mia"), tmp_path, exported[0])
    assert dataset.simulated is True
    model = results["model"]
    assert np.isfinite(model["rmse"]) and "nearest_neighbour" in results["baselines"]
    # The source's unit is much smaller than the normalised one.
    assert 10 * model["rmse"] < model["rmse_source"]


def test_an_exercise_called_like_one_of_mia_keeps_its_unknown_load(tmp_path):
    """MIA's own squats are without load; those of others need not be."""
    clip = dataclasses.replace(make_clip(seconds=4.0), action="Squat", load=40.0)
    to_mia({"train": [clip], "test": [clip]}, tmp_path / "tree")
    facts = yaml.safe_load((tmp_path / "tree" / "mia.yaml").read_text())
    assert facts["equipment"] == {"Squat": ""}
    assert all(np.isnan(again.load) for again in clips_of(tmp_path / "tree"))
    told = dataclasses.replace(clip, provenance=clip.provenance | {"equipment": "none"})
    with pytest.raises(UserError, match="its equipment is none, that of other clips of Squat not"):
        to_mia({"train": [clip], "test": [told]}, tmp_path / "mixed")
