"""Records a simulated set, to try `predict` on: one mp4 per camera, measured EMG and labels.

    python -m benchmarks.make_set --out runs/set --exercise barbell_squat --repetitions 10

Writes `<view>.mp4`, `emg.csv` (measured envelopes as a fraction of MVC, 50 Hz) and `labels.json`
(start, load, score, phases and errors of each repetition). The subject is in no built dataset.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.clip import Clip
from video2emg.core.files import write_json, write_text
from video2emg.data import video as video_lib
from video2emg.inference.output import video
from video2emg.sim import record as sim
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.trials import Trial

RATE = 50.0  # Hz, of emg.csv
SUBJECT, SEED = 7000, 20_011  # another seed than that of the datasets


def record_set(exercise: str, repetitions: int, studio: sim.Studio) -> Clip:
    """A set in which every other repetition has an error."""
    names, (low, high, step) = list(EXERCISES[exercise].errors), EXERCISES[exercise].loads
    errors = [
        () if n % 2 == 0 else ((names[n // 2 % len(names)], 0.9),) for n in range(repetitions)
    ]
    load = low + round(0.4 * (high - low) / step) * step
    subject = subjects.sample(SUBJECT, SEED)
    return sim.record(Trial(0, subject, exercise, load, tuple(errors), SEED), studio)


def make(out: Path, exercise: str, repetitions: int, size: int, fps: float) -> Clip:
    """Records and writes a set."""
    clip = record_set(exercise, repetitions, sim.Studio(size=size, fps=fps))
    for view in clip.views:
        video.write(out / f"{view}.mp4", video_lib.pictures(clip, view), rate=fps)
    time = np.arange(int(clip.emg_time[-1] * RATE) + 1) / RATE
    emg, _ = emg_lib.resample(emg_lib.clip_envelope(clip), clip.emg_time, time)
    lines = [",".join(["time [s]", *clip.muscles])]
    lines += [
        ",".join([f"{t:.2f}", *(f"{x:.4f}" for x in row)])
        for t, row in zip(time, emg / clip.emg_max, strict=True)
    ]
    write_text(out / "emg.csv", "\n".join(lines) + "\n")
    labels = [dataclasses.asdict(repetition) for repetition in clip.repetitions or ()]
    write_json(
        out / "labels.json", {"action": exercise, "load_kg": clip.load, "repetitions": labels}
    )
    return clip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/set"))
    parser.add_argument("--exercise", choices=list(EXERCISES), default="barbell_squat")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--size", type=int, default=384, help="px; a multiple of the model's")
    parser.add_argument("--fps", type=float, default=25.0)
    args = parser.parse_args()
    make(args.out, args.exercise, args.repetitions, args.size, args.fps)
    print(args.out)
