import jax.numpy as jnp
import numpy as np
import pytest

from tests.physics import placed
from tests.physics.placed import PERSON
from video2emg.physics import anatomy, dynamics, mechanics, skeleton


def torques(exercise: str) -> tuple[np.ndarray, np.ndarray, dynamics.Torques]:
    """Torques of the layers and of MuJoCo [T, D] on the same segments, both at 200 Hz."""
    played, qpos, motion = placed.dense(exercise)
    body = placed.segments(played.lifter, qpos)
    axes = {
        "trunk": skeleton.trunk_axes(body),
        "arm": skeleton.arm_axes(body),
        "leg": skeleton.leg_axes(body),
    }
    difference = np.gradient(np.eye(len(qpos)), 1 / placed.RATE, axis=0)
    result = dynamics.inverse_dynamics(
        body,
        axes,
        jnp.zeros((1, len(qpos), 3)),
        (difference @ difference).astype(np.float32),
        jnp.array([PERSON.height]),
        jnp.array([PERSON.mass]),
        jnp.asarray(placed.held(exercise)),
        anatomy.load(),
        0.05,
    )
    named = np.asarray(mechanics.named_torque(body, result)[0])
    return named[8:-8], motion.named_torque[8:-8], result


@pytest.mark.parametrize(
    "exercise", ["barbell_squat", "barbell_romanian_deadlift", "dumbbell_lateral_raise"]
)
def test_torques_are_those_of_mujoco(exercise):
    """Inertia, gravity, load and the forces of the floor: 1 N·m on 99 % of the values."""
    got, expected, _ = torques(exercise)
    assert np.mean(np.abs(got - expected) < 1.0) > 0.99
    assert np.abs(expected).max() > 15


def test_the_floor_carries_body_and_load():
    _, _, result = torques("barbell_squat")
    played = placed.performance("barbell_squat")
    fractions = sum(anatomy.load().masses.values()) * 2 - sum(
        anatomy.load().masses[name] for name in ("head", "chest", "abdomen", "pelvis")
    )
    weight = 9.81 * (fractions * PERSON.mass + played.load)
    vertical = np.asarray(result.feet[:, 0, :8, 2]).sum(0).mean()
    assert vertical == pytest.approx(weight, rel=0.01)
    assert float(jnp.abs(result.bench).max()) < 0.01 * weight


@pytest.mark.parametrize("exercise", ["dumbbell_bench_press", "dumbbell_seated_press"])
def test_a_bench_carries_who_lies_or_sits(exercise):
    """Hips and knees of a lying person hold next to nothing; feet alone would need 30 N·m."""
    solution = placed.solve(*placed.window(exercise, 60))
    assert float(solution.bench[..., 2].mean()) > 250
    torque = np.asarray(solution.torque[0])
    legs = [placed.DOF(f"{side}_knee_extension") for side in ("left", "right")]
    assert np.abs(torque[:, legs]).max() < 8
