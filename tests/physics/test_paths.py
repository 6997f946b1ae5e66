import jax.numpy as jnp
import numpy as np
import pytest

from tests.physics import placed
from video2emg.core import vocabulary
from video2emg.physics import anatomy, paths, skeleton
from video2emg.physics.length_range import KEPT, computed, fingerprint, length_range
from video2emg.sim import dynamics

DOFS = {
    "trunk": skeleton.TRUNK_DOFS,
    "arm": ("clavicle", "shoulder", "shoulder", "shoulder", "elbow"),
    "leg": ("hip", "hip", "hip", "knee", "ankle"),
}
AXES = {"trunk": skeleton.trunk_axes, "arm": skeleton.arm_axes, "leg": skeleton.leg_axes}


def columns(model, group: str, side: str) -> list[int]:
    """Rows of MuJoCo's moment arms that belong to the degrees of freedom of a group."""
    addresses = list(dynamics.actuated(model)[0])
    result, count = [], {}
    for name in DOFS[group]:
        joint = model.joint(name if group == "trunk" else f"{name}_{side}")
        result.append(addresses.index(int(joint.dofadr[0]) + count.setdefault(name, 0)))
        count[name] += 1
    return result


@pytest.mark.parametrize("exercise", ["barbell_squat", "dumbbell_lateral_raise"])
@pytest.mark.parametrize("group", ["trunk", "arm", "leg"])
def test_lengths_and_moment_arms_are_those_of_mujoco(exercise, group):
    """Via points and wraps around spheres and cylinders, on both sides."""
    played = placed.performance(exercise)
    table = anatomy.load()
    body = placed.segments(played.lifter, played.qpos[::10])
    got = paths.muscle_paths(body, AXES[group](body), group, table, jnp.array([1.75]))
    length, arm = played.motion.length[::10], played.motion.moment_arm[::10]
    for s, side in enumerate(vocabulary.SIDES):
        rows = columns(played.lifter.model, group, side)
        for i, muscle in enumerate(table.group(group)):
            column = played.lifter.muscles.index(f"{muscle}_{side}")
            np.testing.assert_allclose(got.length[s, 0, :, i], length[:, column], atol=6e-4)
            expected = arm[:, rows, column]
            np.testing.assert_allclose(got.moment_arm[s, 0, :, :, i], expected, atol=3e-3)


def test_the_range_of_lengths_is_that_of_postures():
    shortest, longest = length_range(anatomy.load(), "leg")
    names = anatomy.load().group("leg")
    assert (shortest < longest).all()
    soleus = names.index("soleus")
    assert longest[soleus] - shortest[soleus] == pytest.approx(1.1 * 0.046, rel=0.15)


@pytest.mark.parametrize("name", anatomy.names())
def test_the_ranges_in_the_package_are_those_of_its_anatomies(name):
    table = anatomy.load(name)
    assert fingerprint(table) in KEPT.read_text()
    for group in anatomy.GROUPS:
        np.testing.assert_allclose(length_range(table, group), computed(table, group), 1e-5)


def test_a_changed_anatomy_has_its_own_ranges():
    table = anatomy.load()
    longer = anatomy.proportioned(table, {"thigh": 1.2})
    assert fingerprint(longer) != fingerprint(table)
    assert (length_range(longer, "leg")[1] != length_range(table, "leg")[1]).any()
