"""Records a simulated set, to try `predict` on: one mp4 per camera, measured EMG and labels.

    python -m benchmarks.make_set --out runs/set --exercise barbell_squat --repetitions 10

Writes `<view>.mp4`, `emg.csv` (measured envelopes as a fraction of MVC, 50 Hz) and `labels.json`
(start, load, score, phases and errors of each repetition). The subject is in no built dataset.
"""

import argparse
from pathlib import Path

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.files import write_json, write_text
from video2emg.inference.output import video
from video2emg.sim import record as sim
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.session import Session, record_set

RATE = 50.0  # Hz, of emg.csv
SUBJECT, SEED = 7000, 20_011  # another seed than that of the datasets


def envelopes(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """[N] s and [N, C] measured envelopes of the whole set, as a fraction of MVC."""
    times, values = [], []
    ends = (*session.starts[1:], session.starts[-1] + session.clips[-1].end)
    for clip, start, end in zip(session.clips, session.starts, ends, strict=True):
        time = np.arange(np.ceil(start * RATE), np.ceil(end * RATE)) / RATE
        emg, _ = emg_lib.resample(emg_lib.clip_envelope(clip), clip.emg_time, time - start)
        times.append(time)
        values.append(emg / clip.emg_max)
    return np.concatenate(times), np.concatenate(values)


def make(out: Path, exercise: str, repetitions: int, size: int, fps: float) -> Session:
    """Records and writes a set; every other repetition has an error."""
    names, (low, high, step) = list(EXERCISES[exercise].errors), EXERCISES[exercise].loads
    errors = [{} if n % 2 == 0 else {names[n // 2 % len(names)]: 0.9} for n in range(repetitions)]
    load = low + round(0.4 * (high - low) / step) * step
    studio = sim.Studio(size=size, fps=fps)
    session = record_set(SUBJECT, SEED, exercise, load, errors, studio)
    for view in studio.views:
        video.write(out / f"{view}.mp4", session.film(view), rate=fps)
    time, emg = envelopes(session)
    lines = [",".join(["time [s]", *session.clips[0].muscles])]
    lines += [
        ",".join([f"{t:.2f}", *(f"{x:.4f}" for x in row)]) for t, row in zip(time, emg, strict=True)
    ]
    write_text(out / "emg.csv", "\n".join(lines) + "\n")
    labels = [
        {
            "start": start,
            "end": start + clip.phases[-1][2],
            "load_kg": clip.load,
            "score": clip.score,
            "phases": clip.phases,
            "errors": clip.errors,
        }
        for start, clip in zip(session.starts, session.clips, strict=True)
    ]
    write_json(out / "labels.json", {"action": exercise, "repetitions": labels})
    return session


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
