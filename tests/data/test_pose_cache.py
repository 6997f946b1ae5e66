"""Poses that are estimated while a dataset is built; the net is a stand-in or skipped."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import launch
from tests.data.test_film_pose import cut_out
from tests.data.test_recordings import CHANNELS, folder, write_emg, write_video
from tests.pose.films import model
from tests.pose.squats import SIZE, bends, filmed, to_skeleton
from video2emg.core.errors import UserError
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.vocabulary import FLEX_21
from video2emg.data import film_pose, pose_cache, store
from video2emg.data.datasets import flex
from video2emg.data.datasets.flex.layout import Facts, Sample
from video2emg.data.datasets.flex.load import load_clip as load_flex
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table
from video2emg.data.film_pose import FilmOptions, SeenFilm
from video2emg.pose.estimate import Watched


@pytest.fixture
def looked(monkeypatch):
    """In place of the net: everybody squats; the list of the films that were looked at."""
    films = []

    def watch(path, options, net, say=None):
        films.append(path)
        track, _ = filmed(bends(8, 15), facing=20)
        watched = Watched(_all_joints(track), (2.0,), SIZE, 0.5)
        return SeenFilm(path, watched, (), "one person was seen", ("dark",))

    monkeypatch.setattr(film_pose, "watch_film", watch)
    monkeypatch.setattr(pose_cache, "_model", lambda *args: None)
    return films


def _all_joints(track):
    def arrange(values):
        return to_skeleton(values, BLAZEPOSE_33)

    depth = np.concatenate([track.points_2d, track.points_2d[..., :1]], -1)
    joints = arrange(track.joints)
    return dataclasses.replace(
        track,
        names=BLAZEPOSE_33,
        joints=joints,
        points_2d=arrange(depth)[..., :2],
        confidence=np.isfinite(joints).all(2) * 0.9,
    )


def test_cameras_that_show_different_movements_make_no_pose(looked, monkeypatch, tmp_path):
    watch = film_pose.watch_film

    def one_rests(path, options, net, say=None):
        seen = watch(path, options, net)
        if path.name == "rests.mp4":
            track = seen.watched.track
            still = dataclasses.replace(
                track,
                joints=np.repeat(track.joints[:1], len(track.times), 0),
                points_2d=np.repeat(track.points_2d[:1], len(track.times), 0),
            )
            seen = dataclasses.replace(seen, watched=dataclasses.replace(seen.watched, track=still))
        return seen

    monkeypatch.setattr(film_pose, "watch_film", one_rests)
    films = [tmp_path / name for name in ("a.mp4", "b.mp4", "rests.mp4")]
    for film in films:
        film.write_bytes(film.name.encode())
    pose_cache.estimated_pose(films[:2], FilmOptions(), tmp_path, FLEX_21, "row 1")
    with pytest.raises(UserError, match=r"row 1: the cameras show different movements .*rests"):
        pose_cache.estimated_pose(films, FilmOptions(), tmp_path, FLEX_21, "row 1")


def test_a_film_is_looked_at_once(looked, tmp_path):
    path = tmp_path / "v.mp4"
    path.write_bytes(b"some film")
    first = pose_cache.seen_film(path, FilmOptions(), tmp_path)
    again = pose_cache.seen_film(path, FilmOptions(), tmp_path)
    assert looked == [path]
    np.testing.assert_allclose(again.watched.track.joints, first.watched.track.joints, atol=1e-6)
    assert again.watched.cuts == (2.0,) and again.warnings == ("dark",) and again.who == first.who
    pose_cache.seen_film(path, FilmOptions(net="lite"), tmp_path)
    pose_cache.seen_film(path, FilmOptions(person=(2,)), tmp_path)
    path.write_bytes(b"another film")
    pose_cache.seen_film(path, FilmOptions(), tmp_path)
    assert len(looked) == 4
    kept = next((tmp_path / pose_cache.FOLDER).glob("*_full_*.npz"))
    kept.write_bytes(b"damaged")
    pose_cache.seen_film(path, FilmOptions(), tmp_path)
    pose_cache.seen_film(path, FilmOptions(), tmp_path)
    assert len(looked) <= 5


def recordings(tmp_path, pose: str):
    root = folder(tmp_path, header=",height" + (",pose" if pose else ""))
    table = root / "clips.csv"
    lines = table.read_text().splitlines()
    more = ",1.7" + (f",{pose}" if pose else "")
    table.write_text("\n".join([lines[0], *(line + more for line in lines[1:])]) + "\n")
    return root


def test_rows_may_ask_for_it(looked, tmp_path):
    row = read_table(recordings(tmp_path, "estimate"))[0]
    clip = load_clip(row)
    assert clip.joints == FLEX_21 and clip.provenance["pose_estimated"]["net"] == "full"
    at = dict(zip(clip.joints, np.nanmean(clip.pose, 0), strict=True))
    assert at["head"][2] > at["chest"][2] > at["left_knee"][2]
    thigh = [clip.joints.index(name) for name in ("left_hip", "left_knee")]
    lengths = np.linalg.norm(np.diff(clip.pose[:, thigh], axis=1), axis=-1)
    np.testing.assert_allclose(lengths, 0.245 * 1.7, rtol=1e-3)
    assert load_clip(read_table(recordings(tmp_path, ""))[0]).joints == ()
    assert (
        load_clip(read_table(recordings(tmp_path, ""))[0], estimate_pose="lite").joints == FLEX_21
    )


def test_it_needs_a_video(tmp_path):
    write_emg(tmp_path / "a.csv", np.ones(1000), 1000.0)
    text = f"subject,action,emg,emg_channels,pose\np,squat,a.csv,{CHANNELS},estimate\n"
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(UserError, match="line 2, pose: to estimate it, a video is needed"):
        read_table(tmp_path)


def test_flex_without_skeletons(looked, tmp_path):
    view = tmp_path / "A01" / "001" / "View-1"
    view.mkdir(parents=True)
    for i in range(1, 104):
        Image.new("RGB", (32, 24)).save(view / f"img_{i:05d}.JPG")
    clip = load_flex(tmp_path, Sample("A01", 1, 80.0), Facts(frame_rate=15.0), estimate_pose="full")
    assert clip.joints == FLEX_21 and looked == [view]
    assert np.isfinite(clip.pose).mean() > 0.9
    assert flex.Builder.estimates_poses


def test_other_datasets_refuse(tmp_path):
    with pytest.raises(UserError, match="estimate_pose"):
        store.open_dataset("gymsim/tiny", tmp_path, estimate_pose="full")


def test_films_and_emg_become_a_dataset(tmp_path):
    """With the real net: two commands from films to a dataset with poses."""
    model()
    root = tmp_path / "root"
    root.mkdir()
    path = cut_out("squat/squat_side.mp4", root, 8.0, 12.0, 8.0)
    write_emg(root / "a.csv", np.random.default_rng(0).normal(size=4000), 1000.0)
    rows = ["subject,action,video_right,emg,emg_channels"]
    rows += [f"p{i},squat,{path.name},a.csv,{CHANNELS}" for i in range(3)]
    (root / "clips.csv").write_text("\n".join(rows) + "\n")
    flags = ("--dataset", "recordings/default", "--manual_dir", root, "--data_dir", tmp_path / "d")
    assert launch("prepare-data", *flags, "--estimate_pose", "--net", "full") == 0
    clip = store.open_dataset("recordings/default", tmp_path / "d").splits["train"][0]
    knee = clip.joints.index("right_knee")
    assert (
        np.isfinite(clip.pose[:, knee]).all()
        and np.isnan(clip.pose[:, clip.joints.index("left_wrist")]).all()
    )
    assert len(list((root / pose_cache.FOLDER).glob("*.npz"))) == 1
    # A dataset without poses is not taken for one with them.
    plain = tmp_path / "plain"
    write_video(root / path.name, [np.zeros((32, 32, 3), np.uint8)] * 40, np.arange(40) / 10)
    assert launch(*("prepare-data", *flags[:-1]), plain) == 0
    assert launch(*("prepare-data", *flags[:-1]), plain, "--estimate_pose") == 2
