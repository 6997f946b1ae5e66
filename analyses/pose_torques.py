"""How exact the joint torques are that `predict` computes from a pose.

    python -m analyses.pose_torques --write

The model in the package cleans the poses of simulated people whom it was not trained on, and its
mechanics compute the joint torques, with load and height told and the mass assumed, as of a film.
They are compared with the simulator's own torques: for true poses, and for poses with the errors
of an estimator (`data.pose_noise.ESTIMATOR`). Of each clip the window in the middle is taken.
`--write` writes results/pose_torques.json and the table in docs/mechanics.md.
"""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.batch import blank_batch
from video2emg.core.emg import Chain, Normalisation
from video2emg.data.examples import Examples
from video2emg.data.pose_noise import ESTIMATOR_NOISE
from video2emg.data.select import Joined
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate, results
from video2emg.eval.forward import ForwardFunction
from video2emg.inference.run import PRETRAINED_VIDEO2EMG
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.pages import ROOT, put
from video2emg.run.workdir import read_config

_LEAST_NM = 10.0  # peak of a torque in a clip that counts
_CACHE = 2**28  # bytes of clips in memory
_TOLD = ("held", "held_mask", "load", "load_mask", "height", "height_mask")


def pairs(
    forward: ForwardFunction, examples: Examples, clips: Sequence[int], size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Computed and true torques [T, D] of the middle window of each clip, NaN where not known."""
    window = examples.window
    channel = (vocabulary.channel("left", "vastus_lateralis"),)  # any; only torques are read
    for first in range(0, len(clips), size):
        chosen = clips[first : first + size]
        middles = [max(examples.end(i) - window.seconds, 0.0) / 2 for i in chosen]
        read = [examples.read_window(i, start) for i, start in zip(chosen, middles, strict=True)]
        rows = [*read, *[read[-1]] * (size - len(read))]
        batch = blank_batch(window, size, channel)
        batch |= {
            field: np.stack([row[field] for row in rows]) for field in ("pose", "pose_mask", *_TOLD)
        }
        computed = forward(batch).torque
        assert computed is not None
        step = round(window.emg_rate / window.frame_rate)
        for row, values in zip(read, computed, strict=False):
            known = row["torque_mask"] & row["pose_mask"].any(-1)[:, None]
            yield values[::step], np.where(known, row["torque"], np.nan)


def score(windows: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, float]]:
    """By joint: r over time, RMSE, size of the peaks and their error; sides together."""
    kinds = list(dict.fromkeys(name.split("_", 1)[1] for name in vocabulary.DOFS[:-1]))
    rows = {}
    for kind in (*kinds, vocabulary.DOFS[-1]):
        columns = [d for d, name in enumerate(vocabulary.DOFS) if name.endswith(kind)]
        r, squares, peaks, errors = [], [], [], []
        for computed, true in windows:
            for d in columns:
                known = np.isfinite(true[:, d])
                x, y = computed[known, d], true[known, d]
                if len(y) < 10 or np.abs(y).max() < _LEAST_NM:
                    continue
                r.append(np.corrcoef(x, y)[0, 1])
                squares.append(((x - y) ** 2).mean())
                peak = np.abs(y).argmax()
                same = x * np.sign(y[peak])  # its peak in the same direction
                peaks.append(np.abs(y[peak]))
                errors.append(same.max() / peaks[-1] - 1)
        rows[kind] = {
            "clips_and_sides": len(r),
            "peak_nm": float(np.median(peaks)),
            "r": float(np.nanmean(r)),
            "rmse_nm": float(np.sqrt(np.mean(squares))),
            "peak_error": float(np.median(np.abs(errors))),
            "peak_bias": float(np.median(errors)),
        }
    return rows


def table(ways: dict[str, dict[str, dict[str, float]]]) -> str:
    """The scores as Markdown."""
    lines = ["| torque | peak, N·m |" + "".join(f" r, RMSE N·m, peak: {way} |" for way in ways)]
    lines.append("|---" * (2 + len(ways)) + "|")
    for kind, first in next(iter(ways.values())).items():
        cells = [
            f"{row['r']:.2f}, {row['rmse_nm']:.0f}, {row['peak_bias']:+.0%} "
            f"(±{row['peak_error']:.0%})"
            for row in (scored[kind] for scored in ways.values())
        ]
        line = f"| {kind.replace('_', ' ')} | {first['peak_nm']:.0f} | {' | '.join(cells)} |"
        lines.append(line.replace("-", "−"))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="gymsim/loads")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--clips", type=int, default=240, help="evenly spread over all people")
    parser.add_argument("--batch", type=int, default=16, help="windows at a time")
    parser.add_argument("--write", action="store_true", help="into the published results")
    args = parser.parse_args()
    dataset = open_dataset(args.name, args.data_dir)
    source = Joined(list(dataset.splits.values()))
    config = read_config(PRETRAINED_VIDEO2EMG)
    window = setup.trained_window(config, PRETRAINED_VIDEO2EMG)
    window = dataclasses.replace(window, dofs=vocabulary.DOFS)
    scale = Normalisation("train", dict.fromkeys(vocabulary.MUSCLES, 1.0))
    examples = Examples(source, window, Chain(), scale, _CACHE)
    mesh = mesh_lib.make_mesh(**config.parallel)
    forward = ForwardFunction(
        *setup.load_trained(config, PRETRAINED_VIDEO2EMG, examples, mesh), mesh
    )
    clips = evaluate.evenly(len(examples), args.clips)
    ways = {
        way: score(list(pairs(forward, shown, clips, args.batch)))
        for way, shown in {
            "true poses": examples,
            "estimated poses": examples.with_pose_noise(ESTIMATOR_NOISE),
        }.items()
    }
    text = table(ways)
    print(text)
    if args.write:
        facts = {"dataset": args.name, "simulated": dataset.simulated, "clips": len(clips)}
        results.write_results(ROOT / "results/pose_torques.json", facts | {"rows": ways})
        put(ROOT / "docs/mechanics.md", text, "pose_torques")


if __name__ == "__main__":
    main()
