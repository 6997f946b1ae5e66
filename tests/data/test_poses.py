"""Poses of other programs, written as these programs write them, and read back."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.pose.squats import NAMES, bends, filmed, to_skeleton
from video2emg.core.errors import UserError
from video2emg.core.pose_track import CAMERA, UPRIGHT
from video2emg.core.skeleton import BLAZEPOSE_33, COCO_17, HALPE_26, OPENPOSE_25
from video2emg.core.vocabulary import mirror
from video2emg.data.readers.pose_names import joint_of, joints_of
from video2emg.data.readers.poses import _not_mirrored, read_pose
from video2emg.pose.angles import LIMB_ANGLES, limb_angles
from video2emg.pose.body import to_body
from video2emg.pose.opensim_angles import joints_from_angles

RATE = 30.0
KNEE = bends(4, RATE, 1)
SEEN, TRUTH = filmed(KNEE, RATE, facing=30, pitch=8)
ANGLES = limb_angles(TRUTH, NAMES)
WORLD = to_skeleton(SEEN.joints, BLAZEPOSE_33)  # camera axes, m, hips in the middle
MARKERS = to_skeleton(TRUTH, BLAZEPOSE_33)  # z up
# MediaPipe's own names.
MEDIAPIPE = [
    "NOSE",
    *(f"{s}_EYE{p}" for s in ("LEFT", "RIGHT") for p in ("_INNER", "", "_OUTER")),
    *("LEFT_EAR", "RIGHT_EAR", "MOUTH_LEFT", "MOUTH_RIGHT"),
    *(
        f"{s}_{p}"
        for p in (
            *("SHOULDER", "ELBOW", "WRIST", "PINKY", "INDEX", "THUMB"),
            *("HIP", "KNEE", "ANKLE", "HEEL", "FOOT_INDEX"),
        )
        for s in ("LEFT", "RIGHT")
    ),
]


def same_movement(track, tolerance=0.5):
    """Angles of the limbs are those of the body that was filmed."""
    found = limb_angles(track.joints, track.names)
    np.testing.assert_allclose(found, ANGLES[: len(found)], atol=tolerance)
    np.testing.assert_allclose(np.diff(track.times), 1 / RATE, atol=1e-3)
    body = to_body(track).track
    knee = limb_angles(body.joints, body.names)[:, LIMB_ANGLES.index("left_knee")]
    assert np.abs(knee - ANGLES[: len(knee), 0]).max() < 6
    assert np.nanmedian(body.at("left_toe")[:, 0] - body.at("left_heel")[:, 0]) > 0.1
    assert np.nanmin(body.at("left_shoulder")[:, 2]) > 0


def numbers(values):
    """JSON has no NaN."""
    return [float(x) if np.isfinite(x) else 0.0 for x in values]


def test_every_name_of_mediapipe_is_known():
    assert [joint_of(name) for name in MEDIAPIPE] == list(BLAZEPOSE_33)
    assert joints_of([f"landmark_{i}" for i in range(33)]) == list(BLAZEPOSE_33)
    assert [joint_of(name) for name in BLAZEPOSE_33] == list(BLAZEPOSE_33)
    assert joint_of("RHip") == "right_hip" and joint_of("LBigToe") == "left_toe"
    assert joint_of("r_shoulder_study") == "right_shoulder" and joint_of("midHip") == "pelvis"
    assert joint_of("l_thigh_4X4") == "left_hip" and joint_of("l_larm_4X4") == "left_elbow"
    assert not joint_of("torso") and not joint_of("marker 7a") and not joint_of("")


@pytest.mark.parametrize("style", ["names", "numbers", "letters first"])
def test_mediapipe_wide_table(tmp_path, style):
    path = tmp_path / "pose.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        names = MEDIAPIPE if style == "names" else range(33)
        columns = (
            [f"{a}{n}" for n in names for a in "xyzv"]
            if style == "letters first"
            else [f"{n}_{a}" for n in names for a in ("x", "y", "z", "visibility")]
        )
        table.writerow(["time", *columns])
        for i, frame in enumerate(WORLD):
            cells = [x for joint in frame for x in (*numbers(joint), 0.9)]
            table.writerow([f"{i / RATE:.5f}", *cells])
    track = read_pose(path)
    assert track.axes == CAMERA and np.nanmax(track.confidence) == 0.9
    same_movement(track)


def test_mediapipe_long_table(tmp_path):
    path = tmp_path / "pose.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "landmark", "x", "y", "z", "visibility"])
        for i, frame in enumerate(WORLD):
            for name, joint in zip(MEDIAPIPE, frame, strict=True):
                table.writerow([i, name, *numbers(joint), 0.8])
    same_movement(read_pose(path, RATE))
    with pytest.raises(UserError, match="rate"):
        read_pose(path)


@pytest.mark.parametrize("nested", [False, True])
def test_mediapipe_json(tmp_path, nested):
    frames = []
    for i, frame in enumerate(WORLD):
        points = [dict(zip("xyz", numbers(joint), strict=True), visibility=0.7) for joint in frame]
        normal = [{"x": 0.5, "y": 0.5, "z": 0.0, "visibility": 0.7}] * 33
        frames.append(
            {
                "timestamp_ms": 1000 * i / RATE,
                "poseLandmarks": [normal] if nested else normal,
                "poseWorldLandmarks": [points] if nested else points,
            }
        )
    path = tmp_path / "pose.json"
    path.write_text(json.dumps({"frames": frames} if nested else frames))
    same_movement(read_pose(path))


def test_landmarks_as_fractions_are_refused(tmp_path):
    width, height = 640, 480
    pixels = to_skeleton(
        np.concatenate([SEEN.points_2d, 160 * SEEN.joints[..., 2:]], -1), BLAZEPOSE_33
    )
    normal = pixels / [width, height, width]
    frames = [[numbers(p) for p in frame] for frame in normal]
    path = tmp_path / "pose.json"
    path.write_text(json.dumps(frames))
    with pytest.raises(UserError, match="fractions"):
        read_pose(path, RATE)


def write_trc(path, names, values, times=None, unit="m"):
    """Markers [T, M, 3], at `RATE` or at these times."""
    times = np.arange(len(values)) / RATE if times is None else times
    lines = ["PathFileType\t4\t(X/Y/Z)\tx.trc", "DataRate\tNumMarkers\tUnits"]
    lines += [f"{RATE:g}\t{len(names)}\t{unit}", "Frame#\tTime\t" + "\t\t\t".join(names), ""]
    for i, (time, frame) in enumerate(zip(times, values, strict=True)):
        lines.append("\t".join([str(i + 1), f"{time:.6f}", *(f"{x:.6f}" for x in frame.ravel())]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("unit", ["m", "mm"])
def test_opensim_markers(tmp_path, up, unit):
    names = ["RHip", "LHip", "RKnee", "LKnee", "RAnkle", "LAnkle", "RShoulder", "LShoulder"]
    names += ["RElbow", "LElbow", "RWrist", "LWrist", "RHeel", "LHeel", "RBigToe", "LBigToe"]
    values = MARKERS[:, [BLAZEPOSE_33.index(joint_of(name)) for name in names]]
    if up == "y":
        values = values[..., [0, 2, 1]] * [1, 1, -1]
    values = values * (1000 if unit == "mm" else 1)
    path = write_trc(tmp_path / "x.trc", names, values, unit=unit)
    track = read_pose(path)
    assert track.axes == UPRIGHT
    same_movement(track)


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_mirrored_bodies_are_refused(tmp_path, axis):
    """Left-handed axes, whichever of the three is turned, and exchanged names (None)."""
    path = tmp_path / "mirrored.npy"
    joints = MARKERS.copy()
    if axis is None:
        other = [BLAZEPOSE_33.index(mirror(name)) for name in BLAZEPOSE_33]
        joints = joints[:, other]
    else:
        joints[..., axis] *= -1
    np.save(path, joints)
    with pytest.raises(UserError, match="feet point backwards"):
        read_pose(path, RATE)


def test_kneeling_and_unseen_feet_are_no_mirror_image(tmp_path):
    """The feet of someone who kneels point backwards; those out of the picture are a guess."""
    kneeling = MARKERS.copy()
    place = {name: i for i, name in enumerate(BLAZEPOSE_33)}
    for side in ("left", "right"):
        knee = kneeling[:, place[f"{side}_knee"]]
        kneeling[:, place[f"{side}_ankle"]] = knee - [0.42, 0, 0]
        kneeling[:, place[f"{side}_heel"]] = knee - [0.45, 0, 0]
        kneeling[:, place[f"{side}_toe"]] = knee - [0.60, 0, 0]
    np.save(tmp_path / "kneeling.npy", kneeling)
    assert len(read_pose(tmp_path / "kneeling.npy", RATE).times) == len(kneeling)
    track = read_pose(_saved(tmp_path, MARKERS), RATE)
    feet = [track.names.index(f"{s}_{p}") for s in ("left", "right") for p in ("toe", "heel")]
    guessed = replace(track, confidence=track.confidence.copy(), joints=track.joints * [1, -1, 1])
    with pytest.raises(UserError, match="feet point backwards"):
        _not_mirrored(guessed, tmp_path)
    guessed.confidence[:, feet] = 0.02
    assert _not_mirrored(guessed, tmp_path) is guessed


def _saved(folder, joints):
    np.save(folder / "pose.npy", joints)
    return folder / "pose.npy"


def test_freemocap(tmp_path):
    turned = MARKERS @ Rotation.from_euler("z", 70, degrees=True).as_matrix().T
    more = np.concatenate([1000 * turned, np.zeros((len(turned), 42, 3))], 1)
    np.save(tmp_path / "mediapipe_body_3d_xyz.npy", more)
    same_movement(read_pose(tmp_path / "mediapipe_body_3d_xyz.npy", RATE))
    with pytest.raises(UserError, match="rate"):
        read_pose(tmp_path / "mediapipe_body_3d_xyz.npy")


def write_theia(path, first=0):
    """Segments of `MARKERS` as Theia3D writes them; the trial begins `first` frames after 0 s."""
    ezc3d = pytest.importorskip("ezc3d")
    segments = {
        "hip": "thigh",
        "knee": "shank",
        "ankle": "foot",
        "toe": "toes",
        "shoulder": "uarm",
        "elbow": "larm",
        "wrist": "hand",
    }
    file = ezc3d.c3d()
    labels = [f"{s}_{segment}_4X4" for s in "lr" for segment in segments.values()]
    joints = [f"{side}_{joint}" for side in ("left", "right") for joint in segments]
    poses = np.tile(np.eye(4)[:, :, None, None], (1, 1, len(labels), len(MARKERS)))
    places = MARKERS[:, [BLAZEPOSE_33.index(joint) for joint in joints]]
    poses[:3, 3] = np.moveaxis(1000 * places, -1, 0).transpose(0, 2, 1)
    file["parameters"]["POINT"]["RATE"]["value"] = [RATE]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["none"]
    file["data"]["points"] = np.zeros((4, 1, len(MARKERS)))
    file["header"]["points"]["first_frame"] = first
    file.add_parameter("ROTATION", "LABELS", labels)
    file.add_parameter("ROTATION", "RATE", [RATE])
    file["data"]["rotations"] = poses
    file.write(str(path))
    return path


def test_theia_segments(tmp_path):
    track = read_pose(write_theia(tmp_path / "theia.c3d"))
    found = limb_angles(track.joints, track.names)
    np.testing.assert_allclose(found, ANGLES, atol=0.5)
    assert track.rate == pytest.approx(RATE) and track.axes == UPRIGHT
    assert track.times[0] == 0


def test_segments_of_a_trial_that_was_cut_out_keep_their_times(tmp_path):
    assert read_pose(write_theia(tmp_path / "late.c3d", first=60)).times[0] == pytest.approx(2.0)


def test_joint_angles_of_opensim():
    zeros = np.zeros(4)
    angles = {f"{name}_{s}": zeros for name in ("hip_flexion", "knee_angle") for s in "rl"}
    angles |= {"knee_angle_r": np.array([0, 30, 60, 90.0]), "elbow_flex_l": np.full(4, 40.0)}
    angles |= {"hip_flexion_r": np.full(4, 50.0), "arm_flex_r": np.full(4, 80.0)}
    joints = joints_from_angles(angles, "test")
    from video2emg.pose.opensim_angles import NAMES as names

    found = dict(zip(LIMB_ANGLES, limb_angles(joints, names).T, strict=True))
    np.testing.assert_allclose(found["right_knee"], [0, 30, 60, 90], atol=1e-4)
    np.testing.assert_allclose(found["left_elbow"], 40, atol=1e-4)
    np.testing.assert_allclose(found["right_shoulder"], 80, atol=1e-4)
    at = {name: joints[:, i] for i, name in enumerate(names)}
    assert (at["right_knee"][:, 0] > at["right_hip"][:, 0] + 0.3).all()  # the thigh is in front
    assert at["right_ankle"][3, 0] < at["right_knee"][3, 0]  # the knee bends backwards
    assert (at["right_elbow"][:, 0] > 0.25).all() and (at["left_wrist"][:, 0] > 0.1).all()
    assert (at["left_hip"][:, 1] > 0).all() and (at["left_toe"][:, 0] > at["left_heel"][:, 0]).all()
    old = {name: -x if name.startswith("knee") else x for name, x in angles.items()}
    np.testing.assert_allclose(joints_from_angles(old, "test"), joints)
    with pytest.raises(UserError, match="hip_flexion_r"):
        joints_from_angles({"knee_angle_r": zeros}, "test")


def test_squats_of_opencap():
    from tests.pose.films import VIDEOS

    path = VIDEOS.parent / "opencap_processing" / "squats1_videoAndMocap.mot"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    track = read_pose(path)
    found = limb_angles(track.joints, track.names)[:, LIMB_ANGLES.index("right_knee")]
    header, *rows = path.read_text().split("endheader\n")[1].splitlines()
    column = header.split().index("knee_angle_r")
    np.testing.assert_allclose(found, np.abs([float(r.split()[column]) for r in rows]), atol=0.01)
    from video2emg.pose.repetitions import repeated

    assert repeated(to_body(track).track).is_exercise


@pytest.mark.parametrize("skeleton", [OPENPOSE_25, COCO_17, HALPE_26], ids=len)
def test_two_dimensions(tmp_path, skeleton):
    points = to_skeleton(np.concatenate([SEEN.points_2d, SEEN.points_2d[..., :1]], -1), skeleton)
    for i, frame in enumerate(points[:20]):
        flat = [
            x for p in frame for x in ((*numbers(p[:2]), 0.9) if np.isfinite(p[0]) else (0, 0, 0))
        ]
        content = {"people": [{"pose_keypoints_2d": flat}]}
        (tmp_path / f"a_{i:012d}_keypoints.json").write_text(json.dumps(content))
    track = read_pose(tmp_path, RATE)
    assert track.names == skeleton and not np.isfinite(track.joints).any()
    hip = track.names.index("left_hip")
    np.testing.assert_allclose(track.points_2d[:, hip], points[:20, hip, :2], atol=1e-6)
    with pytest.raises(UserError, match="no depth"):
        to_body(track)


def test_files_that_are_none(tmp_path):
    for name, content, words in (
        ("a.csv", "time,a_x,a_y,a_z\n" + "0.1,1,2,3\n0.2,1,2,3\n" * 9, "times|left shoulder"),
        ("g.csv", "q_x,q_y,q_z\n" + "".join(f"{i},2,3\n" for i in range(30)), "no left shoulder"),
        ("b.csv", "frame,landmark,x,y,z\n0,NOSE,1,2\n", "5 columns"),
        ("c.npy", "no", "not a .npy file"),
        ("d.json", "[]", "nobody"),
        ("e.json", "{", "not JSON"),
        ("f.txt", "x", "cannot read"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=words):
            read_pose(tmp_path / name, RATE)
    with pytest.raises(UserError, match="no such file"):
        read_pose(tmp_path / "none.trc")


@given(st.text(max_size=200), st.sampled_from([".csv", ".json", ".trc", ".mot", ".npy"]))
def test_any_text_is_refused_in_one_line(tmp_path_factory, text, suffix):
    path = tmp_path_factory.mktemp("pose") / f"p{suffix}"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UserError):
        read_pose(path, RATE)


HIPS = ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "left_knee", "right_knee")
COLUMNS = [f"{name}_{axis}" for name in HIPS for axis in "xyz"]


def write_wide(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def body_rows(count, columns=HIPS):
    """The cells of `COLUMNS` of some pictures."""
    places = WORLD[:, [BLAZEPOSE_33.index(name) for name in columns]]
    return [places[i % len(places)].ravel().tolist() for i in range(count)]


def test_a_joint_that_is_lost_early_does_not_shorten_the_others(tmp_path):
    rows = [[i / RATE, *cells] for i, cells in enumerate(body_rows(60))]
    for row in rows[20:]:
        row[1:4] = ["", "", ""]
    track = read_pose(write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows))
    assert len(track.times) == 60
    seen = dict(zip(track.names, track.seen.sum(0), strict=True))
    assert seen["left_hip"] == 20 and seen["right_hip"] == 60


def test_uneven_times_are_kept(tmp_path):
    times = np.delete(np.arange(60) / RATE, [7, 8, 9, 30])
    rows = [[f"{t:.4f}", *cells] for t, cells in zip(times, body_rows(56), strict=True)]
    path = write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows)
    for rate in (np.nan, 25.0):  # the times of the file count, not the rate
        np.testing.assert_allclose(read_pose(path, rate).times, times, atol=1e-4)


@pytest.mark.parametrize("place", ["before", "after"])
def test_missing_frames_leave_a_gap(tmp_path, place):
    frames = [*range(5, 15), *range(40, 50)]
    rows = body_rows(20)
    header = ["frame", *COLUMNS] if place == "before" else [*COLUMNS, "frame"]
    rows = [[f, *c] if place == "before" else [*c, f] for f, c in zip(frames, rows, strict=True)]
    track = read_pose(write_wide(tmp_path / "p.csv", header, rows), RATE)
    np.testing.assert_allclose(track.times, (np.array(frames) - 5) / RATE)


@pytest.mark.parametrize("unit", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("kind", ["wide", "json", "long"])
def test_steps_of_a_clock_without_unit_say_its_unit(tmp_path, unit, kind):
    times = np.arange(20) / 240
    clock = [round(unit * (1.7e9 * (unit == 1e3) + t)) for t in times]
    if kind == "wide":
        rows = [[t, *cells] for t, cells in zip(clock, body_rows(20), strict=True)]
        path = write_wide(tmp_path / "p.csv", ["timestamp", *COLUMNS], rows)
    elif kind == "json":
        frames = [
            {"timestamp": t, "landmarks": [[*numbers(joint), 0.9] for joint in WORLD[i]]}
            for i, t in enumerate(clock)
        ]
        path = tmp_path / "p.json"
        path.write_text(json.dumps(frames))
    else:
        rows = [
            [t, name, *WORLD[i, BLAZEPOSE_33.index(name)]]
            for i, t in enumerate(clock)
            for name in HIPS
        ]
        path = write_wide(tmp_path / "p.csv", ["time", "joint", "x", "y", "z"], rows)
    track = read_pose(path)
    np.testing.assert_allclose(track.times - track.times[0], times, atol=1e-3)


def test_times_of_days_are_refused(tmp_path):
    rows = [[90 * 60 * i, *cells] for i, cells in enumerate(body_rows(60))]
    path = write_wide(tmp_path / "p.csv", ["time [s]", *COLUMNS], rows)
    with pytest.raises(UserError, match="cover 88"):
        read_pose(path)


def test_landmarks_may_be_counted_from_one(tmp_path):
    header = ["time", *(f"{axis}{n}" for n in range(1, 34) for axis in "xyzv")]
    rows = [
        [i / RATE, *(x for joint in frame for x in (*numbers(joint), 0.9))]
        for i, frame in enumerate(WORLD)
    ]
    track = read_pose(write_wide(tmp_path / "p.csv", header, rows))
    assert track.names == BLAZEPOSE_33
    same_movement(track)


def test_numbers_beside_names_are_no_joints():
    assert joints_of(["LShoulder", "*11", "12"]) == ["left_shoulder", "", ""]
    assert joints_of(["*11", "*12"]) == ["", ""]


def test_a_flat_pose_is_refused(tmp_path):
    rows = [[i / RATE, *cells] for i, cells in enumerate(body_rows(60))]
    for row in rows:
        row[3::3] = [0.0] * len(HIPS)
    with pytest.raises(UserError, match="one plane"):
        read_pose(write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows))


def test_two_people_are_refused_and_not_mixed(tmp_path):
    rows = [
        [i, person, name, *WORLD[i, BLAZEPOSE_33.index(name)]]
        for i in range(20)
        for person in (0, 1)
        for name in HIPS
    ]
    path = write_wide(tmp_path / "p.csv", ["frame", "person", "joint", "x", "y", "z"], rows)
    with pytest.raises(UserError, match="two rows of left_hip at frame 0"):
        read_pose(path, RATE)
    person = [dict(zip("xyz", numbers(joint), strict=True)) for joint in WORLD[0]]
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"world_landmarks": [person, person]}] * 3))
    with pytest.raises(UserError, match="2 people in picture 0"):
        read_pose(path, RATE)


@pytest.mark.parametrize("word", ["conf", "presence", "prob", "likelihood"])
@pytest.mark.parametrize("percent", [1, 100])
def test_confidences_of_some_joints_by_any_name(tmp_path, word, percent):
    header = ["time", *COLUMNS, f"left_hip_{word}"]
    rows = [[i / RATE, *cells, 0.03 * percent] for i, cells in enumerate(body_rows(30))]
    rows[0][-1] = 0.99 * percent
    track = read_pose(write_wide(tmp_path / "p.csv", header, rows))
    confidence = dict(zip(track.names, track.confidence.T, strict=True))
    np.testing.assert_allclose(confidence["left_hip"], [0.99, *[0.03] * 29])
    assert (confidence["right_hip"] == 1).all()


def test_somebody_who_comes_late_and_hands_beside_the_pose(tmp_path):
    points = [dict(zip("xyz", numbers(joint), strict=True)) for joint in WORLD[0]]
    empty = {"face_landmarks": [], "pose_landmarks": [], "left_hand_landmarks": []}
    full = {
        "face_landmarks": [[0, 0, 0]] * 468,
        "left_hand_landmarks": [[0, 0, 0]] * 21,
        "pose_landmarks": points,
    }
    path = tmp_path / "p.json"
    path.write_text(json.dumps([empty] * 700 + [full] * 3))
    track = read_pose(path, RATE)
    assert track.seen.any(1).sum() == 3 and track.seen.any(1)[700:].all()


def test_a_byte_order_mark_before_rows_of_joints(tmp_path):
    rows = [
        ",".join([f"{i / RATE}", name, *map(str, WORLD[i, BLAZEPOSE_33.index(name)])])
        for i in range(20)
        for name in HIPS
    ]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["time,joint,x,y,z", *rows]), encoding="utf-8-sig")
    assert read_pose(path).names == HIPS


def test_arrays_without_pictures_or_people(tmp_path):
    for values, words in (
        (np.zeros((0, 33, 3)), "expected"),
        (np.full((4, 33, 3), np.nan), "never"),
    ):
        np.save(tmp_path / "p.npy", values)
        with pytest.raises(UserError, match=words):
            read_pose(tmp_path / "p.npy", RATE)


def test_markers_beside_analog_channels_have_their_own_clock(tmp_path):
    ezc3d = pytest.importorskip("ezc3d")
    file = ezc3d.c3d()
    names = ["LHip", "RHip", "LShoulder", "RShoulder", "LKnee", "RKnee", "LAnkle", "RAnkle"]
    places = MARKERS[:, [BLAZEPOSE_33.index(joint_of(name)) for name in names]]
    file["parameters"]["POINT"]["RATE"]["value"] = [RATE]
    file["parameters"]["POINT"]["LABELS"]["value"] = names
    file["parameters"]["ANALOG"]["RATE"]["value"] = [10 * RATE]
    file["parameters"]["ANALOG"]["LABELS"]["value"] = ["EMG 1"]
    file["data"]["points"] = np.moveaxis(
        np.concatenate([1000 * places, np.ones((*places.shape[:2], 1))], 2), -1, 0
    ).transpose(0, 2, 1)
    file["data"]["analogs"] = np.zeros((1, 1, 10 * len(places)))
    path = tmp_path / "p.c3d"
    file.write(str(path))
    np.testing.assert_allclose(np.diff(read_pose(path).times), 1 / RATE)


@pytest.mark.parametrize("score", [2.0, 1.6])
def test_scores_above_one_are_no_percentages(tmp_path, score):
    rows = [[i / RATE, *cells, 0.9] for i, cells in enumerate(body_rows(30))]
    rows[3][-1] = score
    track = read_pose(write_wide(tmp_path / "p.csv", ["time", *COLUMNS, "left_hip_score"], rows))
    confidence = track.confidence[:, track.names.index("left_hip")]
    np.testing.assert_allclose(confidence, [1.0 if i == 3 else 0.9 for i in range(30)])


@pytest.mark.parametrize("stamp", ["", "0", "coarse"])
def test_frames_count_where_a_time_says_nothing(tmp_path, stamp):
    rows = [
        [
            i,
            f"{i / 240:.2f}" if stamp == "coarse" else stamp,
            name,
            *list(WORLD[i, BLAZEPOSE_33.index(name)]),
        ]
        for i in range(60)
        for name in HIPS
    ]
    header = ["frame", "timestamp", "keypoint", "x", "y", "z"]
    track = read_pose(write_wide(tmp_path / "p.csv", header, rows), 240.0)
    assert len(track.times) == 60
    np.testing.assert_allclose(np.diff(track.times), 1 / 240, rtol=0.02)


@pytest.mark.parametrize("rate, decimals", [(120.0, 2), (60.0, 2), (30.0, 1)])
def test_times_with_few_decimals_become_even(tmp_path, rate, decimals):
    rows = [[f"{5 + i / rate:.{decimals}f}", *c] for i, c in enumerate(body_rows(200))]
    track = read_pose(write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows))
    np.testing.assert_allclose(np.diff(track.times), 1 / rate, rtol=0.02)
    assert track.times[0] == pytest.approx(5, abs=10**-decimals)


@pytest.mark.parametrize(
    "names", [("pose_landmarks", "world_landmarks"), ("poseLandmarks", "worldLandmarks")]
)
def test_world_landmarks_are_preferred(tmp_path, names):
    normal = [{"x": 0.5, "y": 0.5, "z": 0.0}] * 33
    frames = [
        {names[0]: normal, names[1]: [dict(zip("xyz", numbers(p), strict=True)) for p in frame]}
        for frame in WORLD
    ]
    path = tmp_path / "p.json"
    path.write_text(json.dumps(frames))
    same_movement(read_pose(path, RATE))


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\nx,y\nx,z\nx,q",
        "1\nx\ny\nz",
        "time,joint,x,y,z\r1,left_hip,1,2,3\r",
        "time,joint,x,y,z\n1," + "a" * 200_000 + ",1,2,3\n",
    ],
)
def test_odd_tables_are_refused_in_one_line(tmp_path, content):
    path = tmp_path / "p.csv"
    path.write_text(content, newline="")
    with pytest.raises(UserError):
        read_pose(path, RATE)


def test_points_in_the_second_table_and_rows_without_a_time(tmp_path):
    rows = body_rows(30)
    lines = ["time,emg", *(f"{i / 100},{i}" for i in range(40)), "", ",".join(["time", *COLUMNS])]
    for i, cells in enumerate(rows):
        lines.append(",".join([f"{i / RATE:.5f}" if i < 28 else "", *map(str, cells)]))
    path = tmp_path / "p.csv"
    path.write_text("\n".join(lines))
    track = read_pose(path)
    assert len(track.times) == 28 and track.rate == pytest.approx(RATE, rel=1e-3)


def test_numbers_count_beside_a_name_that_is_no_hip_or_shoulder():
    assert joints_of(["pelvis", *map(str, range(33))])[1:] == list(BLAZEPOSE_33)
