"""MIA's layout: GymSim written in it and read again, and trees that are not as they should be."""

import dataclasses
import pickle
import re
import shutil

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs import v2emg
from video2emg import experiment, vocabulary
from video2emg.data import check, emg, pose, store
from video2emg.data.datasets.mia import Builder, layout, splits
from video2emg.data.datasets.mia.load import load_clip
from video2emg.data.datasets.mia.write import columns_of, to_mia, windows
from video2emg.errors import UserError

from ..conftest import make_clip

EXERCISES = ("Squat", "Running", "Shuffle")
LOOSE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write_clip(root, key, seed=0):
    rng = np.random.default_rng(seed)
    folder = root / "MIADatasetOfficial" / key
    folder.mkdir(parents=True)
    np.save(folder / "emgvalues.npy", rng.integers(1, 200, (30, 8)).astype(float))
    np.save(folder / "joints3d.npy", rng.normal(size=(30, 49, 3)).astype(np.float32))
    # What our builder must never open.
    (folder / "verts.npy").write_bytes(b"poison")


@pytest.fixture
def tree(tmp_path):
    """Three people, three exercises, four clips each in train and two in val, with the same ids."""
    seed = 0
    for subject in range(3):
        for exercise in EXERCISES:
            for name, count in (("train", 4), ("val", 2)):
                for number in range(count):
                    seed += 1
                    write_clip(tmp_path, f"{name}/Subject{subject}/{exercise}/{number + 9}", seed)
    return tmp_path


def keys(root, config):
    parts = Builder.source(root, config)
    return {split: [clip.clip_id for clip in read(part)] for split, part in parts.items()}


def read(clips):
    for clip in clips:
        if isinstance(clip, UserError):
            raise clip
        yield clip


def clips_of(root, config="cross_subject"):
    return [c for part in Builder.source(root, config).values() for c in read(part)]


def hips_of(clip):
    return [clip.joints.index(f"{side}_hip") for side in vocabulary.SIDES]


def write_lists(root, folder, **lists):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (root / folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_a_clip_is_what_the_files_hold(tree):
    [clip] = [c for c in clips_of(tree) if c.clip_id == "val/Subject1/Squat/10"]
    folder = tree / "MIADatasetOfficial" / clip.clip_id
    np.testing.assert_array_equal(clip.emg, np.load(folder / "emgvalues.npy"))
    assert clip.muscles[:2] == ("left_quadriceps", "left_hamstrings")
    assert clip.muscles[4] == "right_quadriceps" and clip.muscles[7] == "right_biceps_brachii"
    assert clip.emg_rate == 10 and clip.emg_unit == "unknown" and np.isnan(clip.emg_max).all()
    assert (clip.subject, clip.action, clip.joints) == ("Subject1", "Squat", pose.OPENPOSE_25)
    right, down, away = np.moveaxis(np.load(folder / "joints3d.npy")[:, :25], 2, 0)
    np.testing.assert_array_equal(clip.pose, np.stack([-away, right, -down], 2))
    np.testing.assert_allclose(np.linalg.det(layout.AXES), 1)  # no mirror
    # It was smoothed before: passed on as it is.
    np.testing.assert_array_equal(emg.clip_envelope(clip), clip.emg)
    assert clip.provenance["simulated"] is False


def test_people_are_held_out_over_both_trees_by_default(tree):
    parts = keys(tree, "cross_subject")
    people = [{key.split("/")[1] for key in part} for part in parts.values()]
    assert list(map(len, people)) == [1, 1, 1] and len(set.union(*people)) == 3
    assert len({key for part in parts.values() for key in part}) == 54
    assert sum(map(len, parts.values())) == 54
    assert Builder.DEFAULT_CONFIG_NAME == "cross_subject"


def test_minutes_are_held_out_as_blocks(tree, capsys):
    parts = keys(tree, "official")
    assert all(key.startswith("val/") for key in parts["test"]) and len(parts["test"]) == 18
    assert {key.rsplit("/", 1)[1] for key in parts["validation"]} == {"12"}  # the latest of 9..12
    assert len(parts["train"]) == 27 and "no lists of minutes" in capsys.readouterr().err
    without = keys(tree, "official_without_subject0")
    for folder in tree.glob("MIADatasetOfficial/train/*/*/1[0-2]"):
        shutil.rmtree(folder)
    with pytest.raises(UserError, match="nothing for validation when val is held out"):
        keys(tree, "official")  # one clip of each is left, for training
    assert len(without["test"]) == 12 and without["train"] == parts["train"]
    assert "LEAKS" in str(Builder.builder_configs["official"].description)


@pytest.mark.parametrize("config, held", [("subject_1", "Subject1"), ("exercise_Squat", "Squat")])
def test_one_is_left_out(tree, config, held):
    parts = keys(tree, config)
    assert all(f"/{held}/" in key and key.startswith("val/") for key in parts["test"])
    assert all(f"/{held}/" not in key for key in parts["train"] + parts["validation"])
    place = 1 if "subject" in config else 2
    names = [{key.split("/")[place] for key in part} for part in parts.values()]
    assert not names[0] & names[1] and parts["train"] and parts["validation"]


def test_lists_are_read_by_their_lines_whatever_their_names_and_slashes(tree, capsys):
    train = [f"MIADataset/train/Subject{s}/{e}/{n}" for s in range(3) for e in EXERCISES
             for n in (9, 10, 11, 77)]  # fmt: skip
    zero = [rf"C:\data\MIADatasetOfficial\val\Subject0\Squat\{n}" for n in (9, 10)]
    one = ["/somewhere/../MIADatasetOfficial/val/Subject1/Squat/9", "", "  "]
    # As published: one list misnamed, the next a copy of the one after.
    write_lists(tree / "musclesinaction/ablation", "generalization_ID_cond_exercises_nn",
                trainSubject0=train, valSquat_Subject=zero, valSquat_Subject0=one,
                valSquat_Subject1=one)  # fmt: skip
    parts = keys(tree, "official")
    wanted = ["val/Subject0/Squat/10", "val/Subject0/Squat/9", "val/Subject1/Squat/9"]
    assert sorted(parts["test"]) == wanted
    assert len(parts["train"]) + len(parts["validation"]) == 27
    said = capsys.readouterr().err
    assert "36 clips listed in" in said and "9 are not in the tree, first train/Subject0" in said


def test_the_authors_default_list_leaves_one_person_out(tree):
    everybody = [f"x/val/Subject{s}/Squat/9" for s in range(3)]
    train = ["x/train/Subject0/Squat/9", "x/train/Subject0/Squat/10"]
    write_lists(tree, "datasetsplits", train=train, val=everybody[1:], valold=everybody)
    assert len(keys(tree, "official")["test"]) == 3
    assert len(keys(tree, "official_without_subject0")["test"]) == 2
    write_lists(tree, "datasetsplits", val=everybody)
    with pytest.raises(UserError, match=r"1 clips are on the wrong side.*val/Subject0/Squat/9"):
        keys(tree, "official_without_subject0")


@pytest.mark.parametrize(
    "line",
    ["val/Subject1/../../../etc", "val/Subject1/Squat", "test/Subject1/Squat/9", "../../../9", "x",
     "val/Subject1/Squat/9.npy", "val/Subject1/Sq uat/9", "val/Subject1/Squat/٣"],
)  # fmt: skip
def test_a_line_that_names_no_clip_is_refused(tree, line):
    write_lists(tree, "generalizationpeople", train_Subject1=["train/Subject0/Squat/9"],
                val_Subject1=["val/Subject1/Squat/9", line])  # fmt: skip
    with pytest.raises(UserError, match=r"val_Subject1\.txt, line 2: .* does not end like"):
        keys(tree, "subject_1")


def test_lists_that_leak_are_refused(tree):
    write_lists(tree, "generalizationpeople", train_Subject1=["train/Subject1/Squat/9"],
                val_Subject1=["val/Subject1/Squat/9"])  # fmt: skip
    with pytest.raises(UserError, match="wrong side of the split, first train/Subject1/Squat/9"):
        keys(tree, "subject_1")


@given(st.text(max_size=300) | st.binary(max_size=300))
@LOOSE
def test_any_list_gives_clips_or_one_line(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    try:
        for sample in layout.read_list(path):
            assert re.fullmatch(r"(train|val)/Subject\d+/[\w-]+/[0-9]+", sample.key)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def npy(array):
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@given(st.data())
@LOOSE
def test_any_array_file_gives_its_numbers_or_one_line(tmp_path, data):
    good = npy(np.arange(12.0).reshape(4, 3))
    place = data.draw(st.integers(0, len(good)))
    broken = good[:place] + data.draw(st.binary(max_size=40)) + good[place + data.draw(
        st.integers(0, 40)):]  # fmt: skip
    path = tmp_path / "x.npy"
    path.write_bytes(broken)
    try:
        found = layout.read_array(path, tmp_path, (4, 3))
        assert found.shape == (4, 3) and np.isfinite(found).all()
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(
        st.sampled_from([*Builder.builder_configs, *("emg_unit", "simulated", "subjects", "muscles",
                         "missing_joints", "Squat")]), inner, max_size=4),
    max_leaves=20,
))  # fmt: skip
@LOOSE
def test_any_facts_are_used_or_named(tmp_path, content):
    (tmp_path / "mia.yaml").write_text(yaml.safe_dump(content))
    try:
        facts = layout.read_facts(tmp_path)
    except UserError as error:
        assert "mia.yaml" in str(error)
    else:
        assert isinstance(facts.subjects, dict) and isinstance(facts.emg_unit, str)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


HUGE = npy(np.zeros((30, 8))).replace(b"(30, 8), }      ", b"(99999999999, 8)}")


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("emgvalues", None, r"emgvalues\.npy: no such file"),
        ("joints3d", None, r"joints3d\.npy: no such file"),
        ("emgvalues", npy(np.zeros((8, 30))), r"expected numbers \[30, 8\], got float64 \[8, 30\]"),
        ("emgvalues", npy(np.full((30, 8), np.nan)), r"240 values are not finite, first at \[0, 0"),
        ("emgvalues", npy(np.full((30, 8), -1.0)), "240 values are negative"),
        ("emgvalues", npy(np.full((30, 8), "x")), "expected numbers"),
        ("emgvalues", npy(np.full((30, 8), Bomb(), object)), "not an array"),
        ("emgvalues", pickle.dumps(Bomb()), "not an array"),
        ("emgvalues", b"", "not an array"),
        ("emgvalues", npy(np.zeros((30, 8)))[:-8], "not an array"),
        ("emgvalues", HUGE, "not an array"),
        ("joints3d", npy(np.zeros((30, 24, 3))), "24 joints, expected the 49 of VIBE"),
        ("joints3d", npy(np.zeros((30, 75))), r"expected numbers \[30, any, 3\]"),
    ],
)  # fmt: skip
def test_odd_files_are_named_and_the_others_still_read(tree, name, content, says):
    path = tree / "MIADatasetOfficial/val/Subject1/Squat/10" / f"{name}.npy"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    found = [c for part in Builder.source(tree, "official").values() for c in part]
    [error] = [c for c in found if isinstance(c, UserError)]
    assert re.search(says, str(error)) and "Subject1/Squat/10" in str(error) and len(found) == 54


def test_links_that_lead_out_are_not_followed(tree, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "emgvalues.npy"
    np.save(outside, np.zeros((30, 8)))
    path = tree / "MIADatasetOfficial/train/Subject0/Squat/9/emgvalues.npy"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(UserError, match="lies outside"):
        clips_of(tree)


def test_folders_with_other_names_are_not_passed_over(tree):
    (tree / "MIADatasetOfficial/train/Subject0/Squat/9_copy").mkdir()
    (tree / "MIADatasetOfficial/train/.cache").mkdir()
    with pytest.raises(UserError, match="9_copy: not called like"):
        keys(tree, "official")


@pytest.mark.parametrize(
    "content, says",
    [
        ("emg_unti: V", r"mia\.yaml: 'emg_unti'"),
        ("emg_unit: 3", r"emg_unit: 3 is not a str"),
        ("muscles: {Squat: [left_soleus]}", r"muscles, Squat: expected 8 names or nulls"),
        ("muscles: {Squat: [left_tongue]}", r"muscles, Squat: unknown channel"),
        (f"muscles: {{Squat: [{'left_soleus,' * 8}]}}", "a name occurs twice"),
        ("muscles: {Squat: 3}", r"muscles: \{'Squat': 3\} is not a dict"),
        ("subjects: {Subject0: [a]}", "subjects: .* is not a dict"),
        ("missing_joints: [tail]", "'tail' is not a joint of BODY_25"),
    ],
)
def test_odd_facts_are_named(tree, content, says):
    (tree / "mia.yaml").write_text(content)
    with pytest.raises(UserError, match=says):
        keys(tree, "official")


def test_without_files_or_people_the_way_to_them_is_said(tree, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="given by its authors"):
        store.open_dataset("mia/official", empty)
    with pytest.raises(UserError, match="neither MIADatasetOfficial/train nor train"):
        store.open_dataset("mia/official", empty, empty)
    with pytest.raises(
        UserError, match=r"nothing for test when LegCross is held out.*Running, Shu"
    ):
        keys(tree, "exercise_LegCross")
    shutil.rmtree(tree / "MIADatasetOfficial/train/Subject0")
    shutil.rmtree(tree / "MIADatasetOfficial/val/Subject0")
    with pytest.raises(UserError, match="2 subjects; three are needed"):
        keys(tree, "cross_subject")


@pytest.fixture(scope="module")
def exported(tiny_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("mia") / "tree"
    parts = store.open_dataset("gymsim/tiny", tiny_dir).splits
    assert to_mia(parts, root) == 24
    return root, [clip for part in parts.values() for clip in part]


def test_the_tree_has_the_published_names_and_shapes(exported):
    root, _ = exported
    lines = (root / "datasetsplits/train.txt").read_text().splitlines()
    assert len(lines) == 18 and all((root / line).is_dir() for line in lines)
    shapes = {p.stem: np.load(p, mmap_mode="r").shape for p in (root / lines[0]).iterdir()}
    assert shapes == {
        "emgvalues": (30, 8), "joints3d": (30, 49, 3), "joints2d": (30, 49, 2), "pose": (30, 72),
        "joints2dsmpl": (30, 49, 2), "betas": (30, 10), "verts": (30, 6890, 3), "bboxes": (30, 4),
        "predcam": (30, 3), "origcam": (30, 4),
    }  # fmt: skip
    assert "Zero, because it is not known" in (root / "README.txt").read_text()


def test_what_is_read_again_is_what_was_written(exported):
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


def test_mia_written_as_mia_loses_nothing(tree, tmp_path_factory):
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


def test_muscles_go_where_mia_has_them():
    clip = dataclasses.replace(make_clip(), muscles=("left_biceps_brachii", "right_soleus"))
    assert columns_of(clip) == [None, None, None, "left_biceps_brachii", "right_soleus",
                                None, None, None]  # fmt: skip


def test_what_does_not_fit_the_layout_is_refused_and_leaves_nothing(tmp_path):
    long = make_clip(seconds=4.0)
    for change, says in (
        (dict(joints=(), pose=np.zeros((0, 0, 3)), torque=np.zeros((0, 0)), dofs=(),
              pose_time=np.zeros(0), drive=np.zeros((0, 0))), "has no pose"),
        (dict(action="a/../b"), "no folder name"),
        (dict(joints=long.joints[::-1]), "not a named skeleton"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=says):
            to_mia({"train": [long, dataclasses.replace(long, **change)]}, tmp_path / "new")
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="no clip has 3 s"):
        to_mia({"train": [make_clip(seconds=2.0)]}, tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UserError, match="not empty"):
        to_mia({"train": [long]}, tmp_path / "full")


def test_checks_find_nothing_in_an_exported_tree_and_a_change_is_noticed(exported, tree):
    report = check.check_dataset(Builder.source(exported[0], "cross_subject"))
    assert not report.errors and report.clips["train"]
    before = Builder.fingerprint(tree)
    write_clip(tree, "train/Subject0/Squat/99")
    assert Builder.fingerprint(tree) != before


def test_builds_and_trains_through_the_preset(exported, tmp_path):
    root, _ = exported
    config = v2emg.get_config("mia")
    config.model.update(dim=16, heads=2, layers=1)
    config.model.encoder.update(dim=16, depth=1)
    config.data.update(dir=str(tmp_path / "data"), manual_dir=str(root))
    config.train.update(
        steps=2, batch_size=8, eval_every=1, save_every=2, log_every=1, warmup_steps=1
    )
    config.eval.batch_size = 8
    found = experiment.run(config, tmp_path / "run")
    assert found["provenance"]["simulated"] is True
    model = found["test"]["model"]
    assert np.isfinite(model["skill"]) and "nearest_neighbour" in found["test"]["baselines"]
    # Raw units: of another size than ours, and in proportion to the references of the channels.
    assert 10 * model["rmse"] < model["rmse_source"]


def test_every_published_split_has_a_config():
    names = [c.name for c in Builder.BUILDER_CONFIGS]
    assert len(names) == len(set(names)) == 3 + 10 + 15
    assert {"subject_0", "subject_9", "exercise_Squat", "exercise_RonddeJambe"} <= set(names)
    assert splits.OFFICIAL.lists[0] == ("datasetsplits", "train.txt", "valold.txt")


def test_a_clip_can_be_read_by_its_path(tree):
    sample = layout.sample_of("anything/train/Subject2/Running/9")
    assert sample is not None
    clip = load_clip(layout.find_tree(tree), sample, layout.Facts(emg_unit="uV"))
    assert clip.clip_id == sample.key == "train/Subject2/Running/9" and clip.emg_unit == "uV"
