"""Representations side by side: each is a few runs that differ in their seed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from video2emg.core.text_table import align, cell, number, underline, with_interval
from video2emg.eval.bootstrap import BootstrapScores, recording_weights
from video2emg.eval.comparison import compare_rows
from video2emg.representation.probes import ProbePredictions, ProbeTargets, score

Results = dict[str, Any]

# Probes with intervals, then what is retrieved among all and among the same action.
PROBES = {
    "action_accuracy": "action, accuracy",
    "load_skill": "load, skill",
    "error_map": "error, mAP",
    "score_srcc": "score, SRCC",
}
_RECALL_HEADINGS = [f"{way} R@{k}" for way in ("v→e", "e→v") for k in (1, 5, 10)]
_RECALLS = [f"{way}_r{k}" for way in ("video_to_emg", "emg_to_video") for k in (1, 5, 10)]


def compare(
    rows: Mapping[str, Sequence[ProbePredictions]],
    targets: ProbeTargets,
    train: ProbeTargets,
    baseline: str,
    samples: int = 1000,
    seed: int = 0,
) -> Results:
    """Scores representations on the same clips, see `eval.comparison.compare_rows`.

    Intervals come from draws of test people; the variation between training people is not in them.

    Args:
      rows: name → one `ProbePredictions` per seed.
      targets: of the test people.
      train: of the training people.
      baseline: the row that the others are subtracted from.
      samples: bootstrap samples.
      seed: of the bootstrap.

    Returns:
      As `compare_rows`, and the `order` of the rows, `clips` and `subjects`.
    """
    weight = recording_weights(targets.subject, samples, seed)

    def scores(probes: ProbePredictions) -> BootstrapScores:
        draws = None if weight is None else score(probes, targets, train, weight)
        return BootstrapScores(score(probes, targets, train), draws)

    runs = {name: [scores(probes) for probes in seeds] for name, seeds in rows.items()}
    return {
        "clips": len(targets.clip_id),
        "subjects": len(np.unique(targets.subject)),
        "order": list(rows),
    } | compare_rows(runs, baseline)


def format_table(results: Results) -> str:
    """The rows as text: probes with intervals over people, differences, retrieval."""
    facts, part = results["provenance"], results["test"]
    about = (
        facts["dataset"],
        "simulated EMG" if facts["simulated"] else "measured EMG",
        f"test: {part['clips']} clips of {part['subjects']} subjects",
        f"seeds {facts['seeds']}",
    )
    rows, minus = {name: part["rows"][name] for name in part["order"]}, part["minus_baseline"]
    probed = {n: row for n, row in rows.items() if any(_is_defined(row[m]) for m in PROBES)}
    retrieved = {n: row for n, row in rows.items() if _is_defined(row[_RECALLS[0]])}
    differences = {name: minus[name] for name in probed if name in minus}
    blocks = [
        " · ".join(about),
        _block("linear probes", PROBES.values(), _probe_cells(probed, "{:.3f}")),
        _block(f"minus {part['baseline']}", PROBES.values(), _probe_cells(differences, "{:+.3f}")),
    ]
    for title, suffix in (("retrieval among all", ""), ("within the action", "_same")):
        cells = {
            name: [cell(row[metric + suffix], "{:.3f}") for metric in _RECALLS]
            for name, row in retrieved.items()
        }
        blocks.append(_block(title, _RECALL_HEADINGS, cells))
    return "\n\n".join(block for block in blocks if block)


def _block(title: str, headings: Iterable[str], rows: Mapping[str, list[str]]) -> str:
    if not rows:
        return ""
    lines = [[title, *headings], *([name, *cells] for name, cells in rows.items())]
    return "\n".join(underline(align(lines)))


def _probe_cells(rows: Mapping[str, Mapping[str, Any]], form: str) -> dict[str, list[str]]:
    return {
        name: [with_interval(row[metric], row[f"{metric}_ci95"], form) for metric in PROBES]
        for name, row in rows.items()
    }


def _is_defined(value: float | None) -> bool:
    return math.isfinite(number(value))
