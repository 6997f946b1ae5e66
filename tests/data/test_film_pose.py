"""The whole way from films to a pose, with real weights; skipped without them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import launch
from tests.data.test_keypoints import openpose
from tests.data.test_recordings import write_video
from tests.pose.films import model, video
from tests.pose.squats import NAMES, SIZE, bends, body, filmed
from tests.pose.test_cameras import TOML
from video2emg.core import skeleton
from video2emg.core.errors import UserError
from video2emg.core.skeleton import OPENPOSE_25
from video2emg.data import film_pose
from video2emg.data.film_pose import FilmOptions, SeenFilm, film_to_pose
from video2emg.data.readers import film
from video2emg.inference.output import pose_files
from video2emg.pose import cameras
from video2emg.pose.body import to_body
from video2emg.pose.estimate import Watched
from video2emg.pose.people import Person


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


def test_a_man_who_balances_is_refused():
    model()
    pose = film_to_pose(video("pose2sim/cam01.mp4"), FilmOptions(rate=5))
    assert "the film lasts 1." in pose.gated.refused
    assert pose.films[0].who == "one person was seen"


def test_cameras_that_follow_two_people_are_refused_unless_told_whom_to_follow():
    """From behind the woman she is the larger one, from behind the man he is."""
    model()
    paths = [video(f"pose2sim_multi/cam0{i}.mp4") for i in (1, 4)]
    messages = []
    pose = film_to_pose(paths, FilmOptions(rate=8), messages.append)
    assert messages[0].startswith("cam01.mp4: person 2 of 2")
    assert "person 1 moves by" in messages[0]
    assert messages[1].startswith("cam04.mp4: person 1 of 2")
    assert "(cam01.mp4 / cam04.mp4)" in pose.gated.refused and "--person" in pose.gated.refused
    assert not pose.track.seen.any()
    options = FilmOptions(rate=8, person=(1, 1))
    man = film_pose.watch_film(paths[0], options.of_each(2)[0], model())
    told = film_pose.assemble([man, pose.films[1]], options)
    assert "the film lasts 1." in told.gated.refused
    assert not any("different" in remark for remark in told.remarks)


def seen(name, knee, facing, people=1):
    """A film of squats, with so many people in it."""
    track, _ = filmed(knee, facing=facing)
    crowd = tuple(Person([], []) for _ in range(people))
    return SeenFilm(Path(name), Watched(track, (), SIZE, 0.5), crowd, "", ())


def test_different_movements_are_told_and_refused_if_there_was_a_choice():
    squats, rests = bends(8, 15), np.full(8 * 15, 5.0)
    same = [seen("a", squats, 30, 2), seen("b", squats, -40, 2)]
    assert not film_pose.assemble(same, FilmOptions()).gated.refused
    differ = [seen("a", squats, 30, 2), seen("b", rests, -40)]
    refused = film_pose.assemble(differ, FilmOptions(person=(2,)))
    assert "(a / b)" in refused.gated.refused and not refused.track.seen.any()
    for films, person in ((differ, (2, 1)), ([seen("a", squats, 30), differ[1]], ())):
        told = film_pose.assemble(films, FilmOptions(person=person))
        assert not told.gated.refused
        assert any("check who was followed" in remark for remark in told.remarks)


def test_one_number_is_for_all_cameras():
    assert [one.person for one in FilmOptions(person=(2,)).of_each(2)] == [(2,), (2,)]
    assert [one.person for one in FilmOptions(person=(1, 2)).of_each(2)] == [(1,), (2,)]
    assert [one.person for one in FilmOptions().of_each(2)] == [(), ()]
    with pytest.raises(UserError, match="--person 1 2: 2 numbers for 3 films"):
        FilmOptions(person=(1, 2)).of_each(3)


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
        (("--video", tmp_path / "v.mp4", "--person", 1, 2), "2 numbers for 1 film;"),
        (("--video", tmp_path / "v.mp4", "--person", "left"), "left"),
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
    for flags in (("--person", 1), ("--calibration", "c.toml"), ("--net", "lite")):
        assert launch("pose", "--track", tmp_path / "pose.csv", *flags) == 2
        assert f"{flags[0]} has no effect with --track" in capfd.readouterr().err
        assert launch("predict", "--pose", tmp_path / "pose.csv", *flags) == 2
        assert f"{flags[0]} has no effect with --pose" in capfd.readouterr().err


def test_keypoints_of_calibrated_cameras_are_triangulated(tmp_path, capfd):
    (tmp_path / "Calib.toml").write_text(TOML)
    truth = np.stack([body(knee) for knee in bends(8, 15)])
    joints = skeleton.arrange(truth, NAMES, OPENPOSE_25) + np.array([0, 0, 1.0])
    folders = []
    for number, camera in enumerate(cameras.read_calibration(tmp_path / "Calib.toml")):
        points = np.nan_to_num(camera.project(joints))
        confident = np.where(points.any(2, keepdims=True), 0.9, 0.0)
        seen = np.concatenate([points, confident], 2)
        folder = openpose(tmp_path / str(number), {i: [p] for i, p in enumerate(seen)})
        folders += ["--track", folder]
    flags = [*folders, "--rate", 15, "--height", 1.75, "--out", tmp_path / "out"]
    assert launch("pose", *flags) == 2
    assert "need their --calibration" in capfd.readouterr().err
    assert launch("pose", *flags, "--calibration", tmp_path / "Calib.toml", "--person", 1) == 2
    assert "--person has no effect" in capfd.readouterr().err
    assert launch("pose", *flags, "--calibration", tmp_path / "Calib.toml") == 0
    told = capfd.readouterr().err
    assert "triangulated: 0 px" in told and "3 repetitions" in told
    found = json.loads((tmp_path / "out" / "pose.json").read_text())
    assert found["seen"]["left_knee"] == 1 and found["seen"]["right_wrist"] == 1
