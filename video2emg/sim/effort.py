"""Errors of effort: how muscles work at an unchanged movement. Only the EMG shows them.

The knowledge graph `gymsim_effort` has their penalties. They are drawn independently of the
movement and of its errors.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.sim import fatigue, kinematics, static_optimisation
from video2emg.sim.body import Lifter
from video2emg.sim.dynamics import Motion
from video2emg.sim.exercises.common import Effect
from video2emg.sim.static_optimisation import Solution
from video2emg.sim.subject import Subject
from video2emg.sim.tempo import POSE_RATE, Tempo

CO_CONTRACTION, NO_BRACE, UNEVEN = "co_contraction", "no_brace", "uneven_effort"
EXHAUSTED, SHOULDER_TENSION = "exhausted", "shoulder_tension"
ERRORS = (CO_CONTRACTION, NO_BRACE, UNEVEN, EXHAUSTED, SHOULDER_TENSION)
WHOLE_SET = (EXHAUSTED,)  # errors that all repetitions of a set have with equal severity

# Sizes at full severity.
ANTAGONISTS = 0.15  # activation above what the movement needs
SHOULDERS = 0.20  # the same, of the muscles that lift the shoulders
SHARE = 0.08  # of the weight on the feet that moves to one side: 58 to 42
EARLIER_WORK = 60.0  # s of equal work before the set, besides `Trial.time_in_set`
# Activation of the oblique muscles of a person who braces (10-20 % of the maximum is the usual
# instruction: Vera-Garcia et al., Clin. Biomech. 21, 2006), and that of each muscle relative to it.
BRACING = (0.10, 0.20)
BRACED = {"external_oblique": 1.0, "internal_oblique": 1.0, "rectus_abdominis": 0.7}
LIFT_SHOULDERS = ("upper_trapezius", "levator_scapulae")
WAVER = 0.1  # standard deviation of slow changes of bracing and tension, relative


@dataclasses.dataclass(frozen=True)
class Effort:
    """How the effort of an exercise can be wrong.

    Attributes:
      antagonists: muscles that co-contraction activates.
      effects: the electrode that shows each error best, and how.
      on_feet: whether both feet carry the load, so that one of them can carry more.
    """

    antagonists: tuple[str, ...]
    effects: Mapping[str, Effect]
    on_feet: bool = False


def _effects(
    antagonist: str, prime: str, uneven: str = "", relaxed: bool = False
) -> dict[str, Effect]:
    """The effects of an exercise.

    Args:
      antagonist: an electrode on the antagonists.
      prime: the electrode on the prime mover.
      uneven: the electrode that shows which side works more; empty if no load is shared.
      relaxed: whether the shoulders should be relaxed.
    """
    effects = {
        CO_CONTRACTION: Effect(antagonist, "mean", +1),
        NO_BRACE: Effect("external_oblique", "mean", -1),
        EXHAUSTED: Effect(prime, "mean", +1),
    }
    if uneven:
        effects[UNEVEN] = Effect(uneven, "asymmetry", +1)
    if relaxed:
        effects[SHOULDER_TENSION] = Effect("upper_trapezius", "mean", +1)
    return effects


EFFORTS = {
    "barbell_squat": Effort(
        ("biceps_femoris_long", "biceps_femoris_short", "semitendinosus"),
        _effects("biceps_femoris", "vastus_lateralis", "vastus_lateralis", relaxed=True),
        on_feet=True,
    ),
    "barbell_overhead_press": Effort(
        ("biceps_long", "biceps_short", "latissimus_dorsi"),
        _effects("biceps_brachii", "triceps_brachii"),
    ),
    "barbell_romanian_deadlift": Effort(
        ("rectus_femoris", "iliopsoas"),
        _effects("rectus_femoris", "biceps_femoris", "biceps_femoris"),
        on_feet=True,
    ),
    "dumbbell_curl": Effort(
        ("triceps_long", "triceps_short"),
        _effects("triceps_brachii", "biceps_brachii", relaxed=True),
    ),
    "dumbbell_lateral_raise": Effort(
        ("latissimus_dorsi", "teres_major", "pectoralis_sternal"),
        _effects("latissimus_dorsi", "medial_deltoid"),
    ),
    "dumbbell_front_raise": Effort(
        ("latissimus_dorsi", "posterior_deltoid", "triceps_long"),
        _effects("latissimus_dorsi", "anterior_deltoid"),
    ),
}


@functools.cache
def graph() -> Graph:
    """The knowledge graph `gymsim` with the errors of effort."""
    return load("gymsim_effort")


def technique(errors: Mapping[str, float]) -> dict[str, float]:
    """The errors that change the movement."""
    return {name: severity for name, severity in errors.items() if name not in ERRORS}


@dataclasses.dataclass(frozen=True)
class Exertion:
    """What a set asks of the muscles besides the torques of its movement.

    Attributes:
      bracing: [T, n] least activation of the muscles that brace the trunk.
      tension: [T, n] activation of needlessly tense muscles above what the movement needs.
      share: [T] of the shared load that moves from the right side to the left one.
      earlier_work: duration of equal work before the set, s.
    """

    bracing: np.ndarray
    tension: np.ndarray
    share: np.ndarray
    earlier_work: float


def exertion(
    exercise: str,
    errors: Sequence[Mapping[str, float]],
    tempo: Tempo,
    muscles: tuple[str, ...],
    subject: Subject,
    seed: int,
) -> Exertion:
    """The exertion of a set. The errors fade in and out in the pauses between repetitions.

    Args:
      exercise: its name.
      errors: severity by name, of each repetition; others than those of effort do not count.
      tempo: when the repetitions happen.
      muscles: `biceps_long_right`, …
      subject: who; how much a person braces is a habit.
      seed: of the heavier side, and of how bracing and tension waver.
    """
    rng, n = np.random.default_rng([seed, 6]), len(tempo.time)
    heavier = rng.choice([1.0, -1.0])
    severity = {
        name: np.array([e.get(name, 0.0) for e in errors]) @ tempo.weights() for name in ERRORS
    }
    braced = np.random.default_rng([subject.seed, 23]).uniform(*BRACING)
    tense: tuple[tuple[dict[str, float], np.ndarray], ...] = (
        (BRACED, braced * (1 - severity[NO_BRACE])),
        (dict.fromkeys(EFFORTS[exercise].antagonists, ANTAGONISTS), severity[CO_CONTRACTION]),
        (dict.fromkeys(LIFT_SHOULDERS, SHOULDERS), severity[SHOULDER_TENSION]),
    )
    added = []
    for size, course in tense:
        waver = 1 + kinematics.sway(rng, n, POSE_RATE, WAVER, cutoff=0.5)
        base = np.array([size.get(name.rsplit("_", 1)[0], 0.0) for name in muscles])
        added.append(np.outer(course * np.clip(waver, 0.5, 1.5), base))
    return Exertion(
        bracing=added[0],
        tension=added[1] + added[2],
        share=heavier * SHARE * severity[UNEVEN],
        earlier_work=EARLIER_WORK * max(e.get(EXHAUSTED, 0.0) for e in errors),
    )


def solve(
    lifter: Lifter,
    motion: Motion,
    subject: Subject,
    time: Float[np.ndarray, " T"],
    time_in_set: float,
    exertion: Exertion | None = None,
) -> tuple[Float[np.ndarray, "T n"], Float[np.ndarray, "T n"], Solution]:
    """Activations of a rested body, share of the force that fatigue leaves, and the solution.

    A needlessly tense muscle is more active than the movement needs, and the others balance it. So
    antagonists make the agonists work harder at equal torques.

    Args:
      lifter: the model.
      motion: its torques.
      subject: who.
      time: of the samples, s.
      time_in_set: duration of equal work just before, s.
      exertion: what else is asked of the muscles.
    """
    least, earlier = (exertion.bracing, exertion.earlier_work) if exertion else (None, 0.0)
    rested = fatigue.rested_activation(lifter, motion, subject, least)
    remaining = fatigue.remaining_capacity(rested, time, time_in_set + earlier)
    solution = static_optimisation.solve(lifter, motion, subject, remaining, least)
    if exertion and exertion.tension.any():
        raised = np.where(exertion.tension > 0, solution.own + exertion.tension, 0.0)
        least = np.maximum(exertion.bracing, raised)
        solution = static_optimisation.solve(lifter, motion, subject, remaining, least)
    return rested, remaining, solution
