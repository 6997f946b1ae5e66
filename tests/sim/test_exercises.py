import numpy as np
import pytest

from video2emg.core import vocabulary
from video2emg.sim import error_effects
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, GRAPH, STANDING, Exercise
from video2emg.sim.record import MAX_RESIDUAL, Performance, perform

PRIME_MOVER = {
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


class Simulations:
    """Performances of one exercise; each is simulated once."""

    def __init__(self, exercise: Exercise):
        self.exercise, self.subject = exercise, subjects.sample(0, 77)
        low, high, step = exercise.loads
        self.load = low + step * round((high - low) / 3 / step)
        self._cache: dict[tuple, Performance] = {}

    def perform(self, subject, exercise, load, errors, seed, standard_tempo=True) -> Performance:
        """As `record.perform`."""
        [severity] = errors
        key = (subject.id, load, *severity.items(), seed)
        if key not in self._cache:
            self._cache[key] = perform(
                subject, exercise, load, errors, seed, standard_tempo=standard_tempo
            )
        return self._cache[key]

    def __call__(self, load: float | None = None, **errors: float) -> Performance:
        """One subject and seed; by default at a third of the range of loads."""
        return self.perform(self.subject, self.exercise, load or self.load, [errors], 0)


LABELLED = [name for name in EXERCISES if name in GRAPH.actions]


@pytest.fixture(scope="module", params=LABELLED)
def simulations(request) -> Simulations:
    return Simulations(EXERCISES[request.param])


def test_prime_mover_rises_with_load(simulations):
    low, high, _ = simulations.exercise.loads
    means = []
    for load in (low, simulations.load, high):
        performance = simulations(load)
        channel = vocabulary.channel("left", PRIME_MOVER[simulations.exercise.name])
        means.append(performance.drive[:, performance.channels.index(channel)].mean())
    assert means[0] * 1.08 < means[1] and means[1] * 1.08 < means[2], means


def test_every_error_has_its_expected_effect(simulations, monkeypatch):
    monkeypatch.setattr(error_effects, "perform", simulations.perform)
    for effect in error_effects.measure(simulations.exercise, severity=0.8, people=2):
        least = 0.05 if effect.statistic == "asymmetry" else 0.10
        assert effect.expected_change >= least, effect


def test_effect_grows_with_severity(simulations):
    name, error = next(iter(simulations.exercise.errors.items()))
    values = [
        error_effects.statistic(simulations(**errors), error)
        for errors in ({}, {name: 0.4}, {name: 0.8})
    ]
    assert (np.diff(values) * error.effect.direction > 0).all(), values


def test_repetition_is_physical(simulations):
    performance = simulations()
    motion = performance.motion
    assert performance.solution.relative_residual < MAX_RESIDUAL
    assert (performance.drive >= 0).all() and (performance.drive <= 1).all()
    # The centre of pressure stays on the foot, heel to toe, m from the ankle.
    low, high = motion.centre_of_pressure.min(), motion.centre_of_pressure.max()
    assert low > -0.08 and high < 0.19, (low, high)
    joints = {name: motion.joints[:, i] for i, name in enumerate(vocabulary.FLEX_21)}
    for side in vocabulary.SIDES:
        heel, toe = joints[f"{side}_heel"], joints[f"{side}_toe"]
        assert np.ptp(heel[:, 2]) < 0.02 and np.ptp(toe[:, 2]) < 0.02  # feet stay flat
        forearm = np.linalg.norm(joints[f"{side}_elbow"] - joints[f"{side}_wrist"], axis=1)
        assert np.ptp(forearm) < 1e-9


@pytest.mark.parametrize("name", LABELLED)
def test_every_labelled_exercise_is_complete(name):
    exercise, action = EXERCISES[name], GRAPH.action(name)
    assert name.startswith(f"{exercise.equipment.split('_')[0]}_")
    assert len(exercise.errors) >= 4
    assert any(e.effect.statistic == "asymmetry" for e in exercise.errors.values())
    for error in exercise.errors.values():
        assert error.effect.muscle in exercise.muscles
    # A clip has one key step per error, so no error may occur at two steps.
    assert sorted(edge.error for _, edge in action.pairs) == sorted(exercise.errors)
    first, *others = action.steps
    assert first.phase == "preparation"
    assert {step.phase for step in others} == {"concentric", "eccentric"}
    if name not in STANDING:
        phases = {step.phase for step, _ in action.pairs}
        assert phases == {"preparation", "concentric", "eccentric"}


@pytest.mark.parametrize("name", [name for name in EXERCISES if name not in LABELLED])
def test_movements_without_labels_are_physical(name):
    exercise, people = EXERCISES[name], [subjects.sample(i, 77) for i in range(3)]
    count = 1 if exercise.repetitions != (0, 0) else 0
    done = [perform(p, exercise, exercise.loads[0], [{}] * count, 3) for p in people]
    assert sum(performance.feasible for performance in done) >= 2
    for performance in done:
        assert len(performance.tempo.cycles) == count and not exercise.errors
        assert np.ptp(performance.motion.joints, axis=0).max() > 0.1  # m


def test_one_sided_loads_are_on_either_side():
    exercise, person = EXERCISES["dumbbell_one_arm_curl"], subjects.sample(0, 77)
    stronger = []
    for seed in range(6):
        performance = perform(person, exercise, 8.0, [{}], seed, ("biceps_brachii",))
        left, right = performance.drive[performance.during(0)].mean(0)
        assert max(left, right) > 2 * min(left, right)
        stronger.append(left > right)
    assert len(set(stronger)) == 2


def test_heels_rise_and_toes_stay():
    performance = perform(subjects.sample(0, 77), EXERCISES["bodyweight_calf_raise"], 0, [{}], 3)
    joints = dict(
        zip(vocabulary.FLEX_21, np.moveaxis(performance.motion.joints, 1, 0), strict=True)
    )
    assert np.ptp(joints["left_heel"][:, 2]) > 0.05 and np.ptp(joints["left_toe"][:, 2]) < 0.04
    calf = performance.channels.index("left_soleus")
    up = round(performance.tempo.cycles[0].turn * 50)
    assert performance.drive[up, calf] > 1.5 * performance.drive[0, calf]
