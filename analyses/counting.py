"""How well repetitions are found in simulated sets, from the true pose and from a noisy one.

    python -m analyses.counting --write

Records the movement of sets of all exercises with repetitions, by people of no dataset, with
partial, slow and paused repetitions. Only the kinematics are computed.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.files import write_json
from video2emg.inference.repetitions import segment
from video2emg.sim import record
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.tempo import POSE_RATE, Tempo
from video2emg.sim.trials import Trial, plan_trials

RESULTS = Path(__file__).parents[1] / "results" / "counting.json"
SEED = 77  # not that of the datasets
NOISE = 0.02  # m, of each joint and instant
RATES = (25.0, 5.0)  # Hz, of the pose
_HIPS = [vocabulary.FLEX_21.index(f"{side}_hip") for side in vocabulary.SIDES]


def movement(trial: Trial) -> tuple[Tempo, Float[np.ndarray, "T J 3"]]:
    """When the repetitions happen, and joints relative to the hips at `POSE_RATE`, m."""
    done = record.perform(
        trial.subject,
        EXERCISES[trial.exercise],
        trial.load,
        [dict(errors) for errors in trial.repetitions],
        trial.seed,
        montage=EXERCISES[trial.exercise].muscles,
    )
    joints = done.motion.joints
    return done.tempo, joints - joints[:, _HIPS].mean(1, keepdims=True)


def score(sets: list[tuple[Tempo, np.ndarray]], rate: float, noise: float) -> dict[str, float]:
    """Share of sets counted exactly, and errors of the bounds in s where they are."""
    rng = np.random.default_rng(0)
    exact, errors = [], []
    for tempo, joints in sets:
        pose = joints[:: round(POSE_RATE / rate)]
        pose = pose + noise * rng.normal(size=pose.shape)
        spans = segment(pose.reshape(len(pose), -1), rate)
        exact.append(len(spans) == len(tempo.cycles))
        if exact[-1]:
            truth = [(cycle.start, cycle.end) for cycle in tempo.cycles]
            errors.append(np.abs(np.array(spans) - truth).ravel())
    joined = np.concatenate(errors)
    return {
        "rate_hz": rate,
        "noise_m": noise,
        "sets": len(sets),
        "count_exact": float(np.mean(exact)),
        "bound_error_median_s": float(np.median(joined)),
        "bound_error_p95_s": float(np.percentile(joined, 95)),
        "bounds_within_0.15_s": float(np.mean(joined <= 0.15)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--write", action="store_true", help="into the published results")
    args = parser.parse_args()
    names = tuple(n for n, e in EXERCISES.items() if e.repetitions != (0, 0))
    trials = plan_trials(args.people, 1, SEED, names, (3, 8))
    sets = [movement(trial) for trial in trials]
    rows = [score(sets, rate, noise) for rate in RATES for noise in (0.0, NOISE)]
    for row in rows:
        print("  ".join(f"{name} {value:.3g}" for name, value in row.items()))
    if args.write:
        write_json(RESULTS, {"simulated": True, "rows": rows})


if __name__ == "__main__":
    main()
