"""What a set of repetitions does to a body: muscles tire, heart and breath go faster."""

import dataclasses

import numpy as np
from jaxtyping import Float

from video2emg.sim import sharing
from video2emg.sim.body import Lifter
from video2emg.sim.dynamics import Motion
from video2emg.sim.subject import Subject

# Force lost per second at full activation (1/min: Ma, Chablat, Bennis & Zhang, Int. J. Ind. Ergon.
# 39, 2009).
TIRING = 1 / 60
# Fall of the median frequency per share of the force lost. Together they give the falls of some
# 5-25 % that sets of ten repetitions are reported to show.
SLOWING = 1.0
_THIN = 5  # of the samples one is enough to know the mean activation

READING = 2.0  # s between two readings of the vest
_HEART_TIME, _BREATH_TIME = 25.0, 15.0  # s, time constants of a step of effort
_HEART_NOISE, _BREATH_NOISE = 1.5, 0.8  # 1/min
# Share of the reserve (of heart beats or breaths) that is called upon, per unit of activation of
# the whole musculature and of the muscle that works hardest (the pressor reflex).
_BY_MASS, _BY_HARDEST = 3.5, 0.15
_MOST_BREATHS = 45.0  # 1/min


def capacity(
    lifter: Lifter, motion: Motion, subject: Subject, seconds: float
) -> Float[np.ndarray, " n"]:
    """Force that muscles have left, as a share, after `seconds` of repetitions like this one.

    dF/dt = −`TIRING` · a · F, with the activation a that a fresh body needs (Ma et al., 2009).
    """
    if not seconds:
        return np.ones(len(lifter.muscles))
    thin = dataclasses.replace(
        motion,
        **{name: getattr(motion, name)[::_THIN] for name in ("torque", "lever", "length", "speed")},
    )
    activation = sharing.share(lifter, thin, subject).activation.mean(0)
    return np.exp(-TIRING * seconds * activation)


@dataclasses.dataclass(frozen=True)
class Vest:
    """What the vest reads: K readings of heart and breath, 1/min, at [K] s of the clip."""

    time: np.ndarray
    heart: np.ndarray
    breath: np.ndarray


def strain(activation: Float[np.ndarray, "T n"], lifter: Lifter) -> float:
    """Share of heart rate reserve that a repetition calls upon, 0-1, when kept up for minutes."""
    mean = activation.mean(0)
    mass = np.sum(mean * lifter.force) / lifter.force.sum()
    return float(np.clip(_BY_MASS * mass + _BY_HARDEST * np.sort(mean)[-2:].mean(), 0, 1))


def vest(
    subject: Subject, asked: float, before: float, duration: float, rng: np.random.Generator
) -> Vest:
    """Readings during a repetition.

    Both rates approach their steady state exponentially from the start of the set. The greatest
    heart rate is 208 − 0.7 age (Tanaka, Monahan & Seals, J. Am. Coll. Cardiol. 37, 2001).

    Args:
      subject: who.
      asked: share of the reserve, see `strain`.
      before: how long the set lasted until this repetition, s.
      duration: of the repetition, s.
      rng: of the vest's noise.
    """
    own = np.random.default_rng([subject.seed, 17])
    most = 208 - 0.7 * own.uniform(19, 33)
    # Before the first repetition, in a gym: above rest. The trained beat slower.
    still = np.clip(own.normal(86 - 14 * subject.skill, 7), 52, 105)
    calm = np.clip(own.normal(15.5, 2), 10, 21)
    since = np.arange(np.ceil(before / READING), np.ceil((before + duration) / READING)) * READING
    heart = still + asked * (most - still) * -np.expm1(-since / _HEART_TIME)
    breath = calm + asked * (_MOST_BREATHS - calm) * -np.expm1(-since / _BREATH_TIME)
    return Vest(
        time=since - before,
        heart=heart + rng.normal(0, _HEART_NOISE, len(since)),
        breath=breath + rng.normal(0, _BREATH_NOISE, len(since)),
    )
