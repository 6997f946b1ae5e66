"""Moment arms of the muscle paths against published ranges, by numerical differentiation."""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.sim.people import PERSON
from video2emg.sim import body, kinematics, posture

LEFTWARDS = (0.0, -1.0, 0.0)  # flexion of a ball joint turns about this axis
FORWARDS = (1.0, 0.0, 0.0)  # abduction on the left side


class Rig:
    """A body whose joints are rotated one at a time."""

    def __init__(self):
        self.lifter = body.build(PERSON, "none", 0.0)
        self.model, self.data = self.lifter.model, mujoco.MjData(self.lifter.model)

    def hinge(self, joint: str, angle: float) -> np.ndarray:
        self.data.qpos[:] = self.model.qpos0
        self.data.joint(joint).qpos[0] = angle
        return self._lengths()

    def ball(self, joint: str, axis: tuple, angle: float, fixed: float | None = None) -> np.ndarray:
        """Rotates a ball joint; the scapula takes its part of `fixed` rad of elevation."""
        self.data.qpos[:] = self.model.qpos0
        total = Rotation.from_rotvec(angle * np.array(axis)).as_matrix()
        if fixed is not None:
            arm = Rotation.from_rotvec(fixed * np.array(axis)).as_matrix()
            scapula = posture.scapular_rhythm(arm[None])[0]
            self._turn("scapula_left", scapula)
            total = scapula.T @ total
        self._turn(joint, total)
        return self._lengths()

    def raised(self, arm: Rotation, change: Rotation) -> np.ndarray:
        """Rotates a raised arm by a small `change`; the scapula stays as `arm` requires."""
        self.data.qpos[:] = self.model.qpos0
        scapula = posture.scapular_rhythm(arm.as_matrix()[None])[0]
        self._turn("scapula_left", scapula)
        self._turn("shoulder_left", scapula.T @ (change * arm).as_matrix())
        return self._lengths()

    def _turn(self, joint: str, matrix: np.ndarray) -> None:
        self.data.joint(joint).qpos[:] = kinematics.quaternion(matrix[None])[0]

    def _lengths(self) -> np.ndarray:
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_tendon(self.model, self.data)
        return self.data.ten_length.copy()

    def moment_arm(self, muscle: str, lengths_at) -> float:
        """Moment arm, cm: minus the derivative of the length; `lengths_at(change of angle)`."""
        k = self.lifter.muscles.index(f"{muscle}_left")
        return -100 * (lengths_at(1e-4)[k] - lengths_at(-1e-4)[k]) / 2e-4


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig()


# Joint, muscle, degrees, lowest and highest moment arm in cm, positive in the joint's direction.
# Ranges bracket the published means (Murray 1995 elbow, Buford 1997 knee, Delp 1990 hip).
HINGES = [
    ("elbow_left", "biceps_long", 90, 3.5, 5.5),
    ("elbow_left", "biceps_long", 10, 1.0, 3.0),
    ("elbow_left", "brachialis", 90, 2.0, 3.8),
    ("elbow_left", "brachioradialis", 100, 5.0, 8.5),
    ("elbow_left", "triceps_short", 60, -2.8, -1.5),
    ("elbow_left", "triceps_long", 120, -2.8, -1.2),
    ("knee_left", "vastus_lateralis", 30, -5.5, -3.2),
    ("knee_left", "vastus_lateralis", 100, -5.0, -2.5),
    ("knee_left", "biceps_femoris_long", 60, 2.5, 5.0),
    ("ankle_left", "soleus", 0, -6.0, -4.0),
    ("ankle_left", "tibialis_anterior", 0, 3.0, 5.5),
    ("lumbar_flexion", "erector_lumbar", 0, -8.5, -5.0),
]


@pytest.mark.parametrize("joint, muscle, degrees, low, high", HINGES)
def test_moment_arm_of_hinge(rig, joint, muscle, degrees, low, high):
    moment_arm = rig.moment_arm(muscle, lambda c: rig.hinge(joint, np.deg2rad(degrees) + c))
    assert low < moment_arm < high


@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120, 150])
@pytest.mark.parametrize(
    "muscle, axis", [("anterior_deltoid", LEFTWARDS), ("medial_deltoid", FORWARDS)]
)
def test_deltoid_keeps_its_moment_arm_overhead(rig, muscle, axis, degrees):
    """Between 1 and 5.5 cm from 0 to 150° of elevation (Ackland 2008: about 1-4 cm)."""
    angle = np.deg2rad(degrees)
    moment_arm = rig.moment_arm(
        muscle, lambda c: rig.ball("shoulder_left", axis, angle + c, fixed=angle)
    )
    assert 1.0 < moment_arm < 5.5


def test_hip_extensors(rig):
    for muscle, degrees, low, high in (
        ("gluteus_maximus", 0, -8.5, -4.5),
        ("gluteus_maximus", 90, -5.0, -2.0),
        ("biceps_femoris_long", 45, -8.0, -4.5),
    ):
        angle = np.deg2rad(degrees)
        moment_arm = rig.moment_arm(
            muscle, lambda c, a=angle: rig.ball("hip_left", LEFTWARDS, a + c)
        )
        assert low < moment_arm < high, (muscle, degrees, moment_arm)


INWARDS = (0.0, 0.0, -1.0)  # horizontal adduction of the left arm

# Moment arms of the muscles that press and pull, cm. PULLS: the hanging arm, raised about an axis.
# LEVEL: the horizontal arm is turned outwards from straight ahead. Ranges bracket the means of
# Ackland et al. (J. Anat. 213, 2008) and Kuechle et al. (J. Shoulder Elbow Surg. 6, 1997).
# Pectoralis and anterior deltoid adduct a horizontal arm, the posterior deltoid abducts it.
# Latissimus and teres major extend and adduct with 3-5 cm in the middle of the range.
PULLS = [
    ("pectoralis_sternal", LEFTWARDS, 120, -5.5, -2.0),
    ("latissimus_dorsi", LEFTWARDS, 60, -6.0, -2.5),
    ("teres_major", LEFTWARDS, 60, -6.5, -2.5),
    ("latissimus_dorsi", FORWARDS, 60, -6.0, -2.5),
    ("teres_major", FORWARDS, 60, -6.5, -2.5),
]
LEVEL = [
    ("pectoralis_clavicular", 30, 3.5, 7.0),
    ("pectoralis_sternal", 30, 2.5, 6.5),
    ("pectoralis_sternal", 90, 1.0, 5.0),
    ("anterior_deltoid", 60, 2.0, 5.0),
    ("posterior_deltoid", 30, -5.0, -2.0),
    ("posterior_deltoid", 90, -6.0, -3.0),
]


@pytest.mark.parametrize("muscle, axis, degrees, low, high", PULLS)
def test_moment_arms_of_pulls(rig, muscle, axis, degrees, low, high):
    angle = np.deg2rad(degrees)
    moment_arm = rig.moment_arm(
        muscle, lambda c: rig.ball("shoulder_left", axis, angle + c, fixed=angle)
    )
    assert low < moment_arm < high


@pytest.mark.parametrize("muscle, degrees, low, high", LEVEL)
def test_moment_arms_of_presses(rig, muscle, degrees, low, high):
    """Horizontal adduction of an arm at shoulder height."""
    level = Rotation.from_euler("ZY", [degrees, -90], degrees=True)
    moment_arm = rig.moment_arm(
        muscle, lambda c: rig.raised(level, Rotation.from_rotvec(c * np.array(INWARDS)))
    )
    assert low < moment_arm < high


def test_scapula_takes_a_third_of_the_elevation_beyond_30_degrees():
    for axis in (FORWARDS, LEFTWARDS):
        arms = Rotation.from_rotvec(np.deg2rad([[0.0], [90], [150]]) * np.array(axis)).as_matrix()
        turn = Rotation.from_matrix(posture.scapular_rhythm(arms)).magnitude()
        assert np.rad2deg(turn) == pytest.approx([0, 20, 40], abs=0.6)


def test_sides_mirror(rig):
    lengths = rig.hinge("neck", 0.0)
    half = len(lengths) // 2
    assert [m.removesuffix("_right") for m in rig.lifter.muscles[:half]] == [
        m.removesuffix("_left") for m in rig.lifter.muscles[half:]
    ]
    np.testing.assert_allclose(lengths[:half], lengths[half:], rtol=1e-9)


# Lengths in m at 69° of elbow and 80° of knee flexion, MuJoCo 4.0.
GOLDEN = {
    "biceps_long": 0.36834,
    "triceps_short": 0.24093,
    "medial_deltoid": 0.17291,
    "anterior_deltoid": 0.16672,
}
KNEE_GOLDEN = 0.38344


def test_golden_lengths(rig):
    """MuJoCo once changed the meaning of wrapping paths between releases."""
    lengths = dict(zip(rig.lifter.muscles, rig.hinge("elbow_left", 1.2), strict=True))
    for muscle, expected in GOLDEN.items():
        assert lengths[f"{muscle}_left"] == pytest.approx(expected, abs=2e-4), muscle
    lengths = dict(zip(rig.lifter.muscles, rig.hinge("knee_left", 1.4), strict=True))
    assert lengths["vastus_lateralis_left"] == pytest.approx(KNEE_GOLDEN, abs=2e-4)
