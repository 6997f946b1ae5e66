"""Torques of postures, against MuJoCo's inverse dynamics of the same body standing still."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import make_clip
from tests.sim.people import PERSON, TEMPO
from tests.train import tiny
from video2emg.core import emg, vocabulary
from video2emg.core import skeleton as pose_lib
from video2emg.data.examples import Examples
from video2emg.data.statics import static_torque
from video2emg.sim import body, dynamics, posture
from video2emg.sim.exercises import EXERCISES, Draft

HIP_ABDUCTION = [vocabulary.DOFS.index(f"{side}_hip_abduction") for side in vocabulary.SIDES]


def held(name: str, share: float):
    """An exercise's joints [1, 21, 3] at `share` of a repetition, held, load, and true torques."""
    exercise = EXERCISES[name]
    load = exercise.loads[0]
    lifter = body.build(PERSON, exercise.equipment, load, exercise.bench)
    move = exercise.move(Draft(PERSON, lifter.length, {}, TEMPO, np.random.default_rng(1)))
    qpos = posture.solve(move, lifter, PERSON)
    still = np.repeat(qpos[[int(share * (len(qpos) - 1))]], 9, axis=0)
    motion = dynamics.inverse_dynamics(lifter, still, 50.0, move.support)
    return motion.joints[4:5], load, motion.named_torque[4]


def statics(name: str, pose, load, mass=PERSON.mass, joints=vocabulary.FLEX_21):
    return static_torque(pose, joints, name, load, mass)[0]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("name", EXERCISES)
def test_a_static_posture_has_the_torques_of_inverse_dynamics(name, share):
    pose, load, true = held(name, share)
    torque = statics(name, pose, load)
    known = np.isfinite(torque)
    if "one_arm" in name or name.startswith("free_"):
        assert not known.any()  # the name does not say where the load is
    # Where on the back a bar lies, joints do not say.
    slack = 2.5 if name == "barbell_squat" else 1.0
    np.testing.assert_allclose(torque[known], true[known], atol=10.0 * slack, rtol=0.15)
    error = np.abs(torque - true)[known]
    assert not known.any() or error.mean() < 4.0 * slack


@pytest.mark.parametrize(
    "name, arms, legs",
    [
        ("barbell_squat", False, True),  # the bar lies on the back
        ("barbell_deadlift", True, True),
        ("dumbbell_curl", True, True),
        ("barbell_bench_press", True, False),  # the bench carries the body
        ("dumbbell_seated_press", True, False),
        ("barbell_hip_thrust", False, False),
    ],
)
def test_joints_that_something_else_supports_are_unknown(name, arms, legs):
    pose, load, _ = held(name, 0.5)
    known = dict(zip(vocabulary.DOFS, np.isfinite(statics(name, pose, load)), strict=True))
    assert known["left_elbow_flexion"] == known["right_shoulder_flexion"] == arms
    assert known["left_knee_extension"] == known["lumbar_extension"] == legs
    assert not known["left_hip_abduction"] and not known["right_hip_abduction"]


def test_without_the_load_or_its_place_all_torques_are_unknown():
    pose, load, _ = held("dumbbell_curl", 0.5)
    assert np.isnan(statics("dumbbell_curl", pose, np.nan)).all()
    assert np.isnan(statics("A07", pose, load)).all()


def test_an_unknown_mass_is_seventy_kilograms():
    pose, load, _ = held("dumbbell_curl", 0.5)
    np.testing.assert_array_equal(
        statics("dumbbell_curl", pose, load, np.nan), statics("dumbbell_curl", pose, load, 70.0)
    )


@settings(max_examples=10)
@given(
    st.floats(-np.pi, np.pi),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.sampled_from(["dumbbell_front_raise", "barbell_squat", "barbell_romanian_deadlift"]),
)
def test_place_and_heading_do_not_matter(turn, place, name):
    pose, load, _ = held(name, 0.4)
    cos, sin = np.cos(turn), np.sin(turn)
    moved = pose @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + place
    np.testing.assert_allclose(
        statics(name, moved, load), statics(name, pose, load), atol=2e-3, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["dumbbell_lateral_raise", "barbell_squat"])
def test_a_mirror_image_exchanges_the_sides(name):
    pose, load, _ = held(name, 0.4)
    pose = pose + np.random.default_rng(0).normal(0, 0.01, pose.shape)  # no symmetric body
    order = vocabulary.mirror_order(vocabulary.FLEX_21)
    mirrored = pose[:, order] * [1, -1, 1]
    np.testing.assert_allclose(
        statics(name, mirrored, load),
        statics(name, pose, load)[vocabulary.mirror_order(vocabulary.DOFS)],
        atol=1e-3,
    )


def test_a_skeleton_without_heels_and_fingers_is_enough():
    pose, load, true = held("barbell_deadlift", 0.5)
    smpl = pose_lib.SMPL_24
    at = {name: pose[:, i] for i, name in enumerate(vocabulary.FLEX_21)}
    own = np.full((1, len(smpl), 3), np.nan)
    for i, name in enumerate(smpl):
        if name in at:
            own[:, i] = at[name]
    torque = statics("barbell_deadlift", own, load, joints=smpl)
    knee = vocabulary.DOFS.index("left_hip_extension")
    assert torque[knee] == pytest.approx(true[knee], rel=0.15)
    assert np.isfinite(np.delete(torque, HIP_ABDUCTION)).all()


def test_a_window_has_the_torques_of_its_instants():
    clip = make_clip(0)
    standing, load, _ = held("dumbbell_curl", 0.5)
    pose = np.repeat(standing, len(clip.pose_time), axis=0)
    pose[clip.pose_time > 1.0] = np.nan  # not seen any more
    about = {"subject": {"mass_kg": PERSON.mass, "height_m": 1.75, "female": False}}
    clip = dataclasses.replace(clip, pose=pose, action="dumbbell_curl", load=load, provenance=about)
    window = dataclasses.replace(tiny.WINDOW, seconds=2.0, dofs=vocabulary.DOFS, statics=True)
    examples = Examples([clip], window, emg.Chain(), emg.Normalisation("mvc"))
    example = examples.read_window(0, 0.0)
    torque, mask = example["torque"], example["torque_mask"]
    expected = statics("dumbbell_curl", standing, load)
    assert torque.shape == mask.shape == (10, len(vocabulary.DOFS))
    assert not mask[6:].any() and not torque[6:].any()
    np.testing.assert_array_equal(mask[:5], np.tile(np.isfinite(expected), (5, 1)))
    np.testing.assert_allclose(torque[:5][mask[:5]], np.tile(expected, (5, 1))[mask[:5]], rtol=1e-3)
    mirrored = examples.mirror(example)
    pair = [vocabulary.DOFS.index(f"{side}_shoulder_flexion") for side in ("left", "right")]
    np.testing.assert_array_equal(mirrored["torque"][:, pair], torque[:, pair[::-1]])
