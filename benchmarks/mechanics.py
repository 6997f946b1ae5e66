"""How long the mechanics layers take, beside MuJoCo on the same windows; on one core.

    python -m benchmarks.mechanics

Prints milliseconds per window of 3 s after compilation, forward and with gradients, seconds of
compilation, and the time of the simulator's inverse dynamics and static optimisation (MuJoCo and
NumPy) for the same 3 s at the same rate.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from video2emg.core import vocabulary
from video2emg.physics.mechanics import Mechanics
from video2emg.sim import body, dynamics, record, static_optimisation
from video2emg.sim.exercises import EXERCISES

BATCH, SECONDS, RATE = 32, 3.0, 25.0


def seconds(run: Callable[[], object], repeats: int = 5) -> tuple[float, float]:
    """Time of the first call, and median of the following."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(run())
        taken.append(time.perf_counter() - start)
    return taken[0], float(np.median(taken[1:]))


def main() -> None:
    subject = body.reference_subject(False)
    played = record.perform(subject, EXERCISES["barbell_squat"], 60.0, [{}], 7, standard_tempo=True)
    count = round(SECONDS * RATE)
    pose = played.motion.joints[::2][:count].astype(np.float32)
    poses = jnp.asarray(np.repeat(pose[None], BATCH, 0))
    known = jnp.ones(poses.shape[:3], bool)
    height, mass = jnp.full(BATCH, subject.height), jnp.full(BATCH, subject.mass)
    held = jnp.tile(jnp.array([0.0, 0.0, 60.0, 0.0, 0.0]), (BATCH, 1))
    layers = Mechanics(vocabulary.FLEX_21, rate=RATE)

    def total(poses: jax.Array) -> jax.Array:
        return jnp.sum(layers(poses, known, height, mass, held).excitation)

    forward, backward = jax.jit(total), jax.jit(jax.grad(total))
    for name, function in (("forward", forward), ("with gradients", backward)):
        first, run = seconds(lambda function=function: function(poses))
        print(
            f"{name}: {1e3 * run / BATCH:.2f} ms per window of {SECONDS:g} s, "
            f"compiled in {first - run:.1f} s"
        )

    def simulator() -> None:
        motion = dynamics.inverse_dynamics(played.lifter, played.qpos[::2][:count], RATE)
        static_optimisation.solve(played.lifter, motion, subject)

    _, run = seconds(simulator, repeats=3)
    print(f"MuJoCo and NumPy: {1e3 * run:.1f} ms for the same window")


if __name__ == "__main__":
    main()
