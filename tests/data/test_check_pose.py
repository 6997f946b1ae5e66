"""Defects of movement, of maximal contractions and between persons are found, each by its code."""

import dataclasses

import numpy as np
import pytest

from tests.data.test_check import clean, codes
from video2emg.core import vocabulary
from video2emg.data import check
from video2emg.data.check_pose import jumps


def standing():
    """A clip of a person who stands still, 1.7 m tall."""
    clip = clean()
    height = {"head": 1.7, "left_ankle": 0.1, "right_ankle": 0.1, "left_toe": 0, "right_toe": 0}
    z = np.array([height.get(joint, 1.0) for joint in vocabulary.FLEX_21])
    pose = np.stack([np.full(21, 0.2), np.linspace(-0.3, 0.3, 21), z], axis=-1)
    return with_poses(clip, np.tile(pose, (len(clip.pose), 1, 1)), clip.pose_time)


def with_poses(clip, pose, time):
    nothing = np.zeros((len(time), 0), np.float32)
    poses = np.asarray(pose, np.float32)
    return dataclasses.replace(
        clip, pose=poses, pose_time=time, dofs=(), torque=nothing, drive=nothing
    )


def test_a_standing_person_has_no_findings():
    assert codes(standing()) == []


@pytest.mark.parametrize(
    "change, finding",
    [
        (lambda pose: 1000 * pose, ("error", "pose_size", "pose")),
        (lambda pose: 100 * pose, ("error", "pose_size", "pose")),
        (lambda pose: pose * [1, 1, -1], ("warning", "pose_up", "pose")),
    ],
)
def test_size_and_direction(change, finding):
    clip = standing()
    assert codes(dataclasses.replace(clip, pose=change(clip.pose).astype(np.float32))) == [finding]


def test_a_lost_joint_and_lost_poses():
    clip = standing()
    pose = clip.pose.copy()
    pose[10:20, 0] = 0
    lost = dataclasses.replace(clip, pose=pose)
    assert codes(lost) == [("warning", "pose_zeros", f"pose/{clip.joints[0]}")]
    keep = np.r_[0:30, 60 : len(clip.pose)]
    gap = with_poses(clip, clip.pose[keep], clip.pose_time[keep])
    assert codes(gap) == [("warning", "gap", "pose")]
    short = with_poses(clip, clip.pose[:100], clip.pose_time[:100])
    assert codes(short) == [("warning", "length", "pose")]


def test_a_jump_to_another_person():
    time = np.arange(10) / 10
    body = np.random.default_rng(0).uniform(0.4, 0.6, (1, 17, 2))
    points = np.repeat(body, 10, axis=0) + 0.005 * np.arange(10)[:, None, None]
    assert not len(jumps(points, time))
    points[4:7] += 0.3
    points[5, :10] = np.nan
    assert list(jumps(points, time)) == [3, 6]
    assert not len(jumps(points, 10 * time))  # within a second, one may go that far


@pytest.mark.parametrize("largest", [0.001, 100.0])
def test_a_trial_far_from_the_maximal_contraction(largest):
    clip = dataclasses.replace(clean(), emg_max=np.array([largest, 0.05], np.float32))
    assert codes(clip) == [("warning", "mvc", "emg_max/left_vastus_lateralis")]


def test_hum_that_a_notch_does_not_remove():
    clip = clean()
    hum = sum(np.sin(2 * np.pi * f * clip.emg_time) for f in (150, 250))[:, None]
    clip = dataclasses.replace(clip, emg=(clip.emg + 0.1 * hum).astype(np.float32))
    messages = [finding.message for finding in check.check_clip(clip)]
    for message in messages:
        assert "150" in message and "250" in message and "notch=" not in message
    assert len(messages) == 2


def test_times_in_milliseconds_are_suspected():
    clip = dataclasses.replace(clean(), views=(), frames=[], emg_rate=1.0)
    clip = dataclasses.replace(
        clip, frame_view=clip.frame_view[:0], frame_time=clip.frame_time[:0], phases=()
    )
    [finding] = [f for f in check.check_clip(clip) if f.code == "emg_rate"]
    assert "are its times in ms" in finding.message and "envelope" not in finding.message


def test_a_person_whose_emg_is_a_thousand_times_larger():
    clips = [clean(i, subject=f"s{i}") for i in range(4)]
    largest = 1000 * clips[2].emg_max
    clips[2] = dataclasses.replace(
        clips[2], emg=1000 * clips[2].emg, emg_unit="uV", emg_max=largest
    )
    assert check.check_dataset({"train": clips}).findings == []
    clips[2] = dataclasses.replace(clips[2], emg_unit="mV")
    found = check.check_dataset({"train": clips}).findings
    assert ("scale", "clip2") in {(f.code, f.clip_id) for f in found}
    clips[2] = dataclasses.replace(clips[2], emg_unit="adc")
    found = check.check_dataset({"train": clips}).findings
    assert "units" in {f.code for f in found}
