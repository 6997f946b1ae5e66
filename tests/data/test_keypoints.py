"""Keypoints of detectors and rates of watches, on the clip's clock; and files with mistakes."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from video2emg.core import skeleton
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data import check
from video2emg.data.datasets import schema
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table
from video2emg.data.readers import keypoints

from .test_recordings import folder, grey, write_video

RNG = np.random.default_rng(0)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 99)
    | st.floats()
    | st.sampled_from(["keypoints", "12", "a_000000000003", "../x", ""]),
    lambda inner: (
        st.lists(inner, max_size=60)
        | st.dictionaries(
            st.sampled_from(
                [
                    "people",
                    "pose_keypoints_2d",
                    "images",
                    "annotations",
                    "id",
                    "image_id",
                    "file_name",
                    "keypoints",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=80,
)


def person(joints, scale=50.0, seed=0):
    """[K, 3] pixels and confidence."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(1, scale, (joints, 2)), rng.uniform(0.1, 1, joints)])


def openpose(path, frames):
    path.mkdir(exist_ok=True)
    for number, people in frames.items():
        detected = [{"person_id": [-1], "pose_keypoints_2d": p.ravel().tolist()} for p in people]
        content = {"version": 1.3, "people": detected}
        (path / f"a_{number:012d}_keypoints.json").write_text(json.dumps(content))
    return path


def test_openpose_and_coco_give_the_same_keypoints(tmp_path):
    first, second = person(25), person(25, seed=1)
    first[3] = 0  # not detected
    detected = keypoints.read(openpose(tmp_path / "o", {0: [first], 1: [], 7: [second]}))
    assert detected.joints == skeleton.OPENPOSE_25 and list(detected.frame) == [0, 7]
    assert np.isnan(detected.points[0, 3, :2]).all() and detected.points[0, 3, 2] == 0
    np.testing.assert_allclose(detected.points[1], second)
    one = person(17)
    results = [{"image_id": 4, "category_id": 1, "keypoints": one.ravel().tolist(), "score": 0.9}]
    (tmp_path / "results.json").write_text(json.dumps(results))
    labels = {
        "images": [{"id": 99, "file_name": "film/img_00004.jpg", "width": 64, "height": 48}],
        "annotations": [{"image_id": 99, "keypoints": one.ravel().tolist()}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    for name in ("results.json", "labels.json"):
        detected = keypoints.read(tmp_path / name)
        assert detected.joints == skeleton.COCO_17 and list(detected.frame) == [4]
        np.testing.assert_allclose(detected.points[0], one)


def test_one_of_several_people_must_be_chosen(tmp_path):
    small, large = person(25, 10), person(25, 60, seed=1)
    path = openpose(tmp_path / "o", {0: [small, large], 1: [large]})
    with pytest.raises(UserError, match="2 people in frame 0; keep one"):
        keypoints.read(path)
    np.testing.assert_allclose(keypoints.read(path, largest=True).points[0], large)


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "nobody was found"),
        ("{}", "expected lists `images` and `annotations`"),
        ('[{"image_id": 1}]', "expected `image_id` and `keypoints`"),
        ('[{"image_id": "x", "keypoints": []}]', "does not end in the number of a frame"),
        ('[{"image_id": 1, "keypoints": [1, 2]}]', "must be numbers x, y, confidence"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}]', "1 keypoints; known are"),
        (json.dumps([{"image_id": 1, "keypoints": [float("inf")] * 51}]), "must be finite"),
        (json.dumps([{"image_id": 1, "keypoints": [0.5] * 51}]), "not pixels"),
        (json.dumps({"images": [], "annotations": [{"image_id": 1, "keypoints": [9] * 51}]}), None),
    ],
)
def test_broken_json_is_named(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    if message is None:  # without images, the id of one is its number
        assert list(keypoints.read(tmp_path / "a.json").frame) == [1]
        return
    with pytest.raises(UserError, match="a.json.*" + message) as caught:
        keypoints.read(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JUNK)
def test_any_json_is_read_or_refused_with_one_line(tmp_path, content):
    text = json.dumps(content)
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "o").mkdir(exist_ok=True)
    (tmp_path / "o" / "a_000000000001_keypoints.json").write_text(text)
    for path in (tmp_path / "a.json", tmp_path / "o"):
        try:
            detected = keypoints.read(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert detected.points.shape == (len(detected.frame), len(detected.joints), 3)


def test_links_out_of_openposes_folder_are_refused(tmp_path):
    path = openpose(tmp_path / "o", {0: [person(25)]})
    (tmp_path / "x.json").write_text("{}")
    (path / "a_000000000001_keypoints.json").symlink_to(tmp_path / "x.json")
    with pytest.raises(UserError, match="a link out of its folder"):
        keypoints.read(path)


def filmed(tmp_path, header, cells):
    """A wide film of uneven frame times, and a table of one row."""
    time = np.cumsum(np.r_[0, np.tile([0.02, 0.05], 10)])
    write_video(tmp_path / "v.mp4", grey([90] * len(time), (32, 64)), time)
    (tmp_path / "clips.csv").write_text(
        f"subject,action,video_left{header}\np,squat,v.mp4{cells}\n"
    )
    return time


def test_keypoints_are_on_the_stored_frames_and_their_clock(tmp_path):
    time = filmed(tmp_path, ",keypoints_left,start,end", ",o,0.1,0.6")
    corners = np.tile([[64.0, 32.0, 1.0]], (25, 1))
    corners[0] = 32, 16, 0.5  # the middle
    openpose(tmp_path / "o", {n: [corners] for n in range(len(time))})
    clip = load_clip(read_table(tmp_path)[0], fps=100.0)
    inside = time[(time >= 0.1) & (time <= 0.6)]
    np.testing.assert_allclose(clip.keypoint_time, inside - 0.1, atol=1e-4)
    np.testing.assert_allclose(clip.keypoints[0, 0], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(clip.keypoints[0, 1], [1.0, 0.75, 1.0])  # black above and below
    assert clip.keypoint_joints == skeleton.OPENPOSE_25 and not clip.pose.size
    again = schema.from_example(stored(clip))
    np.testing.assert_array_equal(again.keypoints, clip.keypoints)
    assert again.keypoint_joints == clip.keypoint_joints


def stored(clip):
    """As a record comes back: texts are bytes."""

    def plain(value):
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value.encode() if isinstance(value, str) else value

    return {name: plain(value) for name, value in schema.to_example(clip).items()}


@pytest.mark.parametrize(
    "header, cells, message",
    [
        (",pose", ",o", "pose: o: keypoints of one picture have no depth"),
        (",keypoints_front", ",o", "keypoints_front: needs the video"),
        (",keypoints_left,keypoints_person", ",o,me", "keypoints_person: 'me' is not largest"),
        (",keypoints_left,keypoints_first", ",o,nan", "keypoints_first: nan is not the number"),
        (",keypoints_left,keypoints_first", ",o,5", "frames 0 to 20, but the video has 21"),
        (",heart_rate", ",-3", "heart_rate: '-3' is not a positive number"),
        (",heart_rate", ",../h.csv", "heart_rate: ../h.csv lies outside"),
        (",heart_rate", ",h.csv", "heart_channel: which of 'HR', 'cadence'"),
        (",heart_rate,heart_channel", ",h.csv,pulse", "h.csv: no channel 'pulse'; it has 'HR'"),
        (",breath_rate", ",late.csv", "late.csv has no reading within 30 s"),
        (",breath_rate", ",clockless.csv", "no column `time`"),
    ],
)
def test_mistakes_are_named_with_their_column(tmp_path, header, cells, message):
    time = filmed(tmp_path, header, cells)
    openpose(tmp_path / "o", {n: [person(25)] for n in range(len(time))})
    (tmp_path / "h.csv").write_text("time [s],HR [bpm],cadence\n0,70,1\n5,72,1\n")
    (tmp_path / "late.csv").write_text("time,breath\n90,12\n95,13\n")
    (tmp_path / "clockless.csv").write_text("breath\n12\n13\n")
    with pytest.raises(UserError, match=message):
        load_clip(read_table(tmp_path)[0])


def test_a_log_of_rates_may_be_uneven_and_sparse(tmp_path):
    root = folder(
        tmp_path,
        1,
        ",heart_rate,heart_channel,heart_offset,breath_rate,start,end",
        ",h.csv,HR,2,14.5,0.5,1.5",
    )
    (root / "h.csv").write_text(
        "\ufefftime [s];HR [bpm];cadence\n-4;70;1\n-1,9;71,5;1\n"
        "-0,9;;1\n-0,8;72;1\n3;80;1\n9;90;1\n"
    )
    clip = load_clip(read_table(root)[0])
    # Two seconds later, from 0.5 s on; the neighbours on either side are kept.
    np.testing.assert_allclose(clip.heart_time, [-0.4, 0.7, 4.5])
    np.testing.assert_allclose(clip.heart_rate, [71.5, 72, 80])
    assert list(clip.breath_rate) == [14.5] and list(clip.breath_time) == [0.0]
    assert not [f for f in check.check_clip(clip) if "rate" in f.code]


def test_keypoints_outside_the_picture_are_found():
    clip = validate(
        Clip(
            clip_id="a",
            dataset="d",
            subject="s",
            action="x",
            views=("front",),
            frames=[b""],
            frame_view=np.zeros(1, np.int32),
            frame_time=np.zeros(1),
            keypoint_joints=skeleton.COCO_17,
            keypoints=np.full((1, 17, 3), 1.4, np.float32),
            keypoint_view=np.zeros(1, np.int32),
            keypoint_time=np.zeros(1),
        )
    )
    assert "keypoints" in {f.code for f in check.check_clip(clip)}


@pytest.mark.parametrize("source", skeleton.SKELETONS)
@pytest.mark.parametrize("target", skeleton.SKELETONS)
def test_shared_joints_survive_a_conversion_there_and_back(source, target):
    values = RNG.normal(size=(3, len(skeleton.skeleton(source)), 3)).astype(np.float32)
    there, names = skeleton.convert(values, source, target)
    back, root = skeleton.convert(there, target, source)
    for j, joint in enumerate(root):
        if joint in names:
            np.testing.assert_array_equal(back[:, j], values[:, j])


def test_joints_are_means_of_markers(tmp_path):
    joints = skeleton.skeleton("flex_21")
    names = [name for joint in joints for name in ((f"{joint}_m", f"{joint}_l"))]
    header = ",".join(["time", *(f"{n}_{a} [mm]" for n in names for a in "xyz")])
    values = RNG.normal(size=(20, len(names), 3)) * 1000
    rows = [",".join(map(repr, [i / 10, *v.ravel().tolist()])) for i, v in enumerate(values)]
    mapping = ";".join(f"{j}_m+{j}_l={j}" for j in joints if j != "left_toe")
    root = folder(tmp_path, 1, ",pose,pose_joints", f",p.csv,{mapping};left_toe_m=left_toe")
    (root / "p.csv").write_text("\n".join([header, *rows]))
    clip = load_clip(read_table(root)[0])
    means = values.reshape(20, 21, 2, 3).mean(2) / 1000
    np.testing.assert_allclose(clip.pose[:, :20], means[:, :20], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(clip.pose[:, 20], values[:, -2] / 1000, rtol=1e-5, atol=1e-6)
    table = (root / "clips.csv").read_text()
    (root / "clips.csv").write_text(table.replace("left_toe_m=left_toe", "left_toe_m=left_tail"))
    with pytest.raises(UserError, match="pose_joints: 'left_tail' is not a joint of flex_21"):
        load_clip(read_table(root)[0])
    (root / "clips.csv").write_text(table.replace(";left_toe_m=left_toe", ""))
    with pytest.raises(UserError, match=r"p\.csv has nothing for left_toe"):
        load_clip(read_table(root)[0])
