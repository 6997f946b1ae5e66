"""Which errors a head finds with and without EMG: those of technique, and those only muscles show.

    python -m analyses.effort_errors --run runs/aqa_effort --write

The run is the sweep of configs/tables/aqa_effort.py. Numbers are mean average precisions over the
(key step, error) pairs of a kind, on test subjects; intervals are paired bootstraps of subjects.
Writes results/aqa_effort_errors.json and the table in docs/aqa.md.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from configs.tables.aqa_effort import ROWS
from video2emg.aqa import metrics, report
from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.labels import load_aqa_labels
from video2emg.aqa.predictions import AQALabels, AQAPredictions, pair_average_precision
from video2emg.core.files import write_json
from video2emg.eval.bootstrap import BootstrapScores, mean_over_seeds, recording_weights
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.parallel import mesh as mesh_lib
from video2emg.run.pages import ROOT, put
from video2emg.run.workdir import read_config

MOVEMENT, MUSCLES, CHANCE = "movement", "muscles", "chance (share of repetitions)"
# Rows that are subtracted from each other.
DIFFERENCES = (
    ("pose + EMG predicted", "pose"),
    ("pose + EMG of others", "pose"),
    ("pose + EMG predicted", "pose + EMG of others"),
    ("pose + EMG measured", "pose"),
    ("EMG measured", "pose"),
)
Pairs = Mapping[tuple[str, str, str], Any]  # by action, key step and error


def kind_means(graph: Graph, pairs: Pairs) -> dict[str, Any]:
    """Means over the errors that the movement shows, that only muscles show, and each of these."""
    kinds: dict[str, list[Any]] = {MOVEMENT: [], MUSCLES: []}
    for (_, _, error), value in pairs.items():
        kinds[graph.errors[error].shown_by].append(value)
        if graph.errors[error].shown_by == MUSCLES:
            kinds.setdefault(error, []).append(value)
    return {kind: metrics.nan_mean(values) for kind, values in kinds.items()}


def score(
    graph: Graph, labels: AQALabels, predictions: AQAPredictions, weight: np.ndarray
) -> BootstrapScores:
    """Average precision by kind of error."""
    return BootstrapScores(
        kind_means(graph, pair_average_precision(labels, predictions)),
        kind_means(graph, pair_average_precision(labels, predictions, weight)),
    )


def prevalence(graph: Graph, labels: AQALabels) -> dict[str, float]:
    """The average precision of guessing: how often errors of each kind are made."""
    true = labels.annotations
    made = {}
    for action, name in enumerate(labels.rubric.actions):
        rows = true.action == action
        for slot, pair in enumerate(labels.rubric.pairs[action]):
            share = float((true.probability[rows, slot] > 0).mean())
            made |= {(name, *pair): share} if share else {}
    return kind_means(graph, made)


def analyse(run: Path, samples: int = 1000) -> dict[str, Any]:
    """The results of a sweep."""
    members = {name: sorted(run.glob(f"{name}/*/aqa_predictions.npz")) for name in ROWS}
    config = read_config(members["pose"][0].parent)
    graph, mesh = load(config.graph), mesh_lib.make_mesh(**config.main.parallel)
    features = FrozenFeatures(config, Rubric.from_graph(graph), Path(config.video2emg), mesh)
    labels = load_aqa_labels(features, "test")
    weight = recording_weights(labels.subject, samples, 0)
    assert weight is not None
    rows = {
        name: mean_over_seeds(
            [score(graph, labels, report.load(at)["test"], weight) for at in files]
        )
        for name, files in members.items()
        if files
    }
    return {
        "simulated": True,
        "people": len(set(labels.subject)),
        "repetitions": len(labels.subject),
        "seeds": {name: len(files) for name, files in members.items()},
        "chance": prevalence(graph, labels),
        "rows": {name: row.with_intervals() for name, row in rows.items()},
        "differences": {
            f"{name} − {other}": rows[name].minus(rows[other], p_values=True)
            for name, other in DIFFERENCES
            if {name, other} <= set(rows)
        },
    }


def markdown(results: Mapping[str, Any]) -> str:
    """The table of docs/aqa.md."""
    kinds = list(results["chance"])
    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (1 + len(kinds)) + "|"]

    def line(name: str, parts: Mapping[str, Any], form: str) -> str:
        texts = []
        for kind in kinds:
            text = form.format(parts[kind])
            if ends := parts.get(f"{kind}_ci95"):
                text += " (" + " to ".join(form.format(end) for end in ends) + ")"
            texts.append(text)
        return f"| {name} | " + " | ".join(texts) + " |"

    lines += [line(name, row, "{:.3f}") for name, row in results["rows"].items()]
    lines.append(line(CHANCE, results["chance"], "{:.3f}"))
    lines += [line(name, gap, "{:+.3f}") for name, gap in results["differences"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="workdir of the sweep")
    parser.add_argument("--write", action="store_true", help="results/ and docs/")
    options = parser.parse_args()
    results = analyse(options.run)
    text = markdown(results)
    print(text)
    if options.write:
        write_json(ROOT / "results" / "aqa_effort_errors.json", results)
        put(ROOT / "docs" / "aqa.md", text, "aqa_effort_errors")


if __name__ == "__main__":
    main()
