"""Films that nobody should take: each gives something sensible or one sentence."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.data.test_film_pose import cut_out
from tests.data.test_recordings import write_video
from tests.pose.films import model
from video2emg.data.film_pose import FilmOptions, film_to_pose
from video2emg.data.readers import film

RATE = FilmOptions(rate=5)


@pytest.fixture(scope="module")
def squat(tmp_path_factory):
    """3 s of a squat at 10 Hz, [F, H, W, 3]."""
    model()
    path = cut_out("squat/squat_side.mp4", tmp_path_factory.mktemp("squat"), 7.0, 10.0)
    return np.stack([np.asarray(decode()) for _, decode in film.read_frames(path)])


def figure(depth):
    """A drawn figure that squats; depth from 0 to 1."""
    picture = Image.new("RGB", (240, 320), "#cfe8ff")
    pen, hip = ImageDraw.Draw(picture), 150 + 60 * depth
    pen.ellipse((100, hip - 120, 140, hip - 80), "#ffd9a0", "black", 3)
    pen.rectangle((95, hip - 80, 145, hip), "#d03030", "black", 3)
    for side in (-1, 1):
        knee = (120 + side * (25 + 40 * depth), (hip + 270) / 2)
        pen.line([(120 + side * 15, hip), knee, (120 + side * 15, 270)], "#2040a0", 14)
        hand = (120 + side * 50, hip - 70)
        pen.line([(120 + side * 25, hip - 75), (120 + side * 60, hip - 40), hand], "#ffd9a0", 10)
    return np.asarray(picture)


def test_a_cartoon_is_read_as_a_person_or_refused(tmp_path):
    model()
    depths = np.sin(np.pi * np.arange(40) / 20) ** 2
    write_video(tmp_path / "v.mp4", [figure(depth) for depth in depths], np.arange(40) / 10)
    pose = film_to_pose(tmp_path / "v.mp4", RATE)
    assert pose.gated.refused or len(pose.gated.repeated.turns) == 2


def test_the_upper_half_of_a_person_is_refused(squat, tmp_path):
    half = squat[:, : squat.shape[1] // 2]
    write_video(tmp_path / "v.mp4", list(half), np.arange(len(half)) / 10)
    pose = film_to_pose(tmp_path / "v.mp4", RATE)
    assert "most joints are hidden" in pose.gated.refused
    assert any("the feet leave the picture" in warning for warning in pose.films[0].warnings)


def test_of_240_pictures_a_second_few_are_looked_at(squat, tmp_path):
    frames = squat[:, ::2, ::2].repeat(24, axis=0)
    write_video(tmp_path / "v.mp4", list(frames), np.arange(len(frames)) / 240)
    pose = film_to_pose(tmp_path / "v.mp4", RATE)
    assert pose.track.rate == pytest.approx(5, abs=0.1) and pose.track.times[-1] > 2.5
    assert "no movement that is repeated" in pose.gated.refused  # it never rises again
