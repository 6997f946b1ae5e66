"""How well repetitions are found and measured in poses, on simulated people of no dataset.

    python -m analyses.repetitions --write

Every exercise without a bench is recorded as poses, in sets with partial, slow and paused
repetitions (`predict` refuses films of lying people). The steps are those of `predict`: the pose is
cleaned, repetitions are found, and the joint that moves most is measured. Free movement of the same
people should be refused. Columns: true poses, and
poses with the errors of an estimator. The reference is the simulator's true pose and bounds. Writes
results/repetitions.json and the table in docs/film.md.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core.batch import Window
from video2emg.core.clip import Clip, Clips
from video2emg.core.files import write_json
from video2emg.data.datasets.gymsim.gymsim_dataset_builder import FREE
from video2emg.data.film_pose import track_to_pose
from video2emg.data.found_repetitions import SeenClips, match, thinned_track
from video2emg.data.pose_noise import ESTIMATOR_NOISE
from video2emg.inference.pose_input import PoseInput
from video2emg.pose.angles import MOVING_KINDS, moving_angles
from video2emg.run.pages import ROOT, put
from video2emg.sim import record
from video2emg.sim.exercises import EXERCISES, GRAPH
from video2emg.sim.trials import plan_trials

SEED = 80  # of no dataset, and not of the sets on which the finder was tuned (77 to 79)
RATE = 25.0  # Hz, of the poses
POSES = record.Studio(views=(), montage=())
WINDOW = Window(4.0, RATE, 50.0, 64, (), 46)
# Key of the results → heading, and how it is printed.
COLUMNS = {
    "counted": ("sets counted exactly", "{:.0%}"),
    "refused": ("sets refused, with a reason", "{:.0%}"),
    "free_accepted": ("free movement taken for an exercise", "{:.0%}"),
    "matched": ("repetitions found", "{:.0%}"),
    "bounds_s": ("bounds, median error, s", "{:.2f}"),
    "within_0.15_s": ("bounds within 0.15 s", "{:.0%}"),
    "range_deg": ("range of motion, median error, °", "{:.1f}"),
    "range_bias_deg": ("range, mean error, °", "{:+.1f}"),
    "sides_deg": ("left − right, median error, °", "{:.1f}"),
    "turn_s": ("turning point, median error, s", "{:.2f}"),
}


def recording_of(clip: Clip) -> PoseInput:
    """What `predict` makes of the pose of a clip."""
    return PoseInput(track_to_pose(thinned_track(clip, RATE)), WINDOW)


def accepted(seen: Clips) -> float:
    """Share of clips that count as an exercise."""
    return float(np.mean([bool(recording_of(seen[i]).spans) for i in range(len(seen))]))


def score(seen: Clips, true: Sequence[Clip]) -> dict[str, float]:
    """Errors of what is found and measured in `seen` against the true clips."""
    counted, refused, total, matched, rows = [], [], 0, 0, []
    for number, clip in enumerate(true):
        recording = recording_of(seen[number])
        spans, repetitions = recording.spans, clip.repetitions or ()
        pairs = match(spans, [(r.start, r.end) for r in repetitions])
        counted.append(len(spans) == len(repetitions))
        refused.append(bool(recording.pose.gated.refused))
        total, matched = total + len(repetitions), matched + len(pairs)
        rows += _errors(recording, clip, pairs)
    start, end, left, right, turn = np.array(rows).T
    bounds, ranges = np.abs(np.r_[start, end]), np.r_[left, right]
    return {
        "sets": len(true),
        "counted": float(np.mean(counted)),
        "refused": float(np.mean(refused)),
        "matched": matched / total,
        "bounds_s": float(np.median(bounds)),
        "within_0.15_s": float(np.mean(bounds <= 0.15)),
        "range_deg": float(np.nanmedian(np.abs(ranges))),
        "range_bias_deg": float(np.nanmean(ranges)),
        "sides_deg": float(np.nanmedian(np.abs(left - right))),
        "turn_s": float(np.nanmedian(np.abs(turn))),
    }


def _errors(
    recording: PoseInput, clip: Clip, pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[float, ...]]:
    """Errors of start, end (s), ranges of both sides (degrees) and turning point (s)."""
    for found, true in pairs:
        start, end = recording.spans[found]
        repetition = (clip.repetitions or ())[true]
        movement = recording.movement(start, end)
        if movement is None:
            continue
        within = (clip.pose_time >= repetition.start) & (clip.pose_time <= repetition.end)
        angles = moving_angles(clip.pose[within].astype(np.float64), clip.joints)
        kind = MOVING_KINDS.index(movement.joint)
        left, right = (np.ptp(angles[:, kind + side * len(MOVING_KINDS)]) for side in (0, 1))
        turn = repetition.phases[-1][1]  # the last key step begins at the turning point
        yield (
            start - repetition.start,
            end - repetition.end,
            movement.left - left,
            movement.right - right,
            start + movement.first_half - turn,
        )


def markdown(rows: dict[str, dict[str, float]]) -> str:
    """The table of docs/film.md."""
    lines = ["| | " + " | ".join(rows) + " |", "|---" * (1 + len(rows)) + "|"]
    for key, (heading, form) in COLUMNS.items():
        lines.append(
            f"| {heading} | " + " | ".join(form.format(r[key]) for r in rows.values()) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="results/ and docs/")
    options = parser.parse_args()
    names = tuple(n for n, e in EXERCISES.items() if n in GRAPH.actions and e.bench is None)
    true, free = (
        [record.record(t, POSES) for t in plan_trials(options.people, 1, SEED, some, (3, 6))]
        for some in (names, FREE)
    )
    rows = {
        "true poses": score(true, true) | {"free_accepted": accepted(free)},
        "poses with an estimator's errors": score(SeenClips(true, ESTIMATOR_NOISE), true)
        | {"free_accepted": accepted(SeenClips(free, ESTIMATOR_NOISE))},
    }
    text = markdown(rows)
    print(text)
    if options.write:
        write_json(ROOT / "results" / "repetitions.json", {"simulated": True, "rows": rows})
        put(ROOT / "docs" / "film.md", text, "repetitions")


if __name__ == "__main__":
    main()
