"""Calibration files and triangulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.pose.fakes import bent
from tests.pose.films import video
from video2emg.core.errors import UserError
from video2emg.core.pose_track import UPRIGHT, PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.pose import cameras, cleaning
from video2emg.pose.cameras import Camera

# The second camera of the demonstration as Pose2Sim itself converts it from Qualisys' file.
TOML = """
[cam_02]
name = "cam_02"
size = [ 1088.0, 1920.0]
matrix = [ [ 1673.729614265625, 0.0, 534.494567875], [ 0.0, 1673.79724121875, 963.2258910], [0,0,1]]
distortions = [ -0.047, 0.136, 0.001, 0.0003]
rotation = [ 1.34975875, 1.5963809099999993, -1.1983285799999999]
translation = [ -0.11152829000000014, 0.7766184800000001, 3.0675519599999994]
fisheye = false

[cam_04]
name = "cam_04"
size = [ 1088.0, 1920.0]
matrix = [ [ 1675.234985359375, 0.0, 540.106201171875], [ 0.0, 1675.20422368, 964.0302734], [0,0,1]]
distortions = [ -0.047, 0.134, 0.0003, 0.0002]
rotation = [ 1.4045571699999995, -1.3887412699999993, 0.42535743000000026]
translation = [ 0.5030217200000007, 0.04894934000000107, 4.406564460000002]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""


@pytest.fixture
def pair(tmp_path) -> list[Camera]:
    (tmp_path / "Calib.toml").write_text(TOML)
    return cameras.read_calibration(tmp_path / "Calib.toml")


def test_qualisys_is_read_as_pose2sim_reads_it(pair):
    path = video("pose2sim/cam01.mp4").parent / "calibration" / "Calib.qca.txt"
    all_four = cameras.read_calibration(path)
    assert [camera.name for camera in all_four] == ["cam01", "cam02", "cam03", "cam04"]
    for mine, theirs in zip((all_four[1], all_four[3]), pair, strict=True):
        assert mine.size == theirs.size
        np.testing.assert_allclose(mine.matrix, theirs.matrix, atol=1e-3)
        np.testing.assert_allclose(mine.rotation, theirs.rotation, atol=1e-6)
        np.testing.assert_allclose(mine.translation, theirs.translation, atol=1e-6)
        assert mine.rotation[1] @ [0, 0, 1] < -0.7  # z of the world is up in the picture


@given(st.floats(-0.3, 0.3), st.floats(-0.5, 0.5))
def test_rays_undo_the_lens(x, y):
    camera = Camera(
        "c",
        (1000, 1000),
        np.array([[900, 0, 500], [0, 910, 480], [0, 0, 1.0]]),
        np.array([-0.1, 0.05, 0.001, -0.002]),
        np.eye(3),
        np.zeros(3),
    )
    pixels = camera.project(np.array([[x, y, 1.0]]))
    np.testing.assert_allclose(camera.rays(pixels)[0], [x, y], atol=1e-6)


def seen_by(camera: Camera, joints: np.ndarray, scale: float = 1.0) -> PoseTrack:
    shape = joints.shape[:2]
    return PoseTrack(
        names=BLAZEPOSE_33,
        times=np.arange(shape[0]) / 15,
        joints=np.full((*shape, 3), np.nan),
        confidence=np.full(shape, 0.9),
        points_2d=camera.project(joints) * scale,
        source="test",
    )


def world(frames: int = 20) -> np.ndarray:
    """Somebody who squats where the cameras look, z up, m."""
    bends = np.linspace(0, 90, frames)
    joints = np.stack([bent(bend) for bend in bends])
    return joints @ Rotation.from_euler("x", -90, degrees=True).as_matrix().T + [0, 0, 1.0]


def test_points_are_where_two_cameras_see_them(pair):
    joints = world()
    tracks = [seen_by(camera, joints, 0.5) for camera in pair]
    found, error = cameras.triangulate(tracks, pair, [(544, 960)] * 2)
    np.testing.assert_allclose(found.joints, joints, atol=1e-6)
    assert error < 1e-3 and found.axes == UPRIGHT and found.seen.all()


def test_a_view_with_left_and_right_exchanged_is_mended(pair):
    joints = world()
    third = Camera(
        "third",
        pair[0].size,
        pair[0].matrix,
        pair[0].distortions,
        pair[0].rotation @ Rotation.from_euler("z", 60, degrees=True).as_matrix(),
        pair[0].translation,
    )
    group = [*pair, third]
    tracks = [seen_by(camera, joints) for camera in group]
    tracks[1] = cleaning.swapped(tracks[1], np.arange(len(joints)) % 3 == 0)
    found, _ = cameras.triangulate(tracks, group, [(1088, 1920)] * 3)
    np.testing.assert_allclose(found.joints, joints, atol=0.01)


def test_films_are_interpolated_to_the_times_of_the_first(pair):
    joints = world(31)
    first, second = (seen_by(camera, joints) for camera in pair)
    late = PoseTrack(
        second.names,
        second.times[::2],
        second.joints[::2],
        second.confidence[::2],
        second.points_2d[::2],
    )
    found, _ = cameras.triangulate([first, late], pair, [(1088, 1920)] * 2)
    np.testing.assert_allclose(found.joints, joints, atol=0.01)


def test_what_one_camera_sees_alone_has_no_place(pair):
    tracks = [seen_by(camera, world()) for camera in pair]
    keep = np.ones_like(tracks[0].confidence, bool)
    keep[:, 15] = False
    found, _ = cameras.triangulate([tracks[0].masked(keep), tracks[1]], pair, [(1088, 1920)] * 2)
    assert not found.seen[:, 15].any() and found.seen[:, 16].all()


def test_bad_calibrations_are_one_line(tmp_path, pair):
    for text in ("", "[a]\nmatrix = 3", TOML.replace("1673.729614265625", "nan"), "\0" * 20):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(UserError, match=r"bad\.toml"):
            cameras.read_calibration(tmp_path / "bad.toml")
    for text in ("<a></a>", "<a><cameras><camera/></cameras></a>", "not xml"):
        (tmp_path / "bad.qca.txt").write_text(text)
        with pytest.raises(UserError, match=r"bad\.qca"):
            cameras.read_calibration(tmp_path / "bad.qca.txt")
    tracks = [seen_by(camera, world(2)) for camera in pair]
    with pytest.raises(UserError, match="calibrated for 1088"):
        cameras.triangulate(tracks, pair, [(1920, 1080)] * 2)
    with pytest.raises(UserError, match="2 films for 1"):
        cameras.triangulate(tracks, pair[:1], [(1088, 1920)] * 2)


@given(st.text(max_size=300))
def test_any_text_is_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("calibration") / "c.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UserError):
        cameras.read_calibration(path)
