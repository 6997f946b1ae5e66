"""Reading MIA's layout, also from trees with mistakes."""

import pickle
import re
import shutil

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from video2emg.core import emg, skeleton
from video2emg.core.errors import UserError
from video2emg.data import store
from video2emg.data.datasets.mia import Builder, layout, splits
from video2emg.data.datasets.mia.load import load_clip

from .mia_tree import EXERCISES, clips_of, grow, read

FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def tree(tmp_path):
    return grow(tmp_path)


def keys(root, config):
    parts = Builder.source(root, config)
    return {split: [clip.clip_id for clip in read(part)] for split, part in parts.items()}


def write_lists(root, folder, **lists):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (root / folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_a_clip_has_the_values_of_its_files(tree):
    [clip] = [c for c in clips_of(tree) if c.clip_id == "val/Subject1/Squat/10"]
    folder = tree / "MIADatasetOfficial" / clip.clip_id
    np.testing.assert_array_equal(clip.emg, np.load(folder / "emgvalues.npy"))
    assert clip.muscles[:2] == ("left_quadriceps", "left_hamstrings")
    assert clip.muscles[4] == "right_quadriceps" and clip.muscles[7] == "right_biceps_brachii"
    assert clip.emg_rate == 10 and clip.emg_unit == "unknown" and np.isnan(clip.emg_max).all()
    assert (clip.subject, clip.action, clip.joints) == ("Subject1", "Squat", skeleton.OPENPOSE_25)
    right, down, away = np.moveaxis(np.load(folder / "joints3d.npy")[:, :25], 2, 0)
    np.testing.assert_array_equal(clip.pose, np.stack([-away, right, -down], 2))
    np.testing.assert_allclose(np.linalg.det(layout.AXES), 1)  # no mirror
    # It is an envelope already, and is not filtered again.
    np.testing.assert_array_equal(emg.clip_envelope(clip), clip.emg)
    assert clip.provenance["simulated"] is False
    assert clip.load == 0 and clip.provenance["equipment"] == "none"


def test_joints_at_the_origin_are_unknown_but_for_the_pelvis(tree):
    path = tree / "MIADatasetOfficial/val/Subject1/Squat/10/joints3d.npy"
    joints = np.load(path)
    knee, eye, pelvis = (skeleton.OPENPOSE_25.index(n) for n in ("left_knee", "left_eye", "pelvis"))
    joints[5:9, knee], joints[:, eye], joints[:, pelvis] = 0, 0, 0
    np.save(path, joints)
    [clip] = [c for c in clips_of(tree) if c.clip_id == "val/Subject1/Squat/10"]
    unknown = np.isnan(clip.pose).all(2)
    assert unknown[5:9, knee].all() and unknown[:, eye].all() and unknown.sum() == 4 + 30


def test_the_equipment_of_an_exercise_can_be_told(tree):
    (tree / "mia.yaml").write_text("equipment: {Squat: barbell_back}")
    loads = {c.action: (c.load, c.provenance["equipment"]) for c in clips_of(tree)}
    assert np.isnan(loads["Squat"][0]) and loads["Squat"][1] == "barbell_back"
    assert loads["Running"] == (0.0, "none")


def test_subjects_of_both_trees_are_held_out_by_default(tree):
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
    with pytest.raises(UserError, match="nothing for validation when val is held out") as caught:
        keys(tree, "official")  # one clip of each is left, for training
    assert "of each person and exercise, of which train has one each (9 in all)" in str(
        caught.value
    )
    assert "mia/cross_subject holds people out" in str(caught.value)
    shutil.rmtree(tree / "MIADatasetOfficial/val")
    with pytest.raises(UserError, match="nothing for validation and test"):
        keys(tree, "official")
    assert len(without["test"]) == 12 and without["train"] == parts["train"]
    assert "LEAKS" in str(Builder.builder_configs["official"].description)


@pytest.mark.parametrize("config, held", [("subject_1", "Subject1"), ("exercise_Squat", "Squat")])
def test_one_subject_or_exercise_is_left_out(tree, config, held):
    parts = keys(tree, config)
    assert all(f"/{held}/" in key and key.startswith("val/") for key in parts["test"])
    assert all(f"/{held}/" not in key for key in parts["train"] + parts["validation"])
    place = 1 if "subject" in config else 2
    names = [{key.split("/")[place] for key in part} for part in parts.values()]
    assert not names[0] & names[1] and parts["train"] and parts["validation"]


def test_lists_are_read_by_their_lines_and_not_by_their_names(tree, capsys):
    train = [
        f"MIADataset/train/Subject{s}/{e}/{n}"
        for s in range(3)
        for e in EXERCISES
        for n in (9, 10, 11, 77)
    ]
    zero = [rf"C:\data\MIADatasetOfficial\val\Subject0\Squat\{n}" for n in (9, 10)]
    one = ["/somewhere/../MIADatasetOfficial/val/Subject1/Squat/9", "", "  "]
    # As published: one list misnamed, the next a copy of the one after.
    write_lists(
        tree / "musclesinaction/ablation",
        "generalization_ID_cond_exercises_nn",
        trainSubject0=train,
        valSquat_Subject=zero,
        valSquat_Subject0=one,
        valSquat_Subject1=one,
    )
    parts = keys(tree, "official")
    wanted = ["val/Subject0/Squat/10", "val/Subject0/Squat/9", "val/Subject1/Squat/9"]
    assert sorted(parts["test"]) == wanted
    assert len(parts["train"]) + len(parts["validation"]) == 27
    printed = capsys.readouterr().err
    assert (
        "36 clips listed in" in printed and "9 are not in the tree, first train/Subject0" in printed
    )


def test_the_authors_default_list_is_not_the_official_one(tree):
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
    [
        "val/Subject1/../../../etc",
        "val/Subject1/Squat",
        "test/Subject1/Squat/9",
        "../../../9",
        "x",
        "val/Subject1/Squat/9.npy",
        "val/Subject1/Sq uat/9",
        "val/Subject1/Squat/٣",
    ],
)
def test_a_line_that_names_no_clip_is_refused(tree, line):
    write_lists(
        tree,
        "generalizationpeople",
        train_Subject1=["train/Subject0/Squat/9"],
        val_Subject1=["val/Subject1/Squat/9", line],
    )
    with pytest.raises(UserError, match=r"val_Subject1\.txt, line 2: .* does not end like"):
        keys(tree, "subject_1")


def test_lists_that_leak_are_refused(tree):
    write_lists(
        tree,
        "generalizationpeople",
        train_Subject1=["train/Subject1/Squat/9"],
        val_Subject1=["val/Subject1/Squat/9"],
    )
    with pytest.raises(UserError, match="wrong side of the split, first train/Subject1/Squat/9"):
        keys(tree, "subject_1")


@given(st.text(max_size=300) | st.binary(max_size=300))
@FUZZ
def test_any_list_gives_clips_or_one_error_line(tmp_path, content):
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
@FUZZ
def test_any_array_file_gives_its_numbers_or_one_error_line(tmp_path, data):
    good = npy(np.arange(12.0).reshape(4, 3))
    place = data.draw(st.integers(0, len(good)))
    broken = (
        good[:place]
        + data.draw(st.binary(max_size=40))
        + good[place + data.draw(st.integers(0, 40)) :]
    )
    path = tmp_path / "x.npy"
    path.write_bytes(broken)
    try:
        read_again = layout.read_array(path, tmp_path, (4, 3))
        assert read_again.shape == (4, 3) and np.isfinite(read_again).all()
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=9)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *Builder.builder_configs,
                        *(
                            "emg_unit",
                            "simulated",
                            "subjects",
                            "muscles",
                            "equipment",
                            "Squat",
                        ),
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
@FUZZ
def test_any_facts_are_used_or_refused(tmp_path, content):
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
    "name, content, message",
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
)
def test_wrong_files_are_named_and_the_others_still_read(tree, name, content, message):
    path = tree / "MIADatasetOfficial/val/Subject1/Squat/10" / f"{name}.npy"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    read_again = [c for part in Builder.source(tree, "official").values() for c in part]
    [error] = [c for c in read_again if isinstance(c, UserError)]
    assert (
        re.search(message, str(error))
        and "Subject1/Squat/10" in str(error)
        and len(read_again) == 54
    )


def test_links_out_of_the_tree_are_refused(tree, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "emgvalues.npy"
    np.save(outside, np.zeros((30, 8)))
    path = tree / "MIADatasetOfficial/train/Subject0/Squat/9/emgvalues.npy"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(UserError, match="lies outside"):
        clips_of(tree)


def test_folders_with_other_names_are_refused(tree):
    (tree / "MIADatasetOfficial/train/Subject0/Squat/9_copy").mkdir()
    (tree / "MIADatasetOfficial/train/.cache").mkdir()
    with pytest.raises(UserError, match="9_copy: not called like"):
        keys(tree, "official")


@pytest.mark.parametrize(
    "content, message",
    [
        ("emg_unti: V", r"mia\.yaml: 'emg_unti'"),
        ("emg_unit: 3", r"emg_unit: 3 is not a str"),
        ("muscles: {Squat: [left_soleus]}", r"muscles, Squat: expected 8 names or nulls"),
        ("muscles: {Squat: [left_tongue]}", r"muscles, Squat: unknown channel"),
        (f"muscles: {{Squat: [{'left_soleus,' * 8}]}}", "a name occurs twice"),
        ("muscles: {Squat: 3}", r"muscles: \{'Squat': 3\} is not a dict"),
        ("subjects: {Subject0: [a]}", "subjects: .* is not a dict"),
        ("equipment: {Squat: sofa}", "equipment, Squat: equipment 'sofa' is not one of none"),
    ],
)
def test_wrong_facts_are_named(tree, content, message):
    (tree / "mia.yaml").write_text(content)
    with pytest.raises(UserError, match=message):
        keys(tree, "official")


def test_missing_files_and_subjects_are_named(tree, tmp_path_factory):
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
    assert list(map(len, keys(tree, "cross_subject").values())) == [0, 0, 36]
    with pytest.raises(UserError, match="no clip in train and validation"):
        store.open_dataset("mia/cross_subject", empty, tree)
    assert not (empty / "mia").exists()
    few = store.open_dataset("mia/cross_subject", empty, tree, needed=("test",))
    assert len(few.splits["test"]) == 36 and not few.splits["train"]
    with pytest.raises(UserError, match="no clip in train and validation"):
        store.open_dataset("mia/cross_subject", empty, tree)


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
