"""Fatigue, vital signs, and EMG statistics against published ranges (docs/gymsim.md)."""

import dataclasses

import numpy as np
import pytest
from scipy import signal, stats

from tests.sim.people import PERSON
from video2emg.core import vocabulary
from video2emg.core.clip import validate
from video2emg.core.errors import UserError
from video2emg.sim import fatigue, record, semg
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.trials import Trial, plan_trials

STUDIO = record.Studio(views=("front",), size=16, fps=1.0, motor_units=True)


def trial(name: str, load: float, time_in_set: float = 0.0) -> Trial:
    return Trial(0, PERSON, name, load, ((),), 3, time_in_set)


def median_frequency(raw: np.ndarray, rate: float = 1000.0) -> float:
    frequency, power = signal.welch(raw, rate, nperseg=500)
    total = np.cumsum(power) / power.sum()
    return float(np.interp(0.5, total, frequency))


@pytest.fixture(scope="module")
def squats():
    """A repetition rested and after 30 s of equal work, and one of a lighter set after as long."""
    return [
        record.record(trial("barbell_squat", load, before), STUDIO)
        for load, before in ((50.0, 0.0), (50.0, 30.0), (25.0, 30.0))
    ]


def test_capacity_is_the_solution_of_its_differential_equation():
    rested = np.random.default_rng(0).uniform(0, 1, (500, 4))
    time, before = np.arange(500) / 50, 30.0
    expected = np.ones(4)
    for _ in range(3000):
        expected -= before / 3000 * fatigue.FATIGUE_RATE * rested.mean(0) * expected
    remaining = fatigue.remaining_capacity(rested, time, before)
    np.testing.assert_allclose(remaining[0], expected, atol=0.01)
    for activation in rested:
        expected = expected - fatigue.FATIGUE_RATE / 50 * activation * expected
    np.testing.assert_allclose(remaining[-1], expected, atol=0.01)
    assert (np.diff(remaining, axis=0) < 0).all()


def test_fatigue_lowers_the_spectrum_and_raises_the_amplitude(squats):
    first, last, light = squats
    lost = np.array(last.provenance["force_lost"])
    assert max(first.provenance["force_lost"]) < lost.max() and (lost < 0.3).all()
    assert (lost > np.array(light.provenance["force_lost"]) - 1e-3).all()
    active = first.drive.max(0) > 0.2
    assert (last.drive.mean(0) > first.drive.mean(0))[active].all()
    thigh = [last.muscles.index(f"{side}_vastus_lateralis") for side in vocabulary.SIDES]
    rise = last.drive[:, thigh].mean() / first.drive[:, thigh].mean()
    assert 1.05 < rise < 1.5
    before, after = (np.mean([median_frequency(c.emg[:, k]) for k in thigh]) for c in (first, last))
    # Falls of some 5-30 % within a set to fatigue.
    assert 0.70 < after / before < 0.97


def test_heart_and_breathing_rate_follow_the_intensity(squats):
    first, last, light = squats
    curl = record.record(trial("dumbbell_curl", 8.0, 30.0), STUDIO)
    assert first.heart_rate.mean() + 5 < light.heart_rate.mean() < last.heart_rate.mean()
    assert curl.heart_rate.mean() < last.heart_rate.mean()
    for clip in (*squats, curl):
        validate(clip)
        assert len(clip.heart_rate) == len(clip.heart_time) >= 1
        assert (clip.heart_time >= 0).all() and (clip.heart_time < clip.pose_time[-1]).all()
        assert clip.heart_rate.min() > 60 and clip.heart_rate.max() < 185
        assert clip.breath_rate.min() > 8 and clip.breath_rate.max() < 45


def test_a_montage_selects_electrodes_and_changes_nothing_else():
    studio = dataclasses.replace(STUDIO, montage=("pectoralis_major", "soleus"))
    clip = record.record(trial("barbell_bench_press", 30.0), studio)
    assert len(clip.muscles) == clip.emg.shape[1] == clip.drive.shape[1] == 4
    full = record.record(trial("barbell_bench_press", 30.0), STUDIO)
    shared = [full.muscles.index(m) for m in clip.muscles]
    np.testing.assert_array_equal(clip.drive, full.drive[:, shared])


def steady(drive: float, motor_units: bool = True, muscle: str = "vastus_lateralis") -> np.ndarray:
    """20 s of raw EMG at a constant drive."""
    site, rng = semg.SITES[muscle], np.random.default_rng(2)
    drives = dict.fromkeys(PERSON.anatomy.electrodes[muscle], drive) | dict.fromkeys(
        site.crosstalk, 0
    )
    names = tuple(f"{name}_left" for name in drives)
    time = np.arange(0, 20.001, 0.02)
    muscle_drive, still = np.tile([*drives.values()], (len(time), 1)), np.zeros_like(time)
    channel = f"left_{muscle}"
    return semg.simulate_channel(
        muscle_drive, names, time, still, channel, PERSON, 1000.0, rng, motor_units=motor_units
    )


@pytest.mark.parametrize("muscle", semg.SITES)
def test_median_frequency_is_that_of_surface_emg(muscle):
    """50-120 Hz."""
    assert 50 < median_frequency(steady(0.5, muscle=muscle)) < 120


def test_amplitudes_go_from_peaked_to_gaussian_with_the_drive():
    """Excess kurtosis is between that of a Laplacian (3) and a Gaussian (0), and falls."""
    kurtosis = [stats.kurtosis(steady(drive)) for drive in (0.1, 0.3, 0.9)]
    assert 4 > kurtosis[0] > kurtosis[1] > kurtosis[2] > -0.1
    assert kurtosis[0] > 1 and kurtosis[2] < 1
    assert abs(stats.kurtosis(steady(0.1, motor_units=False))) < 0.2


def test_motor_units_keep_power_and_spectrum():
    gaussian, pulses = steady(0.4, motor_units=False), steady(0.4)
    assert pulses.std() == pytest.approx(gaussian.std(), rel=0.05)
    assert median_frequency(pulses) == pytest.approx(median_frequency(gaussian), rel=0.1)


@pytest.mark.parametrize(
    "exercise, load, agonist, antagonist, low, high",
    [
        ("dumbbell_curl", 7.0, "biceps_brachii", "triceps_brachii", 0.05, 0.40),
        ("barbell_squat", 40.0, "vastus_lateralis", "biceps_femoris", 0.05, 0.50),
        ("barbell_bench_press", 35.0, "triceps_brachii", "biceps_brachii", 0.05, 0.60),
    ],
)
def test_antagonists_are_active(exercise, load, agonist, antagonist, low, high):
    """Antagonists reach a tenth to a half of the agonist, and more in unskilled people."""
    ratios = []
    for skill in (0.9, 0.1):
        subject = dataclasses.replace(PERSON, skill=skill)
        montage = (agonist, antagonist)
        performance = record.perform(subject, EXERCISES[exercise], load, [{}], 2, montage)
        drive = performance.drive[performance.during(0)]
        ratios.append(drive[:, 1].mean() / drive[:, 0].mean())
    assert low < ratios[0] < ratios[1] < high, ratios


def test_an_unknown_exercise_of_a_set_is_refused():
    with pytest.raises(UserError, match="unknown exercise 'leg_press'"):
        plan_trials(1, 1, 0, ("leg_press",))
