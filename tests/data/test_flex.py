"""FLEX's layout: GymSim written and read again, and trees with mistakes."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import scipy.io
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs import v2emg
from tests.conftest import make_clip
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data import check, export, store
from video2emg.data.datasets.flex import Builder, layout
from video2emg.data.datasets.flex.load import load_clip
from video2emg.data.datasets.flex.people import read_subjects
from video2emg.data.datasets.flex.views import find_views
from video2emg.data.datasets.flex.write import to_flex
from video2emg.data.repetitions import cut
from video2emg.data.select import Montage
from video2emg.eval.out_of_domain import OODDetector
from video2emg.jobs import video2emg

from .presets import check_preset

FUZZ = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
        assert again.emg_unit == clip.emg_unit == "mV" and again.views == clip.views
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
    config.eval.physics = False  # saves compiling
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
        ("flex.yaml", "frame_rate: -60", r"flex\.yaml, frame_rate: -60"),
        ("flex.yaml", "emg_kind: rms", r"flex\.yaml, emg_kind: 'rms' is not raw or envelope"),
        ("flex.yaml", "pose_axes: x y", r"flex\.yaml, pose_axes: 'x y': expected the file's axes"),
        ("flex.yaml", "actions: {A1: squat}", r"flex\.yaml, actions: 'A1' is not a code"),
        ("flex.yaml", "muscles: {A1: [left_soleus]}", r"flex\.yaml, muscles: 'A1' is not a code"),
        ("flex.yaml", "views: {View-1: a, View-2: a}", "views: two folders have the same name"),
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


# The columns of EMG.csv that the authors' code reads for the left and for the right side. It takes
# the largest mean |EMG| of the columns of a side (datasets/SevenPair.py, commit 02737ef).
COLUMNS = (
    dict.fromkeys((1, 2, 4, 5, 14, 16), ([0], [2]))
    | dict.fromkeys((3, 6, 15, 20), ([1], [3]))
    | dict.fromkeys((7, 17, 18, 19), ([0], [1]))
    | dict.fromkeys((8, 9, 10, 11, 12, 13), ([0, 1], [2, 3]))
)


def left_share(root, code):
    emg = np.loadtxt(root / f"EMG/A{code:02d}/001/EMG.csv", delimiter=",")
    left, right = (np.abs(emg[:, columns]).mean(1).max() for columns in COLUMNS[code])
    return left / (left + right)


def of_action(action, muscles, sizes):
    """A clip whose channels are as large as `sizes`; the sign changes with each sample."""
    clip = make_clip(action=action, views=())
    sign = np.where(np.arange(len(clip.emg)) % 2, 1, -1)[:, None]
    emg, largest = (sign * sizes).astype(np.float32), np.ones(len(sizes), np.float32)
    drive = np.zeros((0, 0))
    return dataclasses.replace(clip, muscles=muscles, emg=emg, emg_max=largest, drive=drive)


FOUR = tuple(f"{side}_{name}" for side in ("left", "right") for name in ("soleus", "gastrocnemius"))
TWO = ("left_soleus", "right_soleus")


def test_the_authors_code_reads_the_left_share_of_every_action(tmp_path):
    mixed = (FOUR[2], FOUR[0], FOUR[3], FOUR[1])  # a table may list the right side first
    clips = [of_action(f"move{i}", FOUR, [3, 3, 1, 1]) for i in range(10)]
    clips += [of_action(f"move{i + 10}", mixed, [1, 3, 1, 3]) for i in range(10)]
    to_flex({"train": clips, "test": clips}, tmp_path / "tree")
    assert {code: left_share(tmp_path / "tree", code) for code in COLUMNS} == dict.fromkeys(
        COLUMNS, 0.75
    )
    for clip in clips_of(tmp_path / "tree", "official"):
        sizes = dict(zip(clip.muscles, np.abs(clip.emg).max(0), strict=True))
        assert sizes == dict(zip(FOUR, [3, 3, 1, 1], strict=True))


def test_actions_with_one_muscle_get_the_codes_of_one_muscle(tmp_path):
    clips = [of_action("squat", FOUR, [3, 3, 1, 1])]
    clips += [of_action(f"raise{i}", TWO, [3, 1]) for i in range(4)]
    to_flex({"train": clips, "test": clips}, tmp_path / "tree")
    facts = yaml.safe_load((tmp_path / "tree/flex.yaml").read_text())
    assert sorted(facts["actions"]) == ["A01", "A07", "A17", "A18", "A19"]
    assert [left_share(tmp_path / "tree", code) for code in (1, 7, 17, 18, 19)] == [0.75] * 5
    fifth = [*clips, of_action("raise4", TWO, [3, 1])]
    with pytest.raises(UserError, match="more than 4 actions with two EMG channels"):
        to_flex({"train": fifth, "test": clips}, tmp_path / "fifth")
    odd = of_action("squat", ("left_soleus", "right_gastrocnemius"), [3, 1])
    with pytest.raises(UserError, match="FLEX has one or two muscles, left and right"):
        to_flex({"train": [odd], "test": [odd]}, tmp_path / "odd")


def test_actions_keep_the_code_that_is_their_name(tmp_path):
    clips = [of_action(code, FOUR, [3, 3, 1, 1]) for code in ("A16", "A03")]
    to_flex({"train": clips, "test": clips}, tmp_path / "tree")
    assert yaml.safe_load((tmp_path / "tree/flex.yaml").read_text())["actions"] == {
        "A03": "A03",
        "A16": "A16",
    }


def test_names_of_views_units_and_kinds_come_back(tmp_path):
    clip = dataclasses.replace(
        make_clip(views=("left", "front")), emg_unit="uV", provenance={"emg_kind": "envelope"}
    )
    to_flex({"train": [clip], "test": [clip]}, tmp_path / "tree")
    [again, _] = [
        c for c in clips_of(tmp_path / "tree", "official") if not isinstance(c, UserError)
    ]
    assert again.views == ("front", "left") and again.emg_unit == "uV" and again.emg_is_envelope
    for name in ("front", "left"):
        shown = [
            {part.frames[i] for i in np.flatnonzero(part.frame_view == part.views.index(name))}
            for part in (clip, again)
        ]
        assert shown[0] == shown[1]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(score=np.nan), "field score: nan; FLEX's lists"),
        (dict(emg_unit="V"), "its emg_unit is V, but mV in others"),
        (dict(emg_rate=500.0), "its emg_rate is 500.0, but 1000.0 in others"),
    ],
)
def test_what_the_layout_holds_once_must_be_the_same_for_all(tmp_path, change, message):
    other = dataclasses.replace(make_clip(1), **change)
    with pytest.raises(UserError, match=message):
        to_flex({"train": [make_clip()], "test": [other]}, tmp_path / "tree")
    assert not list(tmp_path.iterdir())


class Source(store.ClipSource):
    """Clips of a split."""

    def __init__(self, clips):
        self._clips = clips

    def __len__(self):
        return len(self._clips)

    def __getitem__(self, index):
        return self._clips[index]


@pytest.mark.parametrize("name", ["flex", "mia"])
def test_scores_and_splits_are_checked_before_anything_is_written(tmp_path, name, monkeypatch):
    def opened(**splits):
        return store.Dataset("1", {k: Source(v) for k, v in splits.items()}, False, "x")

    monkeypatch.setitem(export.LAYOUTS, name, lambda *_: pytest.fail("it writes"))
    good, bad = make_clip(), dataclasses.replace(make_clip(1), score=np.nan)
    with pytest.raises(UserError, match=f"no clip in test: code for {name.upper()} needs both"):
        export.write(opened(train=[good], validation=[], test=[]), name, tmp_path / "x")
    if name == "flex":
        with pytest.raises(UserError, match=f"clip '{bad.clip_id}', field score: nan"):
            export.write(opened(train=[good], validation=[], test=[bad]), name, tmp_path / "x")


@pytest.mark.parametrize(
    "rows, message",
    [
        ("A01,1,anna,52.5kg", r"line 2, load: '52\.5kg' is not a number of kg"),
        ("A01,1,anna,inf", r"line 2, load: 'inf' is not a number of kg"),
        ("A01,1,anna,-5", r"line 2, load: '-5' is not a number"),
        ("A01,1, ,5", "line 2, subject: is empty"),
        (
            "A01,1,anna,5\nA01,2,anna,5\nA01,1,ben,5",
            "line 4: A01/001 is there twice; first in line 2",
        ),
        ("A01,1,anna,5\nA01,2,Anna,5", "line 3, subject: 'Anna' and 'anna': one person?"),
        ("A21,1,anna,5", "line 2, action: 'A21' is not a code"),
        ("A01,1.5,anna,5", r"line 2, sample: '1\.5' is not a whole number"),
        ("A01,1,anna", "line 2: 3 cells, the header has 4"),
    ],
)
def test_wrong_rows_of_subjects_are_named(tmp_path, rows, message):
    (tmp_path / "subjects.csv").write_text(f"action,sample,subject,load\n{rows}\n")
    with pytest.raises(UserError, match=f"subjects\\.csv, {message}"):
        read_subjects(tmp_path)


def test_white_space_makes_no_other_person(tmp_path):
    (tmp_path / "subjects.csv").write_text(
        'action, sample,subject ,load\nA01,1,s001 , 52.5\n A01,002,s001,"7,5"\n\n'
    )
    people = read_subjects(tmp_path)
    assert {key: (p.subject, p.load) for key, p in people.items()} == {
        ("A01", 1): ("s001", 52.5),
        ("A01", 2): ("s001", 7.5),
    }


WORDS = st.text("abcdeé", min_size=1, max_size=5)
BLANKS = st.sampled_from(["", " ", "  ", "\t"])


@given(st.data())
@FUZZ
def test_any_table_of_subjects_gives_its_people(tmp_path, data):
    people = data.draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    keys = data.draw(
        st.lists(
            st.tuples(st.sampled_from(layout.ACTIONS), st.integers(1, 400)),
            unique=True,
            max_size=12,
        )
    )
    rows, expected = ["sample;action;subject;load"], {}
    for action, number in keys:
        name, load = data.draw(st.sampled_from(people)), data.draw(st.none() | st.integers(0, 4000))
        before, after = data.draw(BLANKS), data.draw(BLANKS)
        digits = data.draw(st.sampled_from(["d", "03d"]))
        text = "" if load is None else f"{load / 10:g}"
        if data.draw(st.booleans()):
            text = f'"{text.replace(".", ",")}"'
        rows.append(f"{number:{digits}};{action}{after};{before}{name}{after};{text}")
        expected[action, number] = name, None if load is None else load / 10
    (tmp_path / "subjects.csv").write_text("\n".join(rows).replace(";", ",") + "\n")
    found = {
        key: (person.subject, None if np.isnan(person.load) else person.load)
        for key, person in read_subjects(tmp_path).items()
    }
    assert found == expected


@given(
    st.dictionaries(st.integers(1, 130), st.integers(1, 6), min_size=1, max_size=40),
    st.lists(st.sampled_from(["img_00004 (1).JPG", "._img_00004.JPG", "Thumbs.db", "img_4.png"])),
)
@FUZZ
def test_any_pictures_are_in_the_order_of_their_numbers(tmp_path_factory, padding, others):
    root = tmp_path_factory.mktemp("pictures")
    (root / "View-1").mkdir()
    for number, digits in padding.items():
        (root / "View-1" / f"img_{number:0{digits}d}.JPG").write_text(str(number))
    for name in others:
        (root / "View-1" / name).write_text("x")
    [view], doubts = find_views(root)
    assert view.numbers == sorted(padding)
    assert [int(file.read_text()) for file in view.files] == view.numbers
    missing = view.numbers[-1] - len(padding)
    assert any(f"{missing} pictures are missing" in doubt for doubt in doubts) == (missing > 0)
    left_out = len({name for name in others if not name.startswith(".")})
    assert any(f"{left_out} files are not called" in d for d in doubts) == (left_out > 0)


def findings_of(root):
    """The first repetition, and what a check finds in it."""
    try:
        clip = load_clip(root, layout.Sample("A01", 1, 50.0), layout.read_facts(root))
    except UserError as error:
        return error, []
    return clip, [(f.code, f.message) for f in check.check_clip(clip)]


def test_pictures_have_the_place_of_their_number(tree):
    view = tree / "A01/001/View-1"
    before, found = findings_of(tree)
    assert found == []
    for number in (10, 11, 103):
        (view / f"img_{number:05d}.JPG").unlink()
    after, found = findings_of(tree)
    kept = np.setdiff1d(np.arange(103), [9, 10, 102])
    own = after.frame_view == 0
    np.testing.assert_allclose(after.frame_time[own], before.frame_time[:103][kept])
    assert [after.frames[i] for i in np.flatnonzero(own)] == [before.frames[i] for i in kept]
    assert found == [
        ("files", "View-1: 2 pictures are missing, first number 10"),
        ("files", "View-1: the pictures end at number 102 of 103"),
    ]


def test_pictures_without_zeros_in_their_names_are_in_order(tree):
    before, _ = findings_of(tree)
    for file in sorted((tree / "A01/001/View-1").iterdir()):
        file.rename(file.with_name(f"img_{int(file.stem[4:])}.JPG"))
    after, found = findings_of(tree)
    assert after.frames == before.frames
    assert found == [("files", "View-1: img_1.JPG is not called as FLEX's pictures, img_00001.JPG")]


def test_other_files_and_folders_are_left_out_and_said(tree):
    before, _ = findings_of(tree)
    view = tree / "A01/001/View-1"
    shutil.copytree(view, tree / "A01/001/View-1_old")
    shutil.copy(view / "img_00005.JPG", view / "img_00005 (1).JPG")
    shutil.copy(view / "img_00006.JPG", view / "img_00006.jpeg")
    shutil.copy(view / "img_00005.JPG", view / "._img_00005.JPG")
    after, found = findings_of(tree)
    assert after.frames == before.frames and after.views == before.views
    assert [message for _, message in found] == [
        "View-1: 1 files are not called img_<number>.JPG and left out, first img_00005 (1).JPG",
        "View-1: img_00006.jpeg has the number of img_00006.JPG, and is left out",
        "View-1_old: left out; views are called View-1, View-2 …",
    ]
    for file in view.iterdir():
        file.rename(file.with_suffix(".png"))
    after, found = findings_of(tree)
    assert after.views == before.views[1:]
    assert "View-1: no picture called img_<number>.JPG" in [message for _, message in found]


@pytest.mark.parametrize("content", [b"", b"<html>", None])
def test_a_broken_picture_in_the_middle_is_found(tree, content):
    path = tree / "A01/001/View-1/img_00050.JPG"
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    _, found = findings_of(tree)
    assert [code for code, _ in found] == ["picture"] and "frame 49: damaged image" in found[0][1]


def skeleton_of(tree):
    path = tree / "Skeleton/A01/001/skeleton_points.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]

    def write(lines):
        path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))

    return rows, write


def test_the_header_of_a_skeleton_is_no_pose_and_a_pose_no_header(tree):
    before, _ = findings_of(tree)
    rows, write = skeleton_of(tree)
    order = np.random.default_rng(0).permutation(63)
    write([[row[i] for i in order] for row in rows])
    again, found = findings_of(tree)
    np.testing.assert_array_equal(again.pose, before.pose)
    assert found[0][0] == "files" and "in another order than FLEX's" in found[0][1]
    write(rows[1:])
    again, found = findings_of(tree)
    np.testing.assert_array_equal(again.pose, before.pose)
    assert "no header: the first row of numbers" in found[0][1]
    write([range(63), *rows[1:]])  # as pandas writes a table without names
    again, found = findings_of(tree)
    np.testing.assert_array_equal(again.pose, before.pose)
    assert not found
    write([["head_x", *rows[0][:62]], *rows[1:]])
    error, _ = findings_of(tree)
    assert "skeleton_points.csv, header: 'head_x' is there 2 times" in str(error)


def test_other_lengths_scales_and_directions_of_skeletons_are_found(tree):
    before, _ = findings_of(tree)
    rows, write = skeleton_of(tree)
    values = np.array(rows[1:], float)
    write(rows[:60])
    cut, found = findings_of(tree)
    np.testing.assert_array_equal(cut.pose, before.pose[:59])
    np.testing.assert_array_equal(cut.pose_time, before.pose_time[:59])
    assert ("files", "skeleton_points.csv: 59 poses, expected 103") in found
    write([rows[0], *np.repeat(values, 2, axis=0)])
    long, found = findings_of(tree)
    np.testing.assert_allclose(long.pose_time[::2], before.pose_time)
    assert ("files", "skeleton_points.csv: 206 poses, expected 103") in found
    write([rows[0], *(1000 * values)])
    _, [(code, message)] = findings_of(tree)
    assert code == "pose_size" and "set pose_scale: 0.001 in flex.yaml" in message
    write([rows[0], *(values * np.tile([1, -1, -1], 21))])
    _, [(code, message)] = findings_of(tree)
    assert code == "pose_up" and "pose_axes in flex.yaml" in message
    facts = yaml.safe_load((tree / "flex.yaml").read_text()) | {"pose_axes": "x -y -z"}
    (tree / "flex.yaml").write_text(yaml.safe_dump(facts))
    [turned] = [c for c in clips_of(tree) if c.clip_id == "flex_A01_001"]
    np.testing.assert_allclose(turned.pose, before.pose, atol=1e-6)


def test_a_joint_at_the_origin_was_not_found(tree):
    rows, write = skeleton_of(tree)
    for row in rows[11:31]:
        row[:3] = ["0", "0", "0"]
    write(rows)
    clip, [(code, message)] = findings_of(tree)
    assert code == "files" and "20 poses with a joint at 0 0 0" in message
    assert np.isnan(clip.pose[10:30, 0]).all() and np.isfinite(clip.pose[30:]).all()


def test_emg_that_is_cut_or_of_another_rate_is_found(tree):
    path = tree / "EMG/A01/003/EMG.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    report = check.check_dataset(Builder.source(tree, "cross_subject"))
    assert [(f.code, f.clip_id) for f in report.findings] == [("emg_length", "flex_A01_003")]
    assert "usually last" in report.findings[0].message
    facts = yaml.safe_load((tree / "flex.yaml").read_text())
    (tree / "flex.yaml").write_text(yaml.safe_dump(facts | {"emg_rate": facts["emg_rate"] / 10}))
    report = check.check_dataset(Builder.source(tree, "cross_subject"))
    odd = [f.message for f in report.findings if f.code == "emg_length"]
    assert len(odd) == 24 and "is the rate right?" in odd[-1]


def test_people_in_several_splits_are_one_warning_if_the_protocol_says_so(exported):
    parts = {k: list(v) for k, v in Builder.source(exported[0], "official").items()}
    people = {c.subject for c in parts["train"]} & {c.subject for c in parts["validation"]}
    report = check.check_dataset(parts, same_people=True)
    assert [(f.severity, f.code) for f in report.findings] == [("warning", "same_people")]
    assert report.findings[0].message.startswith(f"{len(people)} of 4 people")
    report = check.check_dataset(parts)
    assert [f.code for f in report.findings] == ["subject_in_two_splits"] * len(people)
    assert store.same_people("flex/official") and not store.same_people("flex/cross_subject")
    assert store.same_people("mia/official") and store.same_people("mia/exercise_Squat")
    assert not store.same_people("mia/subject_0") and not store.same_people("gymsim/tiny")
    assert store.same_people("recordings/within_subject")
