import csv
import dataclasses
import json

import numpy as np
import pytest

from tests.physics import placed
from video2emg.cli import main as cli
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.pose_track import CAMERA, UPRIGHT, PoseTrack
from video2emg.data import readers
from video2emg.inference.mechanics import Settings, analyse, floor_force

SQUAT = dict(equipment="barbell_back", mass=75.0, cutoff=0.0)


@pytest.fixture(scope="module")
def track() -> PoseTrack:
    pose = placed.placed_pose("barbell_squat")[0]
    return PoseTrack(
        names=vocabulary.FLEX_21,
        times=np.arange(len(pose)) / 25.0,
        joints=pose.astype(np.float64),
        confidence=np.ones(pose.shape[:2]),
        source="squat",
        axes=UPRIGHT,
    )


@pytest.fixture(scope="module")
def report(track):
    load = placed.performance("barbell_squat").load
    return analyse(track, Settings(load=load, **SQUAT))


def test_a_recording_has_the_torques_of_the_simulator(report):
    """Height, load and mass are told; windows are averaged over the recording."""
    expected = placed.performance("barbell_squat").motion.named_torque[::2]
    knee = vocabulary.DOFS.index("left_knee_extension")
    difference = np.abs(report.torque - expected[: len(report.torque)])[4:-4]
    assert difference[:, knee].mean() < 3
    assert np.abs(expected[:, knee]).max() > 60
    assert report.height == pytest.approx(1.75, abs=0.01)
    assert np.median(floor_force(report)) == pytest.approx(1.0, abs=0.03)
    vastus = report.channels.index("left_vastus_lateralis")
    assert 0.2 < report.activation[:, vastus].max() < 1


def test_the_command_writes_tables_and_a_picture(track, tmp_path, capsys):
    path = tmp_path / "pose.csv"
    header = ["time [s]"]
    header += [f"{name}_{axis} [m]" for name in track.names for axis in "xyz"]
    rows = np.column_stack([track.times, track.joints.reshape(len(track.times), -1)])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows.tolist()])
    out = tmp_path / "out"
    flags = ["--pose", str(path), "--load", "60", "--equipment", "barbell_back"]
    assert cli.main(["mechanics", *flags, "--mass", "75", "--out", str(out)]) == 0
    assert "largest torques" in capsys.readouterr().err
    summary = json.loads((out / "mechanics.json").read_text())
    assert summary["load_kg"] == 60 and summary["mass_is_told"]
    assert summary["floor_and_bench_of_weight"] == pytest.approx(1.0, abs=0.05)
    with (out / "mechanics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(track.times)
    assert float(table[0]["time_[s]"]) == 0
    storage = (out / "torques.sto").read_text().splitlines()
    assert storage[5] == "endheader" and storage[6].startswith("time\t")
    assert len(storage) == 7 + len(track.times)
    assert (out / "mechanics.png").stat().st_size > 10_000
    signals = {c.name: c.values for c in readers.read(out / "mechanics.c3d")}
    knee = [float(row["left_knee_extension_[N.m]"]) for row in table]
    np.testing.assert_allclose(signals["left_knee_extension"], knee, atol=0.01)
    assert {"left_soleus", "left_knee_z", "head_x"} <= set(signals)
    angles = {c.name: c.values for c in readers.read(out / "angles.mot")}
    assert angles["knee_angle_l"].max() > 60 and len(angles["knee_angle_l"]) == len(table)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(load=-5.0), "--load -5: expected kg"),
        (dict(load=20.0), "an equipment nobody holds"),
        (dict(equipment="piano"), "equipment 'piano' is not one of none, dumbbell"),
        (dict(mass=5.0), "--mass 5: expected"),
        (dict(height=17.0), "--height 17: expected"),
        (dict(anatomy="moon"), "anatomy 'moon'"),
        (dict(cutoff=-1.0), "--cutoff -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Settings(**settings)


def test_poses_that_make_no_body_are_refused(track):
    slow = dataclasses.replace(
        track,
        times=track.times[::2],
        joints=track.joints[::2],
        confidence=track.confidence[::2],
    )
    few = dataclasses.replace(
        track,
        names=track.names[:5],
        joints=track.joints[:, :5],
        confidence=track.confidence[:, :5],
    )
    for broken, message in (
        (slow, "12.5 Hz; accelerations need 25 Hz"),
        (few, "joints that make no body; missing left_ankle"),
        (dataclasses.replace(track, axes=CAMERA), "the vertical is unknown"),
        (
            dataclasses.replace(track, joints=track.joints * 1000),
            "1.75e+03 m tall".replace("+", r"\+"),
        ),
    ):
        with pytest.raises(UserError, match=message):
            analyse(broken, Settings())


def test_the_command_refuses_before_long_work(tmp_path):
    assert cli.main(["mechanics", "--pose", str(tmp_path / "none.trc")]) == 2
    assert cli.main(["mechanics"]) == 2
