import numpy as np
import pytest

from tests.sim.people import PERSON
from video2emg.core import vocabulary
from video2emg.sim import marks
from video2emg.sim.exercises import EXERCISES, GRAPH, STANDING
from video2emg.sim.record import LARGEST_MISS, perform

NAMES = list(EXERCISES)
PRIME = {
    "barbell_squat": "vastus_lateralis",
    "barbell_overhead_press": "anterior_deltoid",
    "barbell_romanian_deadlift": "erector_spinae",
    "dumbbell_curl": "biceps_brachii",
    "dumbbell_lateral_raise": "medial_deltoid",
    "dumbbell_front_raise": "anterior_deltoid",
    "barbell_bench_press": "pectoralis_major",
    "barbell_incline_press": "anterior_deltoid",
    "barbell_lying_triceps_extension": "triceps_brachii",
    "barbell_deadlift": "erector_spinae",
    "barbell_bent_over_row": "erector_spinae",
    "barbell_upright_row": "upper_trapezius",
    "barbell_hip_thrust": "gluteus_maximus",
    "dumbbell_bench_press": "pectoralis_major",
    "dumbbell_incline_press": "anterior_deltoid",
    "dumbbell_fly": "pectoralis_major",
    "dumbbell_pullover": "triceps_brachii",
    "dumbbell_seated_press": "medial_deltoid",
    "dumbbell_supported_row": "posterior_deltoid",
    "dumbbell_reverse_fly": "posterior_deltoid",
}


@pytest.mark.parametrize("name", NAMES)
def test_prime_mover_rises_with_load(name):
    exercise = EXERCISES[name]
    low, high, _ = exercise.loads
    means = []
    for load in np.linspace(low, high, 3):
        done = perform(PERSON, exercise, float(load), {}, 3)
        channel = done.channels.index(vocabulary.channel("left", PRIME[name]))
        means.append(done.drive[:, channel].mean())
    assert means[0] * 1.08 < means[1] and means[1] * 1.08 < means[2], means


@pytest.mark.parametrize("name", NAMES)
def test_every_error_marks_its_muscle_as_stated(name):
    for change in marks.measure(EXERCISES[name], severity=0.8, people=2):
        assert change.as_stated >= 0.10, change


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_graded(name):
    """More severity, more of the mark."""
    exercise = EXERCISES[name]
    error = next(iter(exercise.errors))
    low, high, step = exercise.loads
    load = low + step * round((high - low) / 3 / step)
    values = [
        marks.statistic(perform(PERSON, exercise, load, made, 1), exercise.errors[error])
        for made in ({}, {error: 0.4}, {error: 0.8})
    ]
    change = np.diff(values) * exercise.errors[error].mark.direction
    assert (change > 0).all(), values


@pytest.mark.parametrize("name", NAMES)
def test_repetition_is_physical(name):
    exercise = EXERCISES[name]
    low, high, step = exercise.loads
    done = perform(PERSON, exercise, low + step * round((high - low) / 2 / step), {}, 4)
    assert done.shares.miss < LARGEST_MISS
    assert (done.drive >= 0).all() and (done.drive <= 1).all()
    assert 2.6 <= done.draft.duration <= 4.0
    # The centre of pressure stays on the foot, heel to toe, m from the ankle.
    low, high = done.motion.pressure.min(), done.motion.pressure.max()
    assert low > -0.08 and high < 0.19, (low, high)
    joints = {n: done.motion.joints[:, i] for i, n in enumerate(vocabulary.FLEX_21)}
    for side in vocabulary.SIDES:
        heel, toe = joints[f"{side}_heel"], joints[f"{side}_toe"]
        assert np.ptp(heel[:, 2]) < 0.02 and np.ptp(toe[:, 2]) < 0.02  # feet stay flat
        fore = np.linalg.norm(joints[f"{side}_elbow"] - joints[f"{side}_wrist"], axis=1)
        assert np.ptp(fore) < 1e-9


def test_half_of_the_exercises_are_with_a_barbell_and_half_with_dumbbells():
    kinds = [exercise.equipment.split("_")[0] for exercise in EXERCISES.values()]
    assert kinds.count("barbell") == kinds.count("dumbbell") == 10
    assert all(e.name.startswith(kind) for e, kind in zip(EXERCISES.values(), kinds, strict=True))
    assert tuple(EXERCISES)[:6] == STANDING  # their places are part of seeds


def test_every_exercise_is_complete():
    for exercise in EXERCISES.values():
        assert len(exercise.errors) >= 4
        if exercise.name not in STANDING:
            action = GRAPH.action(exercise.name)
            assert {step.phase for step, _ in action.pairs} == {
                "preparation", "concentric", "eccentric"
            }  # fmt: skip
        assert any(e.mark.statistic == "asymmetry" for e in exercise.errors.values())
        for error in exercise.errors.values():
            assert error.mark.muscle in exercise.muscles
        first, *rest = GRAPH.action(exercise.name).steps
        assert first.phase == "preparation"
        assert {step.phase for step in rest} == {"concentric", "eccentric"}
