"""Pairs of repetitions that differ in one error: what it does to moments, muscles and the motion.

Both repetitions of a pair have the same body, load, random numbers and tempo.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from video2emg.core import segment_directions, vocabulary
from video2emg.sim import dynamics, kinematics, semg
from video2emg.sim.exercises import GRAPH, Exercise
from video2emg.sim.joint_load import JointLoad, joint_load
from video2emg.sim.record import Performance, perform, phases
from video2emg.sim.subject import Subject

SEVERITY = 0.8
LOADS = (0.25, 0.5)  # of the range of loads of the exercise
PHASE_POINTS = 13  # instants of a signature, from the start (0) by the turn (6) to the end (12)
_JOINTS = ("knee", "hip", "ankle", "shoulder", "elbow", "lumbar")

# Kind, joint or muscle, and statistic; see `fkg.effects.Effect`.
Quantity = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One person and load, with and without one error.

    Attributes:
      step, error: ids.
      without, within: each quantity in the window of the key step without and with the error, in
        the units of `fkg.effects.UNITS`; empty if a repetition is beyond the person's strength.
      rotation: [PHASE_POINTS, S, 3] rad, from each segment's direction without the error to that
        with it, where the body faces x; mirrored so that the left side is the affected one.
      duration: factors of the error on the durations of both phases.
    """

    step: str
    error: str
    without: dict[Quantity, float]
    within: dict[Quantity, float]
    rotation: Float[np.ndarray, "N S 3"]
    duration: tuple[float, float]


def pairs(exercise: Exercise, subject: Subject, share: float, seed: int) -> Iterator[Pair]:
    """Measures all errors of an exercise on one person at one load.

    Args:
      exercise: of the knowledge graph.
      subject: who.
      share: of the range of loads, 0 to 1.
      seed: of everything that varies.
    """
    low, high, step = exercise.loads
    load = low + step * round((high - low) * share / step)

    def do(errors: dict[str, float]) -> tuple[Performance, JointLoad]:
        done = perform(subject, exercise, load, [errors], seed, standard_tempo=True)
        return done, joint_load(done, subject)

    correct, correct_load = do({})
    for key_step, edge in GRAPH.action(exercise.name).pairs:
        wrong, wrong_load = do({edge.error: SEVERITY})
        feasible = correct.feasible and wrong.feasible
        asymmetric = exercise.errors[edge.error].effect.statistic == "asymmetry"
        without, within = (
            _quantities(done, loads, subject, exercise.name, key_step.id) if feasible else {}
            for done, loads in ((correct, correct_load), (wrong, wrong_load))
        )
        if not asymmetric:
            without, within = (
                {q: v for q, v in values.items() if q[2] != "asymmetry"}
                for values in (without, within)
            )
        yield Pair(
            step=key_step.id,
            error=edge.error,
            without=without,
            within=within,
            rotation=_rotation(correct, wrong, asymmetric),
            duration=_durations(correct, wrong),
        )


def _quantities(
    done: Performance, loads: JointLoad, subject: Subject, action: str, step: str
) -> dict[Quantity, float]:
    """Peaks of the joints, and peak, mean and side difference of the muscles, in a key step.

    What is wrong in the preparation stays wrong: its window lasts to the end of the repetition.
    """
    node, [cycle] = GRAPH.action(action), done.tempo.cycles
    start, end = {name: (a, b) for name, a, b in phases(node, cycle)}[step]
    if node.step(step).phase == "preparation":
        end = cycle.end
    inside = (done.time >= start) & (done.time <= end)
    values: dict[Quantity, float] = {}
    for joint, moment in _moments(done).items():
        values["moment", joint, "peak"] = float(moment[inside].max())
    inside_load = (loads.time >= start) & (loads.time <= end)
    values["moment", "knee_frontal", "peak"] = float(loads.knee_frontal[inside_load].max())
    values["compression", "lumbar", "peak"] = float(loads.lumbar_compression[inside_load].max())
    for muscle in semg.MONTAGE:
        sides = np.stack(
            [
                semg.drive_at_electrode(
                    done.solution.activation[inside],
                    done.lifter.muscles,
                    vocabulary.channel(side, muscle),
                    subject.anatomy,
                )
                for side in vocabulary.SIDES
            ]
        )
        mean = 100 * sides.mean(1)
        values["activation", muscle, "mean"] = float(mean.mean())
        values["activation", muscle, "peak"] = float(100 * sides.max(1).mean())
        affected = vocabulary.SIDES.index(done.weak_side)
        values["activation", muscle, "asymmetry"] = float(mean[affected] - mean[1 - affected])
    return values


def _moments(done: Performance) -> dict[str, Float[np.ndarray, "T S"]]:
    """Magnitude of the moment of the muscles at each joint, both sides, N·m."""
    model = done.lifter.model
    rows, _, _ = dynamics.actuated(model)
    names = [model.joint(int(j)).name for j in model.dof_jntid[rows]]
    moments = {}
    for joint in _JOINTS:
        sides = [f"_{side}" for side in vocabulary.SIDES] if joint != "lumbar" else [""]
        moments[joint] = np.stack(
            [
                np.linalg.norm(
                    done.motion.torque[
                        :, [n.startswith(joint) and n.endswith(side) for n in names]
                    ],
                    axis=1,
                )
                for side in sides
            ],
            1,
        )
    return moments


def _rotation(correct: Performance, wrong: Performance, asymmetric: bool) -> np.ndarray:
    """`Pair.rotation`; an error of both sides gets the same rotation on both."""
    rotation = segment_directions.rotations(_directions(correct), _directions(wrong))
    mirror = segment_directions.mirrored(rotation)
    if not asymmetric:
        return (rotation + mirror) / 2
    return rotation if wrong.weak_side == "left" else mirror


def _directions(done: Performance) -> Float[np.ndarray, "N S 3"]:
    """Directions of the segments at the instants of a signature, where the body faces x."""
    [cycle] = done.tempo.cycles
    bounds = (cycle.start, cycle.turn, cycle.end)
    time = np.interp(np.linspace(0, 2, PHASE_POINTS), range(3), bounds)
    directions = segment_directions.directions(done.motion.joints)
    directions = directions @ kinematics.rotation("z", -done.heading).T
    flat = directions.reshape(len(directions), -1)
    sampled = np.stack([np.interp(time, done.time, column) for column in flat.T], 1)
    sampled = sampled.reshape(PHASE_POINTS, -1, 3)
    return sampled / np.linalg.norm(sampled, axis=2, keepdims=True)


def _durations(correct: Performance, wrong: Performance) -> tuple[float, float]:
    [a], [b] = correct.tempo.cycles, wrong.tempo.cycles
    return (b.turn - b.start) / (a.turn - a.start), (b.end - b.turn) / (a.end - a.turn)
