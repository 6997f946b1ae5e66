"""The whole way from films to a pose, with real weights; skipped without them."""

import itertools
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import launch
from tests.data.test_recordings import write_video
from tests.pose.films import model, video
from tests.pose.squats import SIZE, bends, filmed
from video2emg.core.errors import UserError
from video2emg.data import film_pose
from video2emg.data.film_pose import FilmOptions, film_to_pose
from video2emg.data.readers import film
from video2emg.inference.output import pose_files
from video2emg.pose.body import to_body


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def cut_out(name: str, folder, start: float, end: float, rate: float = 10.0):
    """A small film of a part of another one."""
    frames, times, due = [], [], start
    for time, decode in film.read_frames(video(name), longest=480):
        if time > end:
            break
        if time >= due:
            frames.append(np.asarray(decode()))
            times.append(time - start)
            due += 1 / rate
    path = folder / "part.mp4"
    write_video(path, frames, np.array(times))
    return path


def test_a_squat_from_the_side(tmp_path, no_network, capfd):
    model()
    path = cut_out("squat/squat_side.mp4", tmp_path, 7.0, 13.5)
    out = tmp_path / "out"
    assert launch("pose", "--video", path, "--out", out, "--pose_rate", 8) == 0
    errors = capfd.readouterr().err
    assert "1 repetition" in errors and "at the side" in errors
    found = json.loads((out / "pose.json").read_text())
    assert found["movement"]["turning_points_s"] == pytest.approx([3.5], abs=0.3)
    assert 60 < found["facing_deg"] < 100 and not found["refused"]
    assert found["seen"]["left_wrist"] == 0 < found["seen"]["right_knee"]
    sizes = {file.name for file in out.iterdir() if file.stat().st_size > 1000}
    assert sizes >= {"pose.csv", "pose.trc", "points.csv", "overlay.mp4", "people.png"}
    with Image.open(out / "people.png") as picture:
        assert picture.size == (480 * 608 // 1080 // 2 * 2, 480)


def test_a_walk_is_refused(tmp_path, capfd):
    model()
    path = cut_out("sports2d/demo.mp4", tmp_path, 2.4, 5.6)
    assert launch("pose", "--video", path, "--out", tmp_path / "out", "--no_overlay") == 3
    assert "refused: " in capfd.readouterr().err


@pytest.mark.slow
def test_four_calibrated_cameras(tmp_path):
    model("full")
    folder = video("pose2sim/cam01.mp4").parent
    paths = [folder / f"cam0{i}.mp4" for i in range(1, 5)]
    calibration = folder / "calibration" / "Calib.qca.txt"
    pose = film_to_pose(paths, FilmOptions(rate=5, calibration=calibration))
    assert any("triangulated" in remark for remark in pose.remarks)
    with pytest.raises(UserError, match="4 cameras for 1 films"):
        film_to_pose(paths[0], FilmOptions(calibration=calibration))


@pytest.mark.parametrize(("size", "frames"), [((4, 4), 30), ((64, 48), 1), ((96, 64), 30)], ids=str)
def test_films_without_anybody_get_one_sentence(tmp_path, size, frames, no_network):
    model()
    pixels = np.random.default_rng(0).integers(0, 255, (frames, size[1], size[0], 3), np.uint8)
    write_video(tmp_path / "v.mkv", list(pixels), np.arange(frames) / 10)
    pose = film_to_pose(tmp_path / "v.mkv")
    assert "nobody was found" in pose.gated.refused
    assert not pose.track.seen.any()
    assert any("nobody" in warning for seen in pose.films for warning in seen.warnings)


def test_bad_flags_are_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "v.mp4").write_bytes(b"none")
    for flags, words in (
        ((), "--video"),
        (("--video", tmp_path / "no.mp4"), "no such file"),
        (("--video", tmp_path / "v.mp4", "--height", 175), "0.5 to 2.5 m"),
        (("--video", tmp_path / "v.mp4", "--pose_rate", 0), "rate 0"),
        (("--video", tmp_path / "v.mp4", "--net", "huge"), "lite, full, heavy"),
        (("--video", tmp_path / "v.mp4", "--pose_weights", tmp_path), "fetch-pose"),
    ):
        assert launch("pose", *flags) == 2
        assert words in capsys.readouterr().err


def test_times_that_step_back_are_left_out(monkeypatch):
    frames = [(t, None) for t in (0.0, 0.1, 0.05, 0.2)]
    monkeypatch.setattr(film, "read_frames", lambda *args: iter(frames))
    found = film_pose._increasing(Path("film"), FilmOptions())
    assert [time for time, _ in itertools.islice(found, 5)] == [0.0, 0.1, 0.2]


def test_what_another_program_found(tmp_path, capfd):
    track, _ = filmed(bends(8, 15))
    pose_files.write_csv(to_body(track, SIZE).track, tmp_path / "pose.csv")
    out = tmp_path / "out"
    assert launch("pose", "--track", tmp_path / "pose.csv", "--out", out) == 0
    assert "3 repetitions" in capfd.readouterr().err
    names = {"pose.csv", "pose.trc", "pose.json", "angles.mot", "pose.c3d"}
    assert {file.name for file in out.iterdir()} == names
    assert launch("pose", "--track", tmp_path / "pose.csv", "--video", "v.mp4") == 2
