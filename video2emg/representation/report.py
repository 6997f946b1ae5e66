"""Representations side by side: each is a few runs that differ in their seed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from video2emg.eval import scores
from video2emg.representation.probes import METRICS, Answers, Clips, score

Results = dict[str, Any]

# Probes with intervals, then what is retrieved among all and among the same action.
PROBES = {
    "action_accuracy": "action, accuracy",
    "load_skill": "load, skill",
    "error_map": "error, mAP",
    "score_srcc": "score, SRCC",
}
_HEADS = [f"{way} R@{k}" for way in ("v→e", "e→v") for k in (1, 5, 10)]
_RECALLS = [f"{way}_r{k}" for way in ("video_to_emg", "emg_to_video") for k in (1, 5, 10)]


def compare(
    rows: Mapping[str, Sequence[Answers]],
    clips: Clips,
    train: Clips,
    baseline: str,
    samples: int = 1000,
    seed: int = 0,
) -> Results:
    """Scores representations on the same clips.

    A metric of a row is its mean over seeds; its interval comes from draws of test people, the same
    for every row, in each of which it is again averaged over seeds. What varies between training
    people is not in it.

    Args:
      rows: name → one `Answers` per seed.
      clips: of the test people.
      train: of the training people.
      baseline: the row that the others are subtracted from.
      samples: bootstrap samples.
      seed: of the bootstrap.

    Returns:
      `rows[name]`: every metric with `_ci95` and `_per_seed`; `baseline`; `minus_baseline[name]`:
      differences with `_ci95`; `order` of the rows; `clips`, `subjects`.
    """
    subjects, owner = np.unique(clips.subject, return_inverse=True)
    weight = scores.subject_weights(len(subjects), samples, seed)[:, owner]
    points: dict[str, dict[str, float]] = {}
    draws: dict[str, dict[str, np.ndarray]] = {}
    found: Results = {"clips": len(clips.clip_id), "subjects": len(subjects), "order": list(rows)}
    found |= {"rows": {}, "baseline": baseline, "minus_baseline": {}}
    for name, seeds in rows.items():
        each = [score(of, clips, train) for of in seeds]
        drawn = [score(of, clips, train, weight) for of in seeds]
        points[name] = {m: float(np.mean([one[m] for one in each])) for m in METRICS}
        draws[name] = {m: np.mean([one[m] for one in drawn], axis=0) for m in METRICS}
        row: Results = dict(points[name])
        for metric in METRICS:
            row[f"{metric}_ci95"] = _interval(draws[name][metric], len(subjects))
            row[f"{metric}_per_seed"] = [one[metric] for one in each]
        found["rows"][name] = row
    for name in rows:
        if name != baseline:
            difference: Results = {}
            for metric in METRICS:
                difference[metric] = points[name][metric] - points[baseline][metric]
                both = draws[name][metric] - draws[baseline][metric]
                difference[f"{metric}_ci95"] = _interval(both, len(subjects))
            found["minus_baseline"][name] = difference
    return found


def _interval(draws: np.ndarray, subjects: int) -> list[float]:
    return scores.interval(draws) if subjects > 1 else [math.nan] * 2


def format_table(results: Results) -> str:
    """The rows as text: probes with intervals over people, differences, retrieval."""
    facts, part = results["provenance"], results["test"]
    about = " · ".join([
        facts["dataset"],
        "simulated EMG" if facts["simulated"] else "measured EMG",
        f"test: {part['clips']} clips of {part['subjects']} subjects",
        f"seeds {facts['seeds']}",
    ])  # fmt: skip
    rows, minus = {n: part["rows"][n] for n in part["order"]}, part["minus_baseline"]
    probed = {n: row for n, row in rows.items() if any(_known(row[m]) for m in PROBES)}
    found = {n: row for n, row in rows.items() if _known(row[_RECALLS[0]])}
    blocks = [about, _block("linear probes", list(PROBES.values()), {
        n: [_with_interval(row, m, "{:.3f}") for m in PROBES] for n, row in probed.items()
    })]  # fmt: skip
    blocks.append(_block(f"minus {part['baseline']}", list(PROBES.values()), {
        n: [_with_interval(minus[n], m, "{:+.3f}") for m in PROBES] for n in probed if n in minus
    }))  # fmt: skip
    for title, suffix in (("retrieval among all", ""), ("within the action", "_same")):
        blocks.append(_block(title, _HEADS, {
            n: [_text(row[m + suffix], "{:.3f}") for m in _RECALLS] for n, row in found.items()
        }))  # fmt: skip
    return "\n\n".join(block for block in blocks if block)


def _block(title: str, heads: list[str], rows: Mapping[str, list[str]]) -> str:
    if not rows:
        return ""
    lines = [[title, *heads], *([name, *cells] for name, cells in rows.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def _with_interval(row: Mapping[str, Any], metric: str, form: str) -> str:
    if not _known(row[metric]):
        return "–"
    low, high = (_text(end, form) for end in row[f"{metric}_ci95"])
    return f"{_text(row[metric], form)} ({low} to {high})"


def _text(value: float | None, form: str) -> str:
    return form.format(value) if _known(value) else "–"


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
