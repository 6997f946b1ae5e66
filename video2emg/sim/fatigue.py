"""Effects of a set of repetitions: muscle fatigue, and rising heart and breathing rates."""

import dataclasses

import numpy as np
from jaxtyping import Float

from video2emg.sim import static_optimisation
from video2emg.sim.body import Lifter
from video2emg.sim.dynamics import Motion
from video2emg.sim.subject import Subject

# Share of the force lost per second at full activation (1/min: Ma, Chablat, Bennis & Zhang, Int. J.
# Ind. Ergon. 39, 2009).
FATIGUE_RATE = 1 / 60
# Relative fall of the median frequency per share of the force lost. With `FATIGUE_RATE` it gives
# the falls of about 5-25 % that are reported for sets of ten repetitions.
FREQUENCY_SHIFT = 1.0
_STRIDE = 5  # the mean activation needs only every fifth sample

READING_INTERVAL = 2.0  # s between two readings of the sensor vest
_HEART_TIME, _BREATH_TIME = 25.0, 15.0  # s, time constants of a step of intensity
_HEART_NOISE, _BREATH_NOISE = 1.5, 0.8  # 1/min
# Share of the reserve of heart (or breathing) rate that is used, per unit of mean activation of all
# muscles, and of the two most active muscles (pressor reflex).
_ALL_MUSCLES, _MOST_ACTIVE = 3.5, 0.15
_MAX_BREATH_RATE = 45.0  # 1/min


def rested_activation(
    lifter: Lifter,
    motion: Motion,
    subject: Subject,
    least: Float[np.ndarray, "T n"] | None = None,
) -> Float[np.ndarray, "T n"]:
    """Muscle activations of a rested body, at every `_STRIDE`-th sample and repeated in between.

    Args:
      lifter: the model.
      motion: its torques, moment arms and muscle lengths.
      subject: who.
      least: activation that each muscle has at least, see `static_optimisation.solve`.
    """
    names = ("torque", "moment_arm", "length", "velocity")
    sparse = dataclasses.replace(
        motion, **{name: getattr(motion, name)[::_STRIDE] for name in names}
    )
    if least is not None:
        least = least[::_STRIDE]
    activation = static_optimisation.solve(lifter, sparse, subject, least=least).activation
    return np.repeat(activation, _STRIDE, axis=0)[: len(motion.torque)]


def remaining_capacity(
    rested: Float[np.ndarray, "T n"], time: Float[np.ndarray, " T"], time_in_set: float
) -> Float[np.ndarray, "T n"]:
    """Share of each muscle's force that remains, after `time_in_set` seconds of equal work before.

    dF/dt = −`FATIGUE_RATE` · a · F, where a is the activation of a rested body (Ma et al., 2009).
    """
    step = time[1] - time[0]
    work = time_in_set * rested.mean(0) + step * np.cumsum(rested, axis=0)
    return np.exp(-FATIGUE_RATE * work)


@dataclasses.dataclass(frozen=True)
class VitalSigns:
    """Readings of the sensor vest.

    Attributes:
      time: [K] s on the clip's clock.
      heart_rate, breath_rate: [K] 1/min.
    """

    time: np.ndarray
    heart_rate: np.ndarray
    breath_rate: np.ndarray


def exercise_intensity(mean: Float[np.ndarray, " n"], lifter: Lifter) -> float:
    """Share (0-1) of the heart-rate reserve that mean activations use when kept up for minutes."""
    all_muscles = np.sum(mean * lifter.force) / lifter.force.sum()
    most_active = np.sort(mean)[-2:].mean()
    return float(np.clip(_ALL_MUSCLES * all_muscles + _MOST_ACTIVE * most_active, 0, 1))


def vital_signs(
    subject: Subject,
    intensity: float,
    time_in_set: float,
    duration: float,
    rng: np.random.Generator,
) -> VitalSigns:
    """Readings during a set.

    Both rates approach their steady state exponentially from the start of the work. The maximal
    heart rate is 208 − 0.7 age (Tanaka, Monahan & Seals, J. Am. Coll. Cardiol. 37, 2001).

    Args:
      subject: who wears the vest.
      intensity: share of the reserve, see `exercise_intensity`.
      time_in_set: duration of the equal work just before, s.
      duration: of the recording, s.
      rng: for the sensor noise.
    """
    subject_rng = np.random.default_rng([subject.seed, 17])
    max_heart = 208 - 0.7 * subject_rng.uniform(19, 33)
    # Before the first repetition the rates are above rest. Trained people have a lower heart rate.
    start_heart = np.clip(subject_rng.normal(86 - 14 * subject.skill, 7), 52, 105)
    start_breath = np.clip(subject_rng.normal(15.5, 2), 10, 21)
    first = np.ceil(time_in_set / READING_INTERVAL)
    last = np.ceil((time_in_set + duration) / READING_INTERVAL)
    elapsed = np.arange(first, last) * READING_INTERVAL
    heart_rise, breath_rise = (-np.expm1(-elapsed / tau) for tau in (_HEART_TIME, _BREATH_TIME))
    heart = start_heart + intensity * (max_heart - start_heart) * heart_rise
    breath = start_breath + intensity * (_MAX_BREATH_RATE - start_breath) * breath_rise
    return VitalSigns(
        time=elapsed - time_in_set,
        heart_rate=heart + rng.normal(0, _HEART_NOISE, len(elapsed)),
        breath_rate=breath + rng.normal(0, _BREATH_NOISE, len(elapsed)),
    )
