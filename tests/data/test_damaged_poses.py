"""Poses of other programs that are damaged, or that nobody meant: one sentence, and soon."""

import json
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_poses import (
    COLUMNS,
    HIPS,
    MARKERS,
    RATE,
    WORLD,
    body_rows,
    numbers,
    write_theia,
    write_trc,
    write_wide,
)
from video2emg.cli import main
from video2emg.core.errors import UserError
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.data import readers
from video2emg.data.readers import c3d
from video2emg.data.readers.poses import read_pose

SECONDS = 20.0  # within which any file is read or refused, also on a busy machine
NAMES = ("RHip", "LHip", "RShoulder", "LShoulder", "RKnee", "LKnee")  # of markers
PLACES = MARKERS[
    :,
    [
        BLAZEPOSE_33.index(name)
        for name in (
            *("right_hip", "left_hip", "right_shoulder", "left_shoulder"),
            *("right_knee", "left_knee"),
        )
    ],
]


def refused(path, words, rate=RATE):
    """Reads a file that is refused in one sentence, which names it."""
    began = time.monotonic()
    with pytest.raises(UserError, match=words) as caught:
        read_pose(path, rate)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - began < SECONDS


def write_json(path, **numbers_of):
    """MediaPipe's landmarks, and numbers of the pictures by name."""
    frames = [
        {
            "landmarks": [numbers(joint) for joint in WORLD[i % len(WORLD)]],
            **dict(zip(numbers_of, row, strict=True)),
        }
        for i, row in enumerate(zip(*numbers_of.values(), strict=True))
    ]
    path.write_text(json.dumps(frames))
    return path


def write_mot(
    path, times, names=("hip_flexion_r", "hip_flexion_l", "knee_angle_r", "knee_angle_l")
):
    lines = ["Coordinates", "version=1", "inDegrees=yes", "endheader", "\t".join(["time", *names])]
    lines += [
        "\t".join([f"{t:.6f}", *(f"{10 + i % 7:.3f}" for _ in names)]) for i, t in enumerate(times)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def npy(header):
    """An array of 800 bytes behind a header that may promise something else."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(800)


@pytest.mark.parametrize(
    "header, words",
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 33, 3), }", "damaged"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10**9, 33, 3), }", "damaged"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 30 + ", 3), }", "damaged"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 33, 3), }", "damaged|expected"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (100,), }", "expected .pictures, 33"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 33, 3), ", "damaged"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 33, 3), 1: 2}", "damaged"),
        ("{'descr': '<f8, '''fortran_order': False, ((", "damaged"),
        ("{'descr': (), 'fortran_order': False, 'shape': (1, 33, 3), }", "damaged"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1, 33, 3), }", "damaged"),
        ("{'descr': '<U2', 'fortran_order': False, 'shape': (1, 33, 3), }", "<U2; expected num"),
        ("{'descr': '<c16', 'fortran_order': False, 'shape': (1, 1, 3), }", "complex128; expected"),
        ("(" * 90, "damaged"),
        ("", "damaged"),
    ],
)
def test_headers_of_arrays_that_lie(tmp_path, header, words):
    (tmp_path / "p.npy").write_bytes(npy(header))
    refused(tmp_path / "p.npy", words)


def test_more_pictures_than_a_recording_has(tmp_path):
    np.lib.format.open_memmap(tmp_path / "p.npy", "w+", np.uint8, (6_000_000, 33, 3)).flush()
    refused(tmp_path / "p.npy", "6000000 pictures; expected up to")


@pytest.mark.parametrize(
    "content", [b"", b"\0", np.random.default_rng(0).bytes(3000)], ids=["none", "one", "random"]
)
def test_files_that_are_no_c3d(tmp_path, content):
    pytest.importorskip("ezc3d")
    path = tmp_path / "p.c3d"
    path.write_bytes(content)
    refused(path, "damaged")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "p.csv")  # reading it would wait for somebody who writes
    refused(tmp_path / "p.csv", "neither a file nor a folder")
    refused(tmp_path / ("p" * 300 + ".csv"), "cannot be read")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "no JSON files")


@pytest.mark.parametrize("rate", [np.inf, -np.inf, -30.0, 0.0, 1e6])
def test_rates_that_nobody_means(tmp_path, rate):
    np.save(tmp_path / "p.npy", MARKERS)
    refused(tmp_path / "p.npy", "a rate of .* Hz; expected up to 1000 Hz", rate)


@pytest.mark.parametrize(
    "flag, value, says",
    [
        ("rate", "inf", "0.1 to 1000 Hz"),
        ("rate", "-30", "0.1 to 1000 Hz"),
        ("rate", "0", "0.1 to 1000 Hz"),
        ("rate", "1e9", "0.1 to 1000 Hz"),
        ("pose_rate", "inf", "0.1 to 1000 Hz"),
        ("pose_rate", "nan", "0.1 to 1000 Hz"),
        ("facing", "inf", "-360 to 360 degrees"),
        ("facing", "-1e9", "-360 to 360 degrees"),
        ("pitch", "inf", "-89 to 89 degrees"),
        ("pitch", "90", "-89 to 89 degrees"),
        ("roll", "-inf", "-89 to 89 degrees"),
        ("height", "inf", "0.5 to 2.5 m"),
        ("height", "-1.7", "0.5 to 2.5 m"),
    ],
)
@pytest.mark.parametrize("command", ["pose", "predict", "mechanics"])
def test_numbers_that_nobody_means_cost_one_line(tmp_path, capsys, command, flag, value, says):
    np.save(tmp_path / "p.npy", MARKERS)
    pose = ["--track" if command == "pose" else "--pose", str(tmp_path / "p.npy")]
    out = tmp_path / "out"
    assert main.main([command, *pose, f"--{flag}={value}", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"--{flag} " in error and says in error and error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("kind", ["json", "csv", "trc", "mot"])
def test_steps_of_a_microsecond_and_one_late_time(tmp_path, kind):
    """Sampled evenly, this would be 50 million pictures."""
    times = np.arange(60) * 1e-6
    times[-1] = 50.0
    if kind == "json":
        path = write_json(tmp_path / "p.json", timestamp=times.tolist())
    elif kind == "csv":
        rows = [[f"{t:.6f}", *cells] for t, cells in zip(times, body_rows(60), strict=True)]
        path = write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows)
    elif kind == "trc":
        path = write_trc(tmp_path / "p.trc", NAMES, PLACES[:60], times)
    else:
        path = write_mot(tmp_path / "p.mot", times)
    refused(path, r"times are 1e-06 s apart; expected 0\.001 s or more")


def test_quick_steps_and_a_day_between_them(tmp_path):
    times = np.arange(60) / 250
    times[-1] = 20 * 3600
    rows = [[f"{t:.3f}", *cells] for t, cells in zip(times, body_rows(60), strict=True)]
    path = write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows)
    refused(path, "times cover 20 hours in steps of 0.004 s")


@pytest.mark.parametrize("times", ["uneven", "gap"])
@pytest.mark.parametrize("kind", ["trc", "mot"])
def test_markers_and_angles_with_uneven_times_are_read(tmp_path, kind, times):
    """The clock of a webcam, or a gap; the readers of EMG stay strict."""
    even = np.arange(60) / RATE
    if times == "uneven":
        told = even + np.random.default_rng(0).uniform(0, 0.7 / RATE, 60)
    else:
        told = even + np.where(np.arange(60) >= 30, 1.0, 0.0)
    path = tmp_path / f"p.{kind}"
    path = write_trc(path, NAMES, PLACES[:60], told) if kind == "trc" else write_mot(path, told)
    np.testing.assert_allclose(read_pose(path).times, told, atol=1e-6)
    with pytest.raises(UserError, match="not evenly spaced"):
        readers.read(path)


def test_coarse_times_of_markers_become_even_by_the_rate_of_the_header(tmp_path):
    told = np.round(np.arange(60) / RATE, 2)
    path = write_trc(tmp_path / "p.trc", NAMES, PLACES[:60], told)
    np.testing.assert_allclose(np.diff(read_pose(path).times), 1 / RATE, atol=1e-9)


def test_times_of_markers_that_step_back_are_refused(tmp_path):
    """The rate in the header does not stand for them: two trials may be in one file."""
    told = np.arange(60) / RATE % 1.0
    refused(write_trc(tmp_path / "p.trc", NAMES, PLACES[:60], told), "do not increase", np.nan)


def test_many_markers_without_rows(tmp_path):
    path = write_trc(tmp_path / "p.trc", [f"m{i}" for i in range(30_000)], np.zeros((0, 1, 3)))
    with path.open("a") as file:
        file.write("1\t0.0\t1\n" * 30_000)
    refused(path, "30000 markers, of which most rows have none")


def written_twice(path, kind, frames, shaken=0.0):
    """Pictures with these numbers; those of the same number differ by `shaken` m in the last."""
    again = np.append(False, np.diff(frames) == 0)
    places = [WORLD[f] + shaken * twice for f, twice in zip(frames, again, strict=True)]
    if kind == "json":
        content = [
            {"frame": int(f), "landmarks": [numbers(joint) for joint in of]}
            for f, of in zip(frames, places, strict=True)
        ]
        path.write_text(json.dumps(content))
        return path
    hips = [BLAZEPOSE_33.index(name) for name in HIPS]
    rows = [[f, *of[hips].ravel()] for f, of in zip(frames, places, strict=True)]
    return write_wide(path, ["frame", *COLUMNS], rows)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_of_a_picture_that_was_written_twice_the_last_counts(tmp_path, kind):
    frames = np.sort(np.r_[np.arange(40), 7, 7, 20])
    track = read_pose(written_twice(tmp_path / f"p.{kind}", kind, frames, 0.1), RATE)
    np.testing.assert_allclose(track.times, np.arange(40) / RATE)
    hip = track.at("left_hip") - WORLD[:40, BLAZEPOSE_33.index("left_hip")]
    expected = [0.1 if i in (7, 20) else 0.0 for i in range(40)]
    np.testing.assert_allclose(hip[:, 0], expected, atol=1e-9)
    every = read_pose(written_twice(tmp_path / f"q.{kind}", kind, np.arange(80) // 2), RATE)
    np.testing.assert_allclose(every.times, np.arange(40) / RATE)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_two_people_or_steps_back_are_no_pictures_written_twice(tmp_path, kind):
    path = written_twice(tmp_path / f"p.{kind}", kind, np.arange(80) // 2, 0.1)
    refused(path, "40 of 80 pictures have the frame number of the next one")
    path = written_twice(tmp_path / f"p.{kind}", kind, np.r_[np.arange(20), np.arange(15, 30)])
    refused(path, "frame numbers do not increase")
    path = written_twice(tmp_path / f"p.{kind}", kind, np.zeros(20, int))
    refused(path, "frame numbers do not increase")


def test_a_time_that_was_written_twice(tmp_path):
    told = np.sort(np.r_[np.arange(40) / RATE, 7 / RATE])
    rows = [[f"{t:.6f}", *cells] for t, cells in zip(told, body_rows(41), strict=True)]
    track = read_pose(write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows))
    np.testing.assert_allclose(track.times, np.arange(40) / RATE, atol=1e-5)


def test_rows_of_joints_that_were_written_twice(tmp_path):
    rows = [
        [i, name, *WORLD[i, BLAZEPOSE_33.index(name)]]
        for i in [*range(10), 9, *range(10, 20)]
        for name in HIPS
    ]
    path = write_wide(tmp_path / "p.csv", ["frame", "joint", "x", "y", "z"], rows)
    assert len(read_pose(path, RATE).times) == 20


def test_more_names_than_a_person_has_joints(tmp_path):
    rows = [[i, f"m{i}", 1, 2, 3] for i in range(6000)]
    path = write_wide(tmp_path / "p.csv", ["frame", "joint", "x", "y", "z"], rows)
    refused(path, "6000 names in column 'joint' at 6000 instants")


def test_angles_of_sports2d(tmp_path):
    names = ("right ankle", "left ankle", "right knee", "left knee", "right hip", "trunk")
    path = write_mot(tmp_path / "p_angles.mot", np.arange(20) / RATE, names)
    assert [channel.name for channel in readers.read(path)] == list(names)
    refused(path, "2-D angles, as of Sports2D, which make no body; give its .trc")


def test_times_that_are_all_the_same(tmp_path):
    """Of a third of a second no decimal is the last one."""
    rows = [[repr(1 / 3), *cells] for cells in body_rows(30)]
    refused(write_wide(tmp_path / "p.csv", ["time", *COLUMNS], rows), "do not increase", np.nan)
    with pytest.raises(UserError, match="lost their digits"):
        readers.channel.rate_of(np.full(30, 1 / 3), "here")


def test_whole_numbers_that_are_too_large(tmp_path):
    frames = [{"frame": 10**400, "landmarks": [[10**400, 0, 0]] * 33}] * 3
    (tmp_path / "p.json").write_text(json.dumps(frames))
    refused(tmp_path / "p.json", "picture 0: a landmark needs x, y, z")
    path = write_json(tmp_path / "p.json", timestamp=[0, 10**400, 1])
    refused(path, "times do not increase", np.nan)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small file of each kind, by what it is called."""
    folder = tmp_path_factory.mktemp("whole")
    rows = [[f"{i / RATE:.5f}", *np.round(cells, 4)] for i, cells in enumerate(body_rows(20))]
    write_wide(folder / "wide.csv", ["time", *COLUMNS], rows)
    rows = [
        [i, name, *np.round(WORLD[i, BLAZEPOSE_33.index(name)], 4), 0.9]
        for i in range(20)
        for name in HIPS
    ]
    write_wide(folder / "long.csv", ["frame", "joint", "x", "y", "z", "visibility"], rows)
    write_json(folder / "p.json", frame=range(4), timestamp_ms=range(0, 132, 33))
    np.save(folder / "p.npy", MARKERS[:3].astype(np.float32))
    write_trc(folder / "p.trc", NAMES, PLACES[:20])
    write_mot(folder / "p.mot", np.arange(20) / RATE)
    return folder


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1) | st.floats(0, 0.1),  # place, as a share of the file; most faults are early
        st.integers(0, 30),  # bytes that are cut there
        st.binary(max_size=8)  # put there instead
        | st.sampled_from(
            [b"nan", b"inf", b"1e308", b"1e-320", b"9" * 30, b"-", b"\n", b"\t", b",,", b"[", b"0"]
        ),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content, edits):
    for share, cut, more in edits:
        place = int(share * len(content))
        content = content[:place] + more + content[place + cut :]
    return content


def read_or_refused(path, rate):
    began = time.monotonic()
    try:
        track = read_pose(path, rate)
    except UserError as error:
        assert path.name in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(track.times).all() and (np.diff(track.times) > 0).all()
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("name", ["wide.csv", "long.csv", "p.json", "p.npy", "p.trc", "p.mot"])
@settings(max_examples=60)
@given(edits=EDITS, rate=st.sampled_from([RATE, np.nan]))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, whole, name, edits, rate):
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(damaged((whole / name).read_bytes(), edits))
    read_or_refused(path, rate)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_c3d_is_read_or_refused(tmp_path, monkeypatch, seed):
    """Fewer of them, because each is read in a process of its own."""
    monkeypatch.setattr(c3d, "_TIMEOUT_S", 5.0)  # of some files ezc3d never finds the end
    content = write_theia(tmp_path / "p.c3d").read_bytes()
    rng = np.random.default_rng(seed)
    edits = [
        (share * (0.05 if seed < 3 else 1.0), int(rng.integers(0, 2)), rng.bytes(1))
        for share in rng.uniform(size=8)
    ]
    (tmp_path / "p.c3d").write_bytes(damaged(content, edits))
    read_or_refused(tmp_path / "p.c3d", np.nan)
