"""Simulated sets and the segments of their bodies, as the oracle of the layers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from scipy import interpolate

from tests.sim import people
from video2emg.core import vocabulary
from video2emg.physics.mechanics import Mechanics
from video2emg.physics.skeleton import Segments
from video2emg.sim import dynamics, record
from video2emg.sim.exercises import EXERCISES

# As thick as his mass says.
PERSON = dataclasses.replace(people.PERSON, girth=float(np.sqrt(75 / 1.75**2 / 23.5)))
TRUNK = ("pelvis", "abdomen", "chest", "head")
LIMBS = ("clavicle", "scapula", "upper_arm", "forearm", "hand", "thigh", "shank", "foot")
RATE = 200.0  # Hz, at which both sides differentiate alike


@functools.cache
def performance(exercise: str) -> record.Performance:
    """One repetition without errors, with a load in the middle of the range."""
    low, high, step = EXERCISES[exercise].loads
    load = low + step * round((high - low) / 2 / step)
    return record.perform(PERSON, EXERCISES[exercise], load, [{}], 7, standard_tempo=True)


def held(exercise: str) -> np.ndarray:
    """[1, 5] kg at each place, of the load of `performance`."""
    kg = np.zeros((1, 5), np.float32)
    load, equipment = performance(exercise).load, EXERCISES[exercise].equipment
    place = {"barbell_back": [2], "barbell_hips": [3], "none": []}.get(equipment, [0, 1])
    kg[0, place] = load if equipment == "dumbbell" else load / max(len(place), 1)
    return kg


@functools.cache
def dense(exercise: str) -> tuple[record.Performance, np.ndarray, dynamics.Motion]:
    """The performance, its coordinates at `RATE`, and their inverse dynamics by MuJoCo."""
    played = performance(exercise)
    time = np.arange(len(played.qpos)) / 50.0
    qpos = interpolate.CubicSpline(time, played.qpos)(np.arange(0, time[-1], 1 / RATE))
    motion = dynamics.inverse_dynamics(played.lifter, qpos, RATE, None, played.heading)
    return played, qpos, motion


def segments(lifter, qpos: np.ndarray) -> Segments:
    """MuJoCo's own frames of every segment; one window."""
    data = mujoco.MjData(lifter.model)
    names = {name: [name] for name in TRUNK}
    names |= {name: [f"{name}_{side}" for side in vocabulary.SIDES] for name in LIMBS}
    rotation = {n: np.zeros((len(b), 1, len(qpos), 3, 3), np.float32) for n, b in names.items()}
    origin = {n: np.zeros((len(b), 1, len(qpos), 3), np.float32) for n, b in names.items()}
    for i, row in enumerate(qpos):
        data.qpos[:] = row
        mujoco.mj_kinematics(lifter.model, data)
        for name, bodies in names.items():
            for s, body in enumerate(bodies):
                rotation[name][s, 0, i] = data.body(body).xmat.reshape(3, 3)
                origin[name][s, 0, i] = data.body(body).xpos
    return Segments(
        {name: jnp.asarray(x) for name, x in rotation.items()},
        {name: jnp.asarray(x) for name, x in origin.items()},
    )


JOINTS = vocabulary.FLEX_21
DOF = vocabulary.DOFS.index


def window(exercise: str, samples: int = 100) -> tuple[np.ndarray, ...]:
    """The arguments of `Mechanics` at 25 Hz: pose, known, height, mass, held."""
    played = placed_pose(exercise)[:, :samples]
    known = np.ones(played.shape[:3], bool)
    height, mass = (np.array([x], np.float32) for x in (PERSON.height, PERSON.mass))
    return played, known, height, mass, held(exercise)


def placed_pose(exercise: str) -> np.ndarray:
    """[1, T, J, 3] m, every second sample of the performance."""
    return performance(exercise).motion.joints[None, ::2].astype(np.float32)


LAYERS = Mechanics(JOINTS)


@jax.jit
def solve(pose, known, height, mass, held):
    """Mechanics of a window."""
    return LAYERS(pose, known, height, mass, held)
