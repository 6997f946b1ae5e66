import numpy as np
import pytest

from video2emg.core.equipment import EQUIPMENT, PLACES, check_equipment, load_shares
from video2emg.core.errors import UserError
from video2emg.sim.equipment import GRIP_WIDTH


@pytest.mark.parametrize(
    "action, equipment, expected",
    [
        ("dumbbell_curl", "", (1, 1, 0, 0, 0)),
        ("kettlebell_deadlift", "", (1, 1, 0, 0, 0)),
        ("barbell_squat", "", (0, 0, 1, 0, 0)),
        ("barbell_hip_thrust", "", (0, 0, 0, 1, 0)),
        ("barbell_bench_press", "", (0.5, 0.5, 0, 0, 0)),
        ("bodyweight_squat", "", (0, 0, 0, 0, 0)),
        ("dumbbell_one_arm_curl", "dumbbell_left", (1, 0, 0, 0, 0)),
        ("squat", "barbell_back", (0, 0, 1, 0, 0)),
        ("leg_raise", "ankle_weights", (0, 0, 0, 0, 1)),
    ],
)
def test_where_a_load_is(action, equipment, expected):
    np.testing.assert_array_equal(load_shares(action, equipment), expected)


@pytest.mark.parametrize("action", ["squat", "dumbbell_one_arm_curl", "free_dumbbells", "A07"])
def test_names_that_do_not_say_it(action):
    assert load_shares(action) is None


def test_every_equipment_of_the_simulator_is_known():
    for name in ("dumbbell", "dumbbell_left", "none", "barbell_back", "barbell_hips", *GRIP_WIDTH):
        assert load_shares("", name) is not None
    assert all(len(shares) == len(PLACES) for shares in EQUIPMENT.values())


def test_an_unknown_equipment_is_refused():
    check_equipment("", "--equipment")
    with pytest.raises(UserError, match="--equipment: equipment 'piano' is not one of none"):
        check_equipment("piano", "--equipment")
