"""People of another population: what differs, and that the usual people do not change."""

import dataclasses

import numpy as np
import pytest

from tests.sim.people import PERSON
from video2emg.physics import anatomy
from video2emg.sim import body, record, semg
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.subject import Population, sample
from video2emg.sim.tempo import POSE_RATE, draw

OTHERS = Population(
    anatomy="literature",
    strength=2.0,
    proportions=0.1,
    pace=(1.5, 1.5),
    emg_lag=1.0,
    common_drive=(0.2, 0.4),
)
OWN = (
    "strength",
    "table",
    "proportions",
    "pace",
    "emg_lag",
    "common_drive",
)  # what a population changes


def test_the_usual_people_do_not_change():
    """Numbers of people that models were trained on."""
    person = sample(3, 5)
    assert (person.height, person.mass) == (1.632656238671951, 57.19770821036807)
    assert (person.strength, person.seed) == (0.68, 1569725207)
    for number in range(5):
        usual, other = sample(number, 0), sample(number, 0, OTHERS)
        assert usual == dataclasses.replace(other, **{k: getattr(usual, k) for k in OWN})
        assert other.strength == 2 * usual.strength
        assert usual.anatomy is anatomy.load("simulated")
        assert (usual.pace, usual.emg_lag) == (1.0, 0.0)


def test_a_population_has_its_ranges():
    people = [sample(number, 0, OTHERS) for number in range(40)]
    factors = np.array([[factor for _, factor in person.proportions] for person in people])
    deviation = abs(factors - 1)
    assert 0.05 <= deviation.min() < 0.055 and 0.095 < deviation.max() <= 0.1
    assert (factors > 1).mean() == pytest.approx(0.5, abs=0.1)
    lags = [person.emg_lag for person in people]
    assert min(lags) < 0.1 and 0.9 < max(lags) <= 1.0 and len(set(lags)) == 40
    shares = [person.common_drive for person in people]
    assert 0.2 <= min(shares) < 0.22 and 0.38 < max(shares) <= 0.4


def test_the_body_has_the_muscles_of_its_table():
    table = anatomy.load("literature")
    lifter = body.build(dataclasses.replace(PERSON, table="literature"), "none", 0.0)
    assert lifter.muscles == tuple(f"{m}_{s}" for s in ("right", "left") for m in table.muscles)
    force = [muscle.force * table.young_adult for muscle in table.muscles.values()] * 2
    np.testing.assert_allclose(lifter.force, np.array(force) * PERSON.strength)


VARIATION = anatomy.Variation(force=0.2, group_force=0.1, attachment=0.004, radius=0.08)


def test_people_of_a_varied_population_differ_in_their_muscles():
    people = [sample(number, 0, Population(variation=VARIATION)) for number in range(30)]
    usual = anatomy.load()
    force = np.array([[m.force for m in person.anatomy.muscles.values()] for person in people])
    change = np.log(force / [muscle.force for muscle in usual.muscles.values()])
    assert change.std() == pytest.approx(0.86 * np.hypot(0.2, 0.1), rel=0.1)  # of cut normals
    assert abs(change.mean()) < 0.03 and abs(change).max() < 0.451
    groups = [muscle.group for muscle in usual.muscles.values()]
    of_legs = change[:, [group == "leg" for group in groups]].mean(1)
    assert of_legs.std() == pytest.approx(0.09, rel=0.35)  # all muscles of a group together
    radius = [person.anatomy.surfaces["knee"].radius for person in people]
    assert np.log(radius).std() == pytest.approx(0.08, rel=0.4)
    assert sample(3, 0, Population(variation=VARIATION)).anatomy is people[3].anatomy


def test_varied_attachments_keep_the_directions_of_the_levers():
    """A muscle that clearly flexes the usual joint does not extend that of others.

    The deltoid is left out: it slips around the head of the humerus, in other postures of others.
    """
    squat = EXERCISES["barbell_squat"]
    usual, *others = (
        record.perform(person, squat, 40.0, [{}], 0, standard_tempo=True)
        for person in (
            PERSON,
            *(
                dataclasses.replace(PERSON, variation=dataclasses.replace(VARIATION, seed=seed))
                for seed in range(6)
            ),
        )
    )
    slips = ["deltoid" in name for name in usual.lifter.muscles]
    clear = (abs(usual.motion.moment_arm) > 0.025) & ~np.array(slips)
    for other in others:
        np.testing.assert_allclose(other.motion.torque, usual.motion.torque, atol=1e-6)
        ratio = other.motion.moment_arm[clear] / usual.motion.moment_arm[clear]
        assert ratio.min() > 0 and 0.02 < ratio.std() < 0.3
        assert other.solution.relative_residual < record.MAX_RESIDUAL


def test_the_pace_is_a_factor_on_the_phases():
    usual, slow = (
        draw(np.random.default_rng(1), [(1.0, 1.0)] * 3, pace=pace) for pace in (1.0, 1.7)
    )
    for a, b in zip(usual.cycles, slow.cycles, strict=True):
        assert (b.first, b.second) == pytest.approx((1.7 * a.first, 1.7 * a.second))
        assert (b.hold, b.depth) == (a.hold, a.depth)


@pytest.fixture(scope="module")
def curls() -> dict[str, record.Performance]:
    """The same curl of two bodies."""
    curl = EXERCISES["dumbbell_curl"]
    people = {name: dataclasses.replace(PERSON, table=name) for name in anatomy.names()}
    return {
        name: record.perform(person, curl, 6.0, [{}], 0, standard_tempo=True)
        for name, person in people.items()
    }


def test_another_anatomy_has_other_levers_and_another_drive(curls):
    """The movement and its torques are the same."""
    ours, theirs = curls["simulated"], curls["literature"]
    np.testing.assert_allclose(ours.motion.torque, theirs.motion.torque, atol=1e-6)
    levers = []
    for done in (ours, theirs):
        brachialis = done.lifter.muscles.index("brachialis_left")
        levers.append(abs(done.motion.moment_arm[..., brachialis]).max(1))
    assert abs(levers[1] / levers[0] - 1).max() > 0.1
    biceps = ours.channels.index("left_biceps_brachii")
    assert abs(theirs.drive[:, biceps] - ours.drive[:, biceps]).max() > 0.05
    assert theirs.solution.relative_residual < record.MAX_RESIDUAL


@pytest.mark.parametrize("lag", [0.0, 0.3, 0.6])
def test_the_emg_is_late_by_the_lag(curls, lag):
    """The largest correlation of the rectified EMG with the drive, which has the pose's clock."""
    done = dataclasses.replace(curls["simulated"], channels=("left_biceps_brachii",))
    person = dataclasses.replace(PERSON, emg_lag=lag)
    raw = record.surface_emg(done, person, record.Studio(), np.random.default_rng(0))
    rate = round(record.Studio.emg_rate / POSE_RATE)
    bins = abs(raw[: len(raw) // rate * rate, 0]).reshape(-1, rate).mean(1)
    drive = semg.drive_at_electrode(
        done.muscle_drive, done.lifter.muscles, "left_biceps_brachii", person.anatomy
    )

    def agreement(shift: int) -> float:
        return float(np.corrcoef(bins[shift:], drive[: len(bins) - shift])[0, 1])

    best = max(range(50), key=agreement) / POSE_RATE
    assert best == pytest.approx(lag, abs=0.08)
