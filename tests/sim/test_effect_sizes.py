import numpy as np
import pytest

from video2emg.core import segment_directions
from video2emg.sim import effect_sizes
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES


@pytest.fixture(scope="module")
def squats():
    exercise = EXERCISES["barbell_squat"]
    found = effect_sizes.pairs(exercise, subjects.sample(0, 501), 0.25, 0)
    return {pair.error: pair for pair in found}


def test_a_deep_lean_loads_the_back_and_relieves_the_knee(squats):
    assert set(squats) == set(EXERCISES["barbell_squat"].errors)
    lean = squats["forward_lean"]
    back, knee = ("moment", "lumbar", "peak"), ("moment", "knee", "peak")
    assert lean.within[back] > 1.1 * lean.without[back]
    assert lean.within[knee] < lean.without[knee]
    compression = ("compression", "lumbar", "peak")
    assert lean.within[compression] > lean.without[compression]


def test_only_errors_of_one_side_have_an_asymmetry(squats):
    key = ("activation", "vastus_lateralis", "asymmetry")
    shift = squats["lateral_shift"]
    assert (
        abs(shift.within[key] - shift.without[key]) > 2 and key not in squats["forward_lean"].within
    )


def test_rotations_of_errors_of_both_sides_are_symmetric(squats):
    lean, shift = squats["forward_lean"].rotation, squats["lateral_shift"].rotation
    assert lean.shape == (effect_sizes.PHASE_POINTS, len(segment_directions.SEGMENTS), 3)
    np.testing.assert_allclose(segment_directions.mirrored(lean), lean, atol=1e-12)
    assert np.abs(segment_directions.mirrored(shift) - shift).max() > 0.05
    assert np.abs(lean[0]).max() < 0.1 < np.abs(lean[6]).max()  # the error is at the bottom


def test_a_hurried_phase_is_shorter():
    found = effect_sizes.pairs(EXERCISES["barbell_bench_press"], subjects.sample(1, 501), 0.25, 1)
    first, second = next(pair for pair in found if pair.error == "dropped").duration
    assert first < 0.9 and second == pytest.approx(1.0)
