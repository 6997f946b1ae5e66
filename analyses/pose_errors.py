"""What each error of a pose estimator costs mechanics that are computed from the pose.

    python -m analyses.pose_errors --write

Mechanics alone, with the load told, predict clips of the validation split: from true poses, from
poses with one kind of error of `data.pose_noise.ESTIMATOR` at a time, and with all of them. Each is
done with the pose as it is, with its vertical changed so that the body does not fall (`balanced`),
and with the pose that a trained model has cleaned (`cleaned`, of `--run`). How far the joints are
from the true ones is measured as well. `--write` writes results/pose_errors.json and the table in
docs/results.md.
"""

import argparse
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from configs import v2emg
from video2emg.core.batch import blank_batch
from video2emg.core.errors import UserError
from video2emg.data.examples import Examples
from video2emg.data.pose_noise import ESTIMATOR, ESTIMATOR_NOISE, PoseNoise
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate, results, scores
from video2emg.eval.baselines import Template
from video2emg.eval.mechanics import Cleaner, mechanics_step, on_cleaned_poses
from video2emg.inference.run import PRETRAINED_VIDEO2EMG
from video2emg.parallel import mesh as mesh_lib
from video2emg.physics.constants import COMMON_DRIVE
from video2emg.physics.mechanics import LEAST_RATE
from video2emg.run import setup
from video2emg.run.pages import ROOT, put
from video2emg.run.workdir import read_config

ERRORS = ("pitch", "offset", "depth", "drop_limb", "shrink", "knee")
WORDS = {
    "none": "none",
    "pitch": "wrong vertical",
    "offset": "constant offsets of joints",
    "depth": "slow errors of depth",
    "drop_limb": "lost limbs",
    "shrink": "loss of movement",
    "knee": "bent knees",
    "all": "all of an estimator's",
}
METRICS = ("skill", "pcc", "specificity")
COLUMNS = {"skill": "skill", "pcc": "PCC", "joints_cm": "joints, cm"}  # of the table
DIGITS = {"joints_cm": 1}
# What happens to the pose first; as it is called in the table.
WAYS = {"plain": "", "balanced": ", balanced", "cleaned": ", cleaned"}


def noises(errors: Sequence[str]) -> Iterator[tuple[str, PoseNoise]]:
    """No error, each of the errors alone, and all of an estimator's, in every example."""
    nothing = dict.fromkeys(ESTIMATOR, 0.0)
    yield "none", PoseNoise.from_config(nothing)
    for name in errors:
        if name not in ESTIMATOR or name == "share":
            known = ", ".join(name for name in ESTIMATOR if name != "share")
            raise UserError(f"--errors {name}: is none of {known}")
        yield name, PoseNoise.from_config(nothing | {"share": 1.0, name: ESTIMATOR[name]})
    yield "all", ESTIMATOR_NOISE


def cleaner(run: Path, examples: Examples, mesh: jax.sharding.Mesh) -> Cleaner:
    """The model of a run that cleans poses."""
    config = read_config(run)
    if not config.model.clean_pose:
        raise UserError(f"--run {run}: this model does not clean poses (config.model.clean_pose)")
    return Cleaner(*setup.load_trained(config, run, examples, mesh))


def measure(
    splits: Mapping[str, Examples], options: argparse.Namespace
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of mechanics alone by way (`WAYS`) and error."""
    posed = splits[options.split].with_pose_only(LEAST_RATE)
    chosen = evaluate.evenly(len(posed), options.clips)
    series = evaluate.series_of(posed, clips=chosen)
    template = Template()
    template.fit(evaluate.series_of(splits["train"]))
    expected = [template.predict(one) for one in series]
    mesh = mesh_lib.make_mesh()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for way in options.ways:
        step = mechanics_step(
            posed.window,
            "simulated",
            ("load",),
            mesh,
            cutoff=options.cutoff,
            balanced=way == "balanced",
            common_drive=options.common_drive,
        )
        params, cleans = {}, None
        if way == "cleaned":
            cleans = cleaner(Path(options.run), posed, mesh)
            params, step = cleans.params, on_cleaned_poses(step, cleans.model)
        rows[way] = {}
        for name, noise in noises(options.errors):
            noisy = posed.with_pose_noise(noise)
            guess = evaluate.predict(step, params, noisy, options.batch, mesh, chosen)
            guess = [np.nan_to_num(values) for values in guess]  # nothing where nothing is known
            scored = scores.score(scores.tabulate(series, guess, expected))
            rows[way][name] = {metric: float(scored[metric]) for metric in METRICS}
            if way != "balanced":  # turns the body inside of the mechanics
                rows[way][name]["joints_cm"] = joint_error(noisy, chosen, cleans)
            print(f"{way}, {name}: {rows[way][name]}", flush=True)
    return rows


def joint_error(noisy: Examples, clips: Sequence[int], cleans: Cleaner | None) -> float:
    """Mean distance of the given joints from the true ones, cm of a body of `body_frame.HEIGHT`.

    Args:
      noisy: examples with errors of the pose.
      clips: numbers of clips, of each of which the window in the middle is taken.
      cleans: cleans the pose first.
    """
    middles = [max(noisy.end(i) - noisy.window.seconds, 0.0) / 2 for i in clips]
    windows = [noisy.read_window(i, start) for i, start in zip(clips, middles, strict=True)]
    batch = blank_batch(noisy.window, len(windows))
    batch |= {
        field: np.stack([w[field] for w in windows]) for field in batch if field in windows[0]
    }
    true, known = (np.stack([w[f] for w in windows]) for f in ("true_pose", "true_pose_mask"))
    known &= batch["pose_mask"]
    pose = batch["pose"]
    if cleans is not None:
        forward = jax.jit(functools.partial(cleans.model.apply, train=False))
        pose = np.asarray(forward({"params": cleans.params}, batch)[0].pose)
    return 100 * float(np.linalg.norm(pose - true, axis=-1)[known].mean())


def table(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The rows as Markdown, the most harmful error first in the first way."""
    first = next(iter(rows.values()))
    single = sorted((e for e in first if e not in ("none", "all")), key=lambda e: first[e]["skill"])
    measured = {way: [m for m in COLUMNS if m in scored["none"]] for way, scored in rows.items()}
    headings = [f"{COLUMNS[m]}{WAYS[way]}" for way in rows for m in measured[way]]
    lines = [
        f"| errors of the pose | {' | '.join(headings)} |",
        "|---" * (1 + len(headings)) + "|",
    ]
    for error in ("none", *single, "all"):
        cells = [
            f"{rows[way][error][m]:.{DIGITS.get(m, 2)}f}" for way in rows for m in measured[way]
        ]
        lines.append(f"| {WORDS.get(error, error)} | {' | '.join(cells)} |".replace("-", "−"))
    return "\n".join(lines)


def run(options: argparse.Namespace) -> dict:
    """Measures and, with `--write`, writes; returns what was measured."""
    config = v2emg.get_config("pose")
    config.data.update(name=options.name, dir=options.data_dir)
    dataset = open_dataset(options.name, options.data_dir)
    splits, _ = setup.load_splits(config, dataset)
    rows = measure(splits, options)
    facts = {"dataset": options.name, "simulated": dataset.simulated, "split": options.split}
    facts |= {
        "clips": options.clips,
        "run": Path(options.run).name,
        "cutoff_hz": options.cutoff,
        "common_drive": options.common_drive,
        "rows": rows,
    }
    text = table(rows)
    print(text)
    if options.write:
        results.write_results(ROOT / "results/pose_errors.json", facts)
        put(ROOT / "docs/results.md", text, "pose_errors")
    return facts


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--name", default="gymsim/gym_moves")
    flags.add_argument("--common_drive", type=float, default=COMMON_DRIVE, help="of the people")
    flags.add_argument(
        "--run", default=str(PRETRAINED_VIDEO2EMG), help="whose model cleans poses; the packed one"
    )
    flags.add_argument("--data_dir", default="data")
    flags.add_argument("--split", default="validation", choices=("validation", "test"))
    flags.add_argument("--clips", type=int, default=24, help="evenly spread over the split")
    flags.add_argument("--batch", type=int, default=16, help="windows at a time")
    flags.add_argument("--cutoff", type=float, default=1.5, help="low-pass of the joints, Hz")
    flags.add_argument("--errors", nargs="*", default=list(ERRORS))
    flags.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    flags.add_argument("--write", action="store_true")
    return flags


if __name__ == "__main__":
    run(parser().parse_args())
