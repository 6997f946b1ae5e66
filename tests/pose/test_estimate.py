"""Following one person from picture to picture; the nets are replaced by a stand-in."""

import itertools

import numpy as np
import pytest

from tests.pose.fakes import FakeModel, scene
from tests.pose.films import model, video
from video2emg.core.pose_track import CAMERA
from video2emg.core.thinning import thinned
from video2emg.data.readers import film as films
from video2emg.pose import estimate, people
from video2emg.pose.angles import LIMB_ANGLES, limb_angles


def test_one_search_is_enough_for_who_stays_in_the_picture():
    fake = FakeModel(50)
    pictures = [(i / 10, scene((60 + 5 * i, 120, 4, 50, 0))) for i in range(30)]
    watched = estimate.watch(pictures, fake)
    assert fake.detections == 1
    assert watched.track.seen.all() and watched.track.axes == CAMERA
    np.testing.assert_allclose(watched.track.points_2d[:, 0, 0], 59.5 + 5 * np.arange(30), atol=1)
    assert watched.size == (320, 240) and not watched.cuts


def test_points_are_pixels_of_the_film():
    picture = scene((160, 120, 4, 50, 0)).resize((1280, 960), 0)
    watched = estimate.watch([(0.0, picture), (0.1, picture)], FakeModel(50))
    np.testing.assert_allclose(watched.track.points_2d[0, 0], (640, 480), atol=6)


def test_who_leaves_is_not_confused_with_who_stays():
    both = [(i / 10, scene((80, 120, 4, 50, 0), (240, 120, 3, 60, 0))) for i in range(10)]
    other = [(1 + i / 10, scene((240, 120, 3, 60, 0))) for i in range(3)]
    watched = estimate.watch([*both, *other], FakeModel(50, 60))
    assert watched.track.seen[:10].all() and not watched.track.seen[10:].any()
    assert np.isnan(watched.track.points_2d[10:]).all()


def test_a_cut_is_found_and_a_new_search_begun():
    before = [(i / 10, scene((80, 120, 4, 50, 0), grey=20)) for i in range(10)]
    after = [(1 + i / 10, scene((250, 120, 4, 50, 0), grey=200)) for i in range(10)]
    fake = FakeModel(50)
    [person] = people.find_people(before, fake)
    watched = estimate.watch([*before, *after], fake, person)
    assert watched.cuts == (1.0,)
    assert watched.track.seen.all()


def test_estimate_chooses_by_movement():
    times = np.arange(0, 6, 0.25)
    bends = 60 - 60 * np.cos(times * np.pi / 2)
    frames = [scene((80, 120, 4, 50, 0), (240, 120, 3, 60, bend)) for bend in bends]
    track = estimate.estimate([np.asarray(f) for f in frames], times, FakeModel(50, 60))
    knee = limb_angles(track.joints, track.names)[:, LIMB_ANGLES.index("left_knee")]
    np.testing.assert_allclose(knee, np.round(bends), atol=1)


def test_nobody_in_the_film():
    watched = estimate.watch([(i / 10, scene()) for i in range(3)], FakeModel(50))
    assert not watched.track.seen.any() and np.isnan(watched.brightness)


def test_a_real_film():
    film = films.read_frames(video("squat/squat_side.mp4"))
    beginning = itertools.takewhile(lambda frame: frame[0] <= 4.0, film)
    frames = ((time, decode()) for time, decode in thinned(beginning, 2.0))
    watched = estimate.watch(frames, model())
    assert watched.track.seen.all() and not watched.cuts
    at = dict(zip(watched.track.names, watched.track.points_2d.mean(0), strict=True))
    assert at["nose"][1] < at["right_shoulder"][1] < at["right_hip"][1] < at["right_ankle"][1]
    # The side of the camera is the right one, the left one is hidden.
    seen = dict(zip(watched.track.names, watched.track.confidence.mean(0), strict=True))
    assert seen["right_elbow"] > 0.8 > 0.3 > seen["left_elbow"]


def test_a_turned_picture_gives_the_turned_body():
    net = model()
    _, decode = next(itertools.islice(films.read_frames(video("pose2sim/cam01.mp4")), 1, None))
    upright = estimate.shrink(decode())
    lying = upright.transpose(2)  # 90° counter-clockwise
    a = net.landmarks(upright, net.detect(upright)[0].region)
    b = net.landmarks(lying, net.detect(lying)[0].region)
    turned = np.stack([a.points[:, 1], upright.width - a.points[:, 0]], 1)
    assert np.median(np.linalg.norm(turned - b.points, axis=1)) < 6
    world = a.world @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert np.median(np.linalg.norm(world - b.world, axis=1)) < 0.05
    assert b.presence == pytest.approx(1, abs=0.05)


def test_more_pictures_are_searched_at_first():
    kept = [time for time, _ in estimate.searched((i / 30, i) for i in range(900))]
    np.testing.assert_allclose(np.diff(kept), [1 / 6] * 25 + [0.5] * 23)
    assert kept[-1] <= 16
