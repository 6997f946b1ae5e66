"""Files of a pose are read back by our own readers."""

import csv
import dataclasses

import numpy as np

from tests.pose.squats import NAMES, SIZE, bends, filmed
from video2emg.data import readers
from video2emg.data.readers.poses import read_pose
from video2emg.inference.output import pose_files
from video2emg.pose import angles
from video2emg.pose import body as body_lib


def masked_track():
    track = body_lib.to_body(filmed(bends(4, 15, 1))[0], SIZE).track
    keep = np.ones_like(track.confidence, bool)
    keep[10:20, NAMES.index("left_wrist")] = False
    return track.masked(keep)


def test_the_table_is_read_as_recordings_are(tmp_path):
    track = masked_track()
    pose_files.write_csv(track, tmp_path / "pose.csv")
    names = [f"left_wrist_{axis}" for axis in "xyz"]
    channels = readers.select(readers.read(tmp_path / "pose.csv"), names, "test")
    values = np.stack([channel.values for channel in channels], 1)
    np.testing.assert_allclose(values, track.at("left_wrist"), atol=1e-4)
    assert channels[0].unit == "m" and abs(channels[0].rate - 15) < 0.01


def test_opensim_markers(tmp_path):
    track = masked_track()
    pose_files.write_trc(track, tmp_path / "pose.trc")
    channels = {c.name: c.values for c in readers.read(tmp_path / "pose.trc")}
    head, hips = (channels[f"{name}_y"] for name in ("nose", "left_hip"))
    assert (head > hips).all()  # y is up
    feet = [channels[f"{side}_{part}_y"] for side in ("left", "right") for part in ("heel", "toe")]
    np.testing.assert_allclose(np.min(feet, 0), 0, atol=1e-5)
    assert (channels["right_hip_z"] > channels["left_hip_z"]).all()  # z is to the right
    assert (channels["left_toe_x"] > channels["left_heel_x"]).all()  # x is forward
    assert np.isnan(channels["left_wrist_x"][10:20]).all()


def test_points_have_pixels(tmp_path):
    track, _ = filmed(bends(4, 15, 1))
    seen = np.ones_like(track.confidence, bool)
    seen[3] = False
    pose_files.write_points(dataclasses.replace(track.masked(seen)), tmp_path / "points.csv")
    rows = list(csv.reader((tmp_path / "points.csv").open()))
    assert rows[0][1:3] == ["nose_x [px]", "nose_y [px]"]
    assert float(rows[1][1]) == round(float(track.points_2d[0, 0, 0]), 1)
    assert set(rows[4][1:]) == {""}


def test_joint_angles_are_read_again_as_a_pose(tmp_path):
    """The columns of OpenSim's models in degrees; unknown ones are NaN."""
    track = masked_track()
    pose_files.write_angles(track, tmp_path / "angles.mot")
    lines = (tmp_path / "angles.mot").read_text().splitlines()
    assert lines[0] == "angles" and "inDegrees=yes" in lines
    channels = {c.name: c for c in readers.read(tmp_path / "angles.mot")}
    assert channels["knee_angle_r"].unit == "deg"
    bend = angles.limb_angles(track.joints, track.names)
    knee = bend[:, angles.LIMB_ANGLES.index("right_knee")]
    np.testing.assert_allclose(channels["knee_angle_r"].values, knee, atol=0.01)
    elbow = channels["elbow_flex_l"].values
    assert np.isnan(elbow[10:20]).all() and np.isfinite(elbow[:10]).all()
    # The same limbs, on the body of an independent module.
    again = read_pose(tmp_path / "angles.mot")
    found = angles.limb_angles(again.joints, again.names)
    for name in ("right_knee", "left_knee", "right_elbow", "right_hip"):
        column = angles.LIMB_ANGLES.index(name)
        np.testing.assert_allclose(found[:, column], bend[:, column], atol=3, err_msg=name)
