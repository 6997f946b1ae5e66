import dataclasses

import mujoco
import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.physics import anatomy
from video2emg.sim import body, semg


@pytest.mark.parametrize("name", anatomy.names())
def test_every_anatomy_has_all_muscles_under_the_electrodes(name):
    table = anatomy.load(name)
    assert set(table.electrodes) == set(semg.MONTAGE)
    groups = [table.group(group) for group in anatomy.GROUPS]
    assert sorted(sum(groups, ())) == sorted(table.muscles)


GOOD = (anatomy.FOLDER / "simulated.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("force: 1100", "force: -1", "anterior_deltoid.force: must be positive"),
        ("around: humeral_head", "around: moon", "unknown surface moon"),
        ("anterior_deltoid: 1}", "anterior_deltoid: 0.5}", "do not add up to 1"),
        ("{biceps_long: 0.5", "{biceps_wide: 0.5", "no muscle biceps_wide"),
        ("segment: shank", "segment: hand", "not within one of the groups"),
        (
            "rectus_femoris: [vastus_lateralis,",
            "rectus_femoris: [moon,",
            "rectus_femoris: no muscle moon",
        ),
        ("[vastus_lateralis, vastus_medialis]", "[]", "expected other heads, once"),
        ("[vastus_lateralis, vastus_medialis]", "[soleus, soleus]", "expected other heads, once"),
        ("[vastus_lateralis, vastus_medialis]", "soleus", "is no list"),
        ("[vastus_lateralis, vastus_medialis]", "[triceps_long]", "other muscles of its group"),
        ("young_adult: 1.5", "young_adult: many", "expected the fields"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, old, new, message):
    path = tmp_path / "own.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        anatomy.load(str(path))


def test_an_unknown_anatomy_is_refused():
    with pytest.raises(UserError, match="simulated"):
        anatomy.load("moon")


def test_a_path_may_not_begin_on_a_surface(tmp_path):
    path = tmp_path / "own.yaml"
    point = "- {segment: scapula, at: [0.04, -0.008, 0.034]}"
    path.write_text(GOOD.replace(point, "", 1), encoding="utf-8")
    with pytest.raises(UserError, match="before and after"):
        anatomy.load(str(path))


def test_longer_segments_carry_their_muscles_along():
    """Joints of the simulator's body move, and knee and elbow stay in their surfaces."""
    factors = {"thigh": 1.1, "upper_arm": 0.9}
    usual, longer = anatomy.load(), anatomy.proportioned(anatomy.load(), factors)
    for surface, length in (("knee", "thigh"), ("elbow", "upper_arm")):
        x, y, z = longer.surfaces[surface].centre
        assert (x, y) == usual.surfaces[surface].centre[:2]
        assert z == pytest.approx(-longer.lengths[length] * anatomy.HEIGHT)
    assert longer.muscles["soleus"] == usual.muscles["soleus"]
    person = body.reference_subject(False)
    other = dataclasses.replace(person, proportions=tuple(factors.items()))
    heights = []
    for subject in (person, other):
        model = body.build(subject, "none", 0.0).model
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        heights.append({name: data.body(f"{name}_left").xpos for name in ("thigh", "shank")})
    lengths = [np.linalg.norm(at["thigh"] - at["shank"]) for at in heights]
    assert lengths[1] / lengths[0] == pytest.approx(1.1, rel=1e-4)


def test_a_head_has_a_share_of_the_mean_of_the_others_on_its_side():
    names = [
        "vastus_lateralis_left",
        "rectus_femoris_right",
        "vastus_medialis_right",
        "soleus_left",
    ]
    names += ["vastus_medialis_left", "vastus_lateralis_right", "rectus_femoris_left"]
    matrix = anatomy.common_drive(anatomy.load(), names, 0.6)
    drive = np.zeros(7)
    drive[names.index("vastus_lateralis_left")] = 0.5
    drive[names.index("rectus_femoris_left")] = 0.1
    expected = drive.copy()
    expected[names.index("rectus_femoris_left")] = 0.1 + 0.6 * 0.5 / 2
    np.testing.assert_allclose(matrix @ drive, expected)
    np.testing.assert_array_equal(anatomy.common_drive(anatomy.load(), names, 0.0), np.eye(7))


@pytest.mark.parametrize("share", [-0.1, 50.0])
def test_a_share_that_makes_no_sense_is_refused(share):
    with pytest.raises(UserError, match="from 0 to 1"):
        anatomy.common_drive(anatomy.load(), ["rectus_femoris"], share)
