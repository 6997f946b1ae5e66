import jax.numpy as jnp
import numpy as np
import pytest

from tests.physics import placed
from video2emg.core import skeleton as skeletons
from video2emg.physics import anatomy, skeleton
from video2emg.physics.mechanics import Mechanics

ANATOMY = anatomy.load()
EXERCISES = ("barbell_squat", "dumbbell_lateral_raise", "barbell_romanian_deadlift")


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between rotations [..., 3, 3], degrees."""
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def found(exercise: str, joints=placed.JOINTS) -> skeleton.Segments:
    pose, known, height, *_ = placed.window(exercise)
    pose = skeletons.arrange(pose[0], placed.JOINTS, joints)[None].astype(np.float32)
    known = np.ones(pose.shape[:3], bool)
    layers = Mechanics(joints)
    placed_joints = layers._joints(jnp.asarray(pose), jnp.asarray(known), jnp.asarray(height))
    seen = "chest" in joints
    return skeleton.segments(placed_joints, jnp.asarray(height), ANATOMY, seen)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_segments_are_those_of_the_simulator(exercise):
    got = found(exercise)
    played = placed.performance(exercise)
    true = placed.segments(played.lifter, played.qpos[::2][: got.origin["hand"].shape[2]])
    for name in ("pelvis", "chest", "upper_arm", "forearm", "thigh", "shank", "foot"):
        assert angle(got.rotation[name], true.rotation[name]).max() < 12, name
        distance = np.linalg.norm(got.origin[name] - true.origin[name], axis=-1)
        assert distance.max() < 0.03, name


def test_without_a_chest_the_shoulders_stay_and_a_bent_back_is_assumed():
    """Estimators see hips and shoulders only."""
    seen = [name for name in placed.JOINTS if name not in ("chest", "neck")]
    got, full = found("barbell_squat", tuple(seen)), found("barbell_squat")
    for name in ("upper_arm", "thigh"):
        distance = np.linalg.norm(got.origin[name] - full.origin[name], axis=-1)
        assert distance.max() < 0.04, name
    flexion = angle(got.rotation["pelvis"], got.rotation["chest"])
    assert flexion[0, 0, 0] < 3 and flexion.max() > 8


def test_a_straight_arm_keeps_its_hinge():
    """Elbows of a hanging arm bend forward, also where the joints do not show it."""
    got = found("barbell_romanian_deadlift")
    forward = np.asarray(got.rotation["upper_arm"][..., 0])
    chest = np.asarray(got.rotation["chest"][..., 0])
    assert (np.einsum("sbti,cbti->sbt", forward, chest) > 0).mean() > 0.95
