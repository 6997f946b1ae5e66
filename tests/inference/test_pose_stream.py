"""EMG from the pose of a person in front of a camera."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import launch
from tests.data.test_film_pose import cut_out
from tests.pose.fakes import FakeModel, scene
from tests.pose.films import model
from video2emg.core.errors import UserError
from video2emg.data.film_pose import FilmOptions, SeenFilm, assemble
from video2emg.data.readers import film, live
from video2emg.inference.output.live_overlay import LiveOverlay
from video2emg.inference.pose_stream import STEP_S, PoseStream
from video2emg.inference.predictor import Predictor
from video2emg.inference.run import open_run
from video2emg.pose import estimate
from video2emg.pose.body import BodyOptions

RATE = 10.0
FILM = FilmOptions(rate=RATE, body=BodyOptions(1.75))


@pytest.fixture(scope="module")
def run(pose_dir):
    return open_run(pose_dir)


class Distant(FakeModel):
    """Sees the joints where a distant camera would, 120 px a metre."""

    def landmarks(self, picture, region):
        landmarks = super().landmarks(picture, region)
        points = (landmarks.region.x, landmarks.region.y) + 120 * landmarks.world[:, :2]
        return dataclasses.replace(landmarks, points=points)


def picture(time, nobody=False):
    """Somebody who bends the knees every two seconds."""
    knees = 50 - 50 * np.cos(np.pi * time)
    return scene() if nobody else scene((160, 120, 4.0, 50, float(knees)))


@pytest.fixture
def stream_of(run, monkeypatch):
    """Makes a stream of pictures at some times, with a stand-in for the nets."""

    def make(times, hidden=(), **options):
        monkeypatch.setattr(estimate, "load", lambda *_: Distant(50))
        frames = [
            live.LiveFrame(
                0.0, t, functools.partial(picture, t, any(a <= t < b for a, b in hidden))
            )
            for t in map(float, times)
        ]
        monkeypatch.setattr(live, "live_frames", lambda source: iter(frames))
        return PoseStream(run, equipment="none", film=FILM, **options)

    return make


def whole(stream, times):
    """EMG of all channels of the stream, as of a film."""
    recorder = estimate.PoseRecorder(Distant(50))
    for time in times.tolist():
        recorder.add(time, picture(time))
    pose = assemble([SeenFilm(Path("film"), recorder.watched(), (), "", ())], FILM)
    predictor = Predictor(stream._run)
    predictions = [
        predictor.predict_pose(pose, action=action, equipment="none", height=1.75)
        for action in predictor.actions
    ]
    by_muscle = {muscle: p.emg[:, i] for p in predictions for i, muscle in enumerate(p.muscles)}
    return np.stack([by_muscle[muscle] for muscle in stream.muscles], 1)


def test_the_emg_of_one_window_is_that_of_the_film(stream_of):
    """All of the EMG of a stream that is late enough comes at its end, from one window."""
    times = np.arange(39) / RATE
    stream = stream_of(times, delay_s=10.0)
    updates = list(stream.follow("camera"))
    assert all(len(update.time) == 0 for update in updates[:-1])
    emg, expected = updates[-1].emg, whole(stream, times)
    assert len(expected) - len(emg) <= 50 / RATE  # the film lasts one picture longer
    np.testing.assert_allclose(emg, expected[: len(emg)], atol=1e-5)
    assert np.ptp(emg, axis=0).max() > 1e-4


def test_samples_are_contiguous_and_as_late_as_was_said(stream_of):
    stream = stream_of(np.arange(70) / RATE)
    newest, ends = [], []
    for update in stream.follow("camera"):
        newest.append(update.time)
        ends.append(update.time[-1] if len(update.time) else 0.0)
        assert np.isfinite(update.emg).all() and update.emg.shape[1] == len(stream.muscles)
    time = np.concatenate(newest)
    np.testing.assert_allclose(time, np.arange(len(time)) / 50)
    assert time[-1] == pytest.approx(6.9, abs=0.021)
    assert np.allclose(np.diff(ends[1:-1]), STEP_S)
    # The last but one comes at a step, the last at the end of the stream.
    assert ends[-2] <= 6.9 - stream.delay_s


def test_a_pause_starts_anew_and_the_emg_before_it_is_complete(stream_of):
    before, after = np.arange(20) / RATE, 12 + np.arange(20) / RATE
    stream = stream_of([*before, *after])
    time = np.concatenate([update.time for update in stream.follow("camera")])
    gaps = np.flatnonzero(np.diff(time) > 0.03)
    assert len(gaps) == 1
    assert time[gaps[0]] == pytest.approx(1.9, abs=0.021)
    assert time[gaps[0] + 1] == pytest.approx(12.0, abs=0.021)


@pytest.mark.parametrize("fps", [10.0, 12.5, 25.0])
def test_pictures_keep_their_times_and_none_is_used_twice(stream_of, monkeypatch, fps):
    times = np.arange(round(4 * fps)) / fps
    stream = stream_of(times)
    seen = []
    add = estimate.PoseRecorder.add
    monkeypatch.setattr(
        estimate.PoseRecorder, "add", lambda self, t, p: (seen.append(t), add(self, t, p))[1]
    )
    monkeypatch.setattr(stream, "_film", dataclasses.replace(FILM, rate=15.0))
    list(stream.follow("camera"))
    assert len(set(seen)) == len(seen) and set(seen) <= set(times.tolist())
    assert len(seen) == len(times) if fps < 15 else 4 * 12 <= len(seen) <= 4 * 15 + 1


def test_a_picture_that_is_missing_for_a_second_is_not_made_up(stream_of):
    times = np.arange(60) / RATE
    stream = stream_of(times[(times < 3) | (times >= 4)].tolist())
    time = np.concatenate([update.time for update in stream.follow("camera")])
    assert not ((time > 2.95) & (time < 3.95)).any()
    assert time[-1] == pytest.approx(5.9, abs=0.021)


def test_where_nobody_is_seen_the_emg_is_unknown(stream_of):
    stream = stream_of(np.arange(120) / RATE, hidden=[(5.0, 9.0)])
    updates = list(stream.follow("camera"))
    time = np.concatenate([update.time for update in updates])
    known = np.isfinite(np.concatenate([update.emg for update in updates])).all(1)
    assert not known[(time > 6) & (time < 8)].any()
    assert known[time < 3.5].all() and known[time > 11].all()
    lost = [update for update in updates if len(update.time) and 6 < update.time[0] < 7.5]
    assert lost and not any(update.in_domain for update in lost)


def test_every_picture_is_in_one_update_if_they_are_asked_for(stream_of):
    times = np.arange(40) / RATE
    updates = list(stream_of(times, picture_px=64).follow("camera"))
    assert [time for update in updates for time, _ in update.pictures] == times.tolist()
    assert {max(p.size) for update in updates for _, p in update.pictures} == {64}
    assert all(update.pose is not None for update in updates)
    assert not any(update.pictures or update.pose for update in stream_of(times).follow("camera"))


def test_the_overlay_of_a_camera_has_every_picture_and_its_emg(stream_of, tmp_path):
    times = np.arange(60) / RATE
    stream = stream_of(times, hidden=[(3.0, 4.0)], picture_px=240)
    path = tmp_path / "overlay.mp4"
    with LiveOverlay(path, stream.muscles, "barbell_squat", "mvc", True, RATE) as overlay:
        for update in stream.follow("camera"):
            overlay.add(update)
    written = [(t, np.asarray(decode())) for t, decode in film.read_frames(path)]
    np.testing.assert_allclose([t for t, _ in written], times, atol=2e-3)
    assert written[0][1].shape[0] == 480
    # The pictures move on the left, the muscles on the right.
    (_, high), (_, low) = written[1], written[10]
    for part in (np.s_[:, :240], np.s_[:, 320:]):
        assert np.abs(high[part].astype(int) - low[part]).max() > 60


def test_the_overlay_so_far_is_kept_if_the_camera_is_lost(stream_of, tmp_path):
    stream = stream_of(np.arange(30) / RATE, picture_px=240)
    path = tmp_path / "overlay.mp4"
    with (
        pytest.raises(UserError, match="lost"),
        LiveOverlay(path, stream.muscles, "", "mvc", True, RATE) as overlay,
    ):
        for number, update in enumerate(stream.follow("camera")):
            overlay.add(update)
            if number == 3:
                raise UserError("lost")
    assert [file.name for file in tmp_path.iterdir()] == ["overlay.mp4"]
    assert len(list(film.read_frames(path))) > 8


def test_unknown_names_are_refused_before_the_nets_are_loaded(run, monkeypatch):
    monkeypatch.setattr(estimate, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(UserError, match="the model knows"):
        PoseStream(run, action="jump", film=FILM)
    with pytest.raises(UserError, match="--equipment"):
        PoseStream(run, equipment="kettle", film=FILM)
    with pytest.raises(UserError, match="--pose_rate 0"):
        PoseStream(run, film=FilmOptions(rate=0.0))


def test_a_real_film_as_if_it_came_from_a_camera(tmp_path, capsys):
    model()
    path = cut_out("squat/squat_side.mp4", tmp_path, 5.0, 12.0)
    flags = ["--camera", path, "--height", "1.75", "--pose_rate", "10", "--overlay"]
    assert launch("predict", *flags, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "relative effort" in shown.err and "from arrival to EMG" in shown.err
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert len(rows) == pytest.approx(7 * 50, abs=10)
    thigh = np.array([row["left_vastus_lateralis"] or np.nan for row in rows])
    assert np.nanmax(thigh) > 3 * np.nanmedian(thigh[:100])
    assert (tmp_path / "out" / "emg.csv").read_text().count("\n") == len(rows) + 1
    drawn = [time for time, _ in film.read_frames(tmp_path / "out" / "overlay.mp4")]
    assert len(drawn) == pytest.approx(70, abs=2) and drawn[-1] == pytest.approx(6.9, abs=0.15)
