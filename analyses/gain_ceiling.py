r"""The highest skill without knowledge of electrode gains, for each EMG normalisation.

    python launch.py --config configs/v2emg.py:six --config.data.normalisation=train \
      --workdir runs/train
    python -m analyses.gain_ceiling --name gymsim/default --run train=runs/train …

An ideal predictor knows the envelope of every test clip in % MVC exactly, but not the gain of the
electrodes. In another unit it multiplies the envelope by the usual gain of the muscle in training.
Its skill bounds that of a model that sees neither EMG nor MVC of the person. (The unit `subject`
also depends on the effort of the person, which a model may see.) The table also shows a finished
run in the same unit. Writes results/gain_ceiling.json and the table in docs/results.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from configs import v2emg
from video2emg.core.emg import KINDS
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import split_channel
from video2emg.data.store import open_dataset
from video2emg.eval import baselines, evaluate, results, scores
from video2emg.run import setup
from video2emg.run.pages import ROOT, put


def ceiling(dataset, config, kind: str, mvc: dict) -> dict:
    """Scores of the ideal predictor in the unit `kind`."""
    config.data.normalisation = kind
    splits, _ = setup.load_splits(config, dataset)
    series = {split: evaluate.series_of(splits[split]) for split in ("train", "test")}
    pairs = defaultdict(list)
    for clip, known in zip(series["train"], mvc["train"], strict=True):
        for c, name in enumerate(clip.muscles):
            own = clip.mask[:, c]
            pairs[split_channel(name)[1]].append((known.target[own, c], clip.target[own, c]))
    gain = {}
    for muscle, of in pairs.items():
        x, y = (np.concatenate(part) for part in zip(*of, strict=True))
        gain[muscle] = float(x @ y / (x @ x))
    guess = [
        known.target * np.array([gain[split_channel(name)[1]] for name in known.muscles], "f4")
        for known in mvc["test"]
    ]
    template = baselines.predict_baselines(series["train"], series["test"], ["template"])
    table = scores.tabulate(series["test"], guess, template["template"])
    return scores.bootstrap_scores(table).with_intervals()


def reached(runs: Sequence[str], name: str) -> dict[str, dict]:
    """Scores of the models of finished runs, by their unit; `runs` are unit=workdir."""
    found = {}
    for kind, _, workdir in (run.partition("=") for run in runs):
        read = results.read_results(Path(workdir) / "results.json")
        facts = read["provenance"]
        if (facts["dataset"], facts["normalisation"]) != (name, kind):
            raise UserError(
                f"--run {kind}={workdir}: is of {facts['dataset']} in units of "
                f"{facts['normalisation']!r}, not of {name} in {kind!r}"
            )
        found[kind] = {
            key: value
            for key, value in read["test"]["model"].items()
            if key.removesuffix("_ci95") in scores.METRICS
        }
    return found


def cells(row: dict | None) -> str:
    """Skill, its interval and the amplitude correlation, for the table."""
    if row is None:
        return "– | – | –"
    low, high = row["skill_ci95"]
    return f"{row['skill']:.3f} | {low:.3f} to {high:.3f} | {row['amplitude_r']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="gymsim/gym")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--run", action="append", default=[], help="unit=workdir, finished")
    args = parser.parse_args()
    models = reached(args.run, args.name)
    config = v2emg.get_config()
    config.data.update(name=args.name, dir=args.data_dir)
    dataset = open_dataset(args.name, args.data_dir)
    splits, _ = setup.load_splits(config, dataset)
    mvc = {split: evaluate.series_of(splits[split]) for split in ("train", "test")}
    rows = {kind: ceiling(dataset, config, kind, mvc) for kind in KINDS}
    facts = dict(dataset=args.name, simulated=dataset.simulated, rows=rows, models=models)
    results.write_results(ROOT / "results/gain_ceiling.json", facts)
    head = " | ".join(
        f"{who}: skill | 95 % | amplitude r" for who in ("perfect envelopes, unknown gain", "model")
    )
    lines = [f"| normalisation | {head} |", "|---|---|---|---|---|---|---|"]
    for kind in rows:
        lines.append(f"| `{kind}` | {cells(rows[kind])} | {cells(models.get(kind))} |")
    put(ROOT / "docs/results.md", "\n".join(lines), "gain_ceiling")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
