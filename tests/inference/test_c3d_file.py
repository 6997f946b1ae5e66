"""C3D files are read by our own reader, and byte by byte as the standard says."""

import dataclasses
import struct

import numpy as np
import pytest

from tests.inference.test_pose_files import masked_track
from tests.pose.squats import NAMES
from video2emg.data import readers
from video2emg.data.readers.poses import read_pose
from video2emg.inference.output import c3d_file
from video2emg.inference.output.c3d_file import Signals

WRIST = NAMES.index("left_wrist")
pytest.importorskip("ezc3d")


def emg(seconds: float, first: int = 0) -> Signals:
    time = (first + np.arange(round(50 * seconds))) / 50
    values = np.stack([np.sin(time), np.cos(time)], 1) ** 2
    values[7, 1] = np.nan
    return Signals(("left_biceps_brachii", "right_soleus"), "mvc", time, values)


def test_the_pose_is_read_again_as_a_pose(tmp_path):
    track = masked_track()
    c3d_file.write(tmp_path / "pose.c3d", track)
    again = read_pose(tmp_path / "pose.c3d")
    assert again.rate == pytest.approx(15)
    names = [name for name in track.names if name in again.names]
    assert {"left_knee", "right_shoulder", "left_wrist"} <= set(names)
    for name in names:
        np.testing.assert_allclose(again.at(name), track.at(name), atol=1e-4)
    assert np.isnan(again.at("left_wrist")[10:20]).all()


@pytest.mark.parametrize("first", [0, 25])
def test_signals_and_joints_have_one_clock(tmp_path, first):
    track, signals = masked_track(), emg(3.0, first)
    c3d_file.write(tmp_path / "a.c3d", track, signals)
    channels = {c.name: c for c in readers.read(tmp_path / "a.c3d")}
    for column, name in enumerate(signals.names):
        assert channels[name].rate == 50 and channels[name].start == pytest.approx(first / 50)
        np.testing.assert_allclose(channels[name].values, signals.values[:, column], atol=1e-6)
    knee = channels["left_knee_x"]
    assert knee.rate == 50 and knee.start == channels["right_soleus"].start
    expected = np.interp(signals.time, track.times, track.at("left_knee")[:, 0])
    np.testing.assert_allclose(knee.values, expected, atol=1e-4)


def test_a_lost_joint_has_the_residual_of_the_standard(tmp_path):
    """Data of 32-bit floats: x, y, z and residual of each point, then the analog samples."""
    track, signals = masked_track(), emg(3.0)
    c3d_file.write(tmp_path / "a.c3d", track, signals)
    data = (tmp_path / "a.c3d").read_bytes()
    points, analog, first, last = struct.unpack("<4H", data[2:10])
    assert (points, analog, first, last) == (len(NAMES), 2, 1, 150)
    start = 512 * (struct.unpack("<H", data[16:18])[0] - 1)
    assert struct.unpack("<f", data[12:16])[0] < 0  # floats
    table = np.frombuffer(data[start:], "<f4", 150 * (4 * points + 2)).reshape(150, -1)
    wrist = table[:, 4 * WRIST : 4 * WRIST + 4]
    known = track.sampled(signals.time)[1][:, WRIST]
    assert 0 < known.sum() < 150
    np.testing.assert_array_equal(wrist[~known], [[0, 0, 0, -1]] * int((~known).sum()))
    assert (wrist[known, 3] == 0).all() and (np.abs(wrist[known, :3]) > 1).any(1).all()  # mm
    assert np.isnan(table[7, -1]) and np.isfinite(np.delete(table[:, -1], 7)).all()


def test_a_film_that_begins_later_keeps_its_times(tmp_path):
    track = masked_track()
    c3d_file.write(tmp_path / "a.c3d", dataclasses.replace(track, times=track.times + 2.013))
    knee = {c.name: c for c in readers.read(tmp_path / "a.c3d")}["left_knee_z"]
    expected = np.interp(
        knee.start + np.arange(len(knee.values)) / knee.rate,
        track.times + 2.013,
        track.at("left_knee")[:, 2],
    )
    assert 2.013 <= knee.start < 2.013 + 1 / 15
    np.testing.assert_allclose(knee.values, expected, atol=1e-4)


def test_what_is_too_long_for_the_format_is_told_and_not_cut(tmp_path, capfd):
    time = np.arange(65536) / 50
    signals = Signals(("right_soleus",), "mvc", time, np.zeros((len(time), 1)))
    c3d_file.write(tmp_path / "a.c3d", masked_track(), signals)
    assert not (tmp_path / "a.c3d").exists()
    assert "65536 frames" in capfd.readouterr().err
