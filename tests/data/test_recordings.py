"""A user's folder with encoded videos and other files, brought to one clock."""

import fractions

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.lifter import CHANNELS, lifter, write_emg
from video2emg.core import emg, vocabulary
from video2emg.core.batch import Window
from video2emg.core.equipment import load_shares
from video2emg.core.errors import UserError
from video2emg.data import person, store
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table
from video2emg.data.examples import Examples
from video2emg.data.readers import film

PIECES = [
    "subject",
    "action",
    "video",
    "emg",
    "a.csv",
    "../x",
    ",",
    "\n",
    "0",
    "start",
    "end",
    ";",
    "=",
    ":",
    '"',
    "nan",
    "1e999",
    "\0",
    "ü",
    "- ",
    "\ufeff",
]


def write_video(path, pictures, times, codec="mpeg4"):
    """Encodes pictures with presentation times of their root, in steps of 1/90000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = pictures[0].shape[1], pictures[0].shape[0]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = fractions.Fraction(1, 60_000)
        stream.bit_rate = 4_000_000
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 60_000), fractions.Fraction(1, 60_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def grey(levels, size=(32, 32)):
    return [np.full((*size, 3), level, np.uint8) for level in levels]


def folder(tmp_path, subjects=4, header="", cells="", **more):
    """A folder with one clip per subject: a video that brightens while the EMG swells."""
    rng = np.random.default_rng(0)
    time = np.arange(0, 2, 1 / 30)
    write_video(tmp_path / "a.mp4", grey(60 + 60 * np.sin(np.pi * time / 2)), time)
    swell = np.sin(np.pi * np.arange(2000) / 2000)
    write_emg(tmp_path / "a.csv", swell * rng.normal(size=2000), 1000.0)
    rows = ["subject,action,video_front,emg,emg_channels" + header]
    rows += [f"p{i},squat,a.mp4,a.csv,{CHANNELS}{cells}" for i in range(subjects)]
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_folder_becomes_a_dataset_and_notices_when_it_changes(tmp_path):
    (tmp_path / "root").mkdir()
    root = folder(tmp_path / "root", header=",load,score,height,sex", cells=",60,87.5,1.7,female")
    dataset = store.open_dataset("recordings/default", tmp_path / "data", root)
    clips = [clip for split in dataset.splits.values() for clip in split]
    assert len(clips) == 4 and not dataset.simulated
    assert {len(split) > 0 for split in dataset.splits.values()} == {True}
    clip = clips[0]
    assert clip.load == 60 and clip.score == 87.5 and clip.emg_unit == "mV"
    np.testing.assert_allclose(person.traits(clip)[0], [1.7, 0, 1])
    np.testing.assert_array_equal(person.traits(clip)[1], [True, False, True])
    assert clip.emg.shape == (2000, 2) and clip.emg_rate == pytest.approx(1000)
    assert 18 <= len(clip.frames) <= 21 and clip.frame_time[0] == 0  # 10 Hz of 30
    table = root / "clips.csv"
    table.write_text(table.read_text().replace("87.5", "12"))
    with pytest.raises(UserError, match="changed; delete the folder to rebuild"):
        store.open_dataset("recordings/default", tmp_path / "data", root)
    with pytest.raises(UserError, match=r"config\.data\.manual_dir"):
        store.open_dataset("recordings/large", tmp_path / "data")


@pytest.mark.parametrize("emg_rate", [200.0, 1259.26, 4000.0])
@pytest.mark.parametrize("fps", [25.0, 29.97, 30.0, 60.0, 120.0, None])
def test_a_flash_and_a_burst_of_emg_stay_simultaneous(tmp_path, fps, emg_rate):
    """Through a video file and a CSV file; None is a variable frame rate."""
    instant = 1.03
    if fps is None:
        time = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.04, 90))
        time -= time[0]
    else:
        time = np.arange(0, 2, 1 / fps)
    shown = np.abs(time - instant).argmin()
    write_video(tmp_path / "v.mp4", grey(np.where(np.arange(len(time)) == shown, 250, 10)), time)
    values = np.zeros(round(2 * emg_rate))
    values[round(time[shown] * emg_rate)] = 1.0
    write_emg(tmp_path / "e.csv", values, emg_rate)
    (tmp_path / "clips.csv").write_text(
        f"subject,action,video,emg,emg_channels\np,squat,v.mp4,e.csv,{CHANNELS}\n"
    )
    [row] = read_table(tmp_path)
    clip = load_clip(row, fps=240.0, size=16)
    window = Window(2.0, 100.0, 100.0, 16, ("front",), 2)
    example = Examples(
        [clip], window, emg.Chain(), emg.Normalisation("train", {"vastus_lateralis": 1.0})
    ).read_window(0, 0.0)
    flash = np.flatnonzero(example["video"][0, :, 8, 8, 0] > 130)
    burst = example["emg"][:, 0].argmax()
    # The flash lasts one frame; the burst lies within it, or one sample beside it.
    assert flash.min() - 1 <= burst <= flash.max() + 1


def test_offset_and_drift_move_the_emg_onto_the_videos_clock(tmp_path):
    root = folder(tmp_path, 1, ",emg_offset,emg_drift,start,end", ",0.25,0.001,0.5,1.5")
    clip = load_clip(read_table(root)[0])
    plain = emg_time_of_sample(500, 1000.0, 0.25, 0.001)
    index = np.abs(clip.emg_time - (plain - 0.5)).argmin()
    assert clip.emg_time[index] == pytest.approx(plain - 0.5, abs=1e-6)
    assert clip.emg_time[0] == pytest.approx(0.0, abs=2e-3) and clip.emg_time[-1] <= 1.0
    assert clip.frame_time.min() >= 0 and clip.frame_time.max() <= 1.0


def emg_time_of_sample(n, rate, offset, drift):
    return offset + (1 + drift) * n / rate


def turn_clockwise(path):
    """Writes a rotation as phones do: the display matrix of the mp4 track header."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 32 + 4  # after version, times, ids and volume

    def fixed(*values):
        return b"".join(int(v).to_bytes(4, "big", signed=True) for v in values)

    one, last = 1 << 16, 1 << 30
    assert content[place : place + 36] == fixed(one, 0, 0, 0, one, 0, 0, 0, last)
    content[place : place + 36] = fixed(0, one, 0, -one, 0, 0, 0, 0, last)
    path.write_bytes(content)


def test_rotated_videos_are_read_upright(tmp_path):
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :16] = 255  # white on the left as the sensor saw it
    write_video(tmp_path / "v.mp4", [picture] * 5, np.arange(5) / 30)
    turn_clockwise(tmp_path / "v.mp4")
    _, decode = next(film.read_frames(tmp_path / "v.mp4"))
    image = decode()
    assert image.size == (32, 64)
    pixels = np.asarray(image.convert("L"))
    assert pixels[:12].mean() > 200 and pixels[20:].mean() < 50  # its left is now on top


def test_folders_of_pictures_need_a_rate(tmp_path):
    (tmp_path / "frames").mkdir()
    for i in range(4):
        Image.fromarray(grey([50 * i])[0]).save(tmp_path / "frames" / f"{i:03d}.png")
    with pytest.raises(UserError, match="video_rate"):
        next(film.read_frames(tmp_path / "frames"))
    assert [t for t, _ in film.read_frames(tmp_path / "frames", 2.0)] == [0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    "change, message",
    [
        (("squat", "sq uat"), "action: 'sq uat' is not a name"),
        (("a.mp4", "b.mp4"), "video_front: no such file: b.mp4"),
        (("a.mp4", "../a.mp4"), "outside the table's folder"),
        (("a.mp4", "/etc/passwd"), "outside the table's folder"),
        (("A=left", "A=middle"), "emg_channels: unknown channel"),
        (("A=left", "Z=left"), "no channel 'Z'; it has 'A"),
        (("video_front", "video_behind"), "video_behind: unknown view"),
        (("emg_channels", "emg_chanels"), "unknown column 'emg_chanels'"),
        (("subject,", "subject,score,"), "more cells|score|is not a name|no such file"),
    ],
)
def test_mistakes_in_the_table_are_named_with_line_and_column(tmp_path, change, message):
    root = folder(tmp_path, 2)
    text = (root / "clips.csv").read_text()
    (root / "clips.csv").write_text(text.replace(*change))
    with pytest.raises(UserError, match=rf"clips\.csv.*({message})"):
        for row in read_table(root):
            load_clip(row)


def test_links_out_of_the_folder_are_refused(tmp_path):
    root = folder(tmp_path, 1)
    (root / "a.csv").rename(root / "moved.csv")
    (root / "a.csv").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="outside the table's folder"):
        read_table(root)


def test_a_rate_that_the_file_lacks_is_demanded(tmp_path):
    root = folder(tmp_path, 1)
    np.savetxt(root / "a.csv", np.ones((100, 2)), delimiter=",", header="A,B", comments="")
    [row] = read_table(root)
    with pytest.raises(UserError, match=r"emg_rate: a\.csv does not say its rate"):
        load_clip(row)


def test_a_gap_in_the_emg_is_named(tmp_path):
    root = folder(tmp_path, 1)
    lines = (root / "a.csv").read_text().splitlines()
    lines[700] = lines[700].split(",")[0] + ",,1"
    (root / "a.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"channel 'A': 1 missing samples, first at 0\.699 s"):
        load_clip(read_table(root)[0])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300)
    | st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode)
)
@pytest.mark.parametrize("name", ["clips.csv", "clips.yaml"])
def test_any_table_is_read_or_refused_with_one_line(tmp_path, name, content):
    root = tmp_path / name.replace(".", "")
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(content)
    try:
        read_table(root)
    except UserError as error:
        assert "\n" not in str(error)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected one of clips\.csv.*bring_your_data"):
        read_table(tmp_path)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), noise=st.binary(max_size=60), at=st.floats(0, 1))
@example(cut=1.0, noise=b"\x80", at=0.9921875)  # metadata that are no UTF-8
def test_any_video_is_decoded_or_refused_with_one_line(tmp_path, cut, noise, at):
    whole = tmp_path / "whole.mp4"
    if not whole.exists():
        write_video(whole, grey(np.arange(0, 200, 10)), np.arange(20) / 30)
    content = bytearray(whole.read_bytes())
    place = int(at * len(content))
    content[place : place + len(noise)] = noise
    (tmp_path / "broken.mp4").write_bytes(content[: int(cut * len(content))])
    try:
        frames, times = film.encode_frames(tmp_path / "broken.mp4", fps=10, size=16)
    except UserError as error:
        assert "broken.mp4" in str(error) and "\n" not in str(error)
    else:
        assert len(frames) == len(times) > 0 and (np.diff(times) > 0).all()


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [("height", "170", "within 0.5-2.5 m"), ("mass", "0", "within 10-400"), ("sex", "f", "female")],
)
def test_implausible_traits_are_refused(tmp_path, column, cell, message):
    root = folder(tmp_path, 1, header=f",{column}", cells=f",{cell}")
    with pytest.raises(UserError, match=f"{column}: .*{message}"):
        list(read_table(root))


def test_one_person_with_joint_angles_is_a_dataset(tmp_path):
    lowest = lifter(tmp_path / "root")
    dataset = store.open_dataset(
        "recordings/default", tmp_path / "data", tmp_path / "root", needed=("test",)
    )
    [clip] = dataset.splits["test"]
    assert not dataset.splits["train"] and clip.joints == vocabulary.FLEX_21
    assert clip.repetitions is not None and len(clip.repetitions) == 3
    for found, middle in zip(clip.repetitions, lowest, strict=True):
        assert abs((found.start + found.end) / 2 - middle) < 0.1
    fields = person.body_fields(clip, 1.9)
    np.testing.assert_array_equal(fields["held"], load_shares("", "barbell_back"))
    hip, knee = (clip.pose[0, clip.joints.index(f"left_{part}")] for part in ("hip", "knee"))
    thigh = np.linalg.norm(hip - knee)
    assert thigh == pytest.approx(0.245 * 1.9, rel=0.02)
    with pytest.raises(UserError, match="no clip in train and validation"):
        store.open_dataset("recordings/default", tmp_path / "data", tmp_path / "root")


def test_repetitions_of_a_set_are_given_or_there_are_none(tmp_path):
    lifter(tmp_path / "a", "0.2:1.8; 2.1:3.9")
    [clip] = (load_clip(row) for row in read_table(tmp_path / "a"))
    assert clip.repetitions is not None
    assert [(r.start, r.end) for r in clip.repetitions] == [(0.2, 1.8), (2.1, 3.9)]
    lifter(tmp_path / "b", "none")
    assert next(load_clip(row) for row in read_table(tmp_path / "b")).repetitions == ()
    lifter(tmp_path / "c", "")
    assert next(load_clip(row) for row in read_table(tmp_path / "c")).repetitions is None
    lifter(tmp_path / "d", "1.2:1.8; 2.1:3.9", ",start", ",1")
    [moved] = (load_clip(row) for row in read_table(tmp_path / "d"))
    assert moved.repetitions is not None and moved.repetitions[0].start == pytest.approx(0.2)


@pytest.mark.parametrize(
    "repetitions, extra, cells, message",
    [
        ("1:0.5", "", "", "repetitions: '1:0.5': expected start:end"),
        ("1:2; 1.5:3", "", "", "expected start:end; start:end; … in order"),
        ("often", "", "", "'often'"),
        ("0:02:30", "", "", "'0:02:30': expected start:end"),
        ("0:1; 2:9", ",end", ",5", "2 to 9 s is not within 0-5 s"),
        ("find", ",score", ",80", "score: belongs to a single repetition"),
    ],
)
def test_mistakes_about_sets_are_named(tmp_path, repetitions, extra, cells, message):
    lifter(tmp_path / "root", repetitions, extra, cells)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "root")


def test_repetitions_after_the_recordings_and_names_of_joints_are_refused(tmp_path):
    lifter(tmp_path / "a", "0:2; 20:22")
    [row] = read_table(tmp_path / "a")
    with pytest.raises(UserError, match="line 2, repetitions: 22 s is after the end"):
        load_clip(row)
    lifter(tmp_path / "b", extra=",pose_axes", cells=",x -z y")
    [row] = read_table(tmp_path / "b")
    with pytest.raises(UserError, match="pose_axes: has no meaning for joint angles"):
        load_clip(row)


def test_equipment_that_nobody_holds_is_refused(tmp_path):
    lifter(tmp_path / "root")
    table = tmp_path / "root" / "clips.csv"
    table.write_text(table.read_text().replace("barbell_back", "sofa"))
    with pytest.raises(UserError, match="line 2, equipment: equipment 'sofa' is not one of none"):
        read_table(tmp_path / "root")
