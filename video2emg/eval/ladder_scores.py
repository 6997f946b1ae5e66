"""Scores of the rows of a ladder, with intervals over people, and their table as text.

R repetitions, M channel names, S people.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from video2emg.core.text_table import (
    align,
    cell,
    cells,
    descending,
    titled,
    underline,
    with_interval,
)
from video2emg.data.delay import lines_about
from video2emg.eval import antagonists, metrics, scores
from video2emg.eval.antagonists import course_r
from video2emg.eval.bootstrap import BootstrapScores, interval, subject_weights
from video2emg.eval.ladder import ANGLE, CLEANED, LEVEL, MODEL, PHYSICS, RIDGE, ROWS, Rung
from video2emg.eval.person_calibration import CANDIDATES
from video2emg.eval.scores import Table
from video2emg.eval.series import ClipSeries

Results = dict[str, Any]

# name -> what it is; the order of tables.
METRICS = {
    "r": "mean over repetitions and channels of Pearson's r over time; no normalisation of the EMG",
    "r_lag": "k = 0: the same with the person's EMG earlier by the delay found in repetitions that "
    "may be revealed, which is the only thing that is known of the EMG; from k = 1 on as r: moved "
    "only if the rows were fitted to moved EMG",
    "skill": "1 - SSE / SSE(mean of the k repetitions of each channel); channels are weighted by "
    "the person's p99 over all repetitions, which no row knows",
    "rmse": "root mean squared error as a fraction of the person's p99 over all repetitions, which "
    "no row knows",
    "loudness": "mean over people, exercises and channels of Spearman's r between predicted and "
    "measured mean level of a repetition, with the EMG moved as in r_lag; no normalisation of the "
    "EMG",
    "prime_r_lag": "r_lag of the prime movers of each exercise, if the dataset names them",
    "prime_loudness": "loudness of the prime movers of each exercise, if the dataset names them",
    "specificity": scores.METRICS["specificity"],
    "symmetry_error": scores.METRICS["symmetry_error"],
}
_NEED_UNIT = ("skill", "rmse", "symmetry_error")  # skill needs the k repetitions, too
_OWN = ("r_lag", "loudness", "prime_r_lag", "prime_loudness")
OF_MUSCLES = ("r_lag", "skill", "loudness")  # what is scored of each muscle alone
_LEAST_REPETITIONS = 5  # of a person, for the loudness

_COLUMNS = (
    ("r", "r", "{:+.3f}"),
    ("r_lag", "r at lag", "{:+.3f}"),
    ("skill", "skill", "{:+.3f}"),
    ("rmse", "RMSE / p99", "{:.3f}"),
    ("loudness", "loudness", "{:+.2f}"),
    ("prime_r_lag", "prime movers: r at lag", "{:+.3f}"),
    ("prime_loudness", "prime movers: loudness", "{:+.2f}"),
    ("specificity", "specificity", "{:+.2f}"),
    ("symmetry_error", "L/R error", "{:.3f}"),
)


def evaluate(rung: Rung, samples: int = 1000, seed: int = 0) -> Results:
    """Scores all rows of a rung.

    Args:
      rung: the predictions.
      samples: bootstrap draws of people.
      seed: of the draws.

    Returns:
      `repetitions`, `people`; `rows[name]`: every metric of `METRICS` and its `_ci95`; in
      `by_muscle` those of `OF_MUSCLES` with intervals; in `by_subject` all without, and of the
      model those of each muscle; `model_minus[name]`: paired differences, also `by_muscle`; mean
      `weights` of the calibration; `antagonists`: of the model's row, with the EMG as in `r_lag`
      (`eval.antagonists`); with k > 0 `coverage` of the bands of the calibrated model.
    """
    scored, muscles, described = {}, {}, {}
    for name in rung.rows:
        has_unit = rung.k > 0 or (rung.has_unit and name in (MODEL, PHYSICS, CLEANED))
        row = _Row.of(rung, name, has_unit)
        scored[name] = row.bootstrap(samples, seed)
        muscles[name] = row.by_muscle(samples, seed)
        described[name] = scored[name].with_intervals() | {
            "by_muscle": {muscle: own.with_intervals() for muscle, own in muscles[name].items()},
            "by_subject": row.by_subject(with_muscles=name == MODEL),
        }
    results: Results = {
        "repetitions": len(rung.series),
        "people": len({series.subject for series in rung.series}),
        "rows": described,
        "model_minus": {
            name: scored[MODEL].minus(other)
            | {
                "by_muscle": {
                    muscle: muscles[MODEL][muscle].minus(own)
                    for muscle, own in muscles[name].items()
                }
            }
            for name, other in scored.items()
            if name != MODEL
        },
        "weights": {
            name: float(np.mean([weights.get(name, 0.0) for weights in rung.weights]))
            for name in CANDIDATES
            if rung.weights
        },
    }
    results["antagonists"] = antagonists.compare(rung.late, rung.rows[MODEL], samples, seed)
    if rung.bands:
        results["coverage"] = coverage(rung.series, rung.rows[MODEL], rung.bands, samples, seed)
    return results


@dataclasses.dataclass(frozen=True)
class _AtLag:
    """What is measured with the EMG of each person earlier by its delay.

    Attributes:
      r: [R, M] Pearson's r.
      measured, predicted: [R, M] mean levels; NaN where nothing was measured.
      prime: [R, M] whether the channel is a prime mover of the exercise.
    """

    r: Float[np.ndarray, "R M"]
    measured: Float[np.ndarray, "R M"]
    predicted: Float[np.ndarray, "R M"]
    prime: Bool[np.ndarray, "R M"]

    @classmethod
    def of(cls, rung: Rung, predictions: Sequence[np.ndarray], channels: Sequence[str]) -> "_AtLag":
        shape = (len(predictions), len(channels))
        r, measured, predicted = (np.full(shape, np.nan) for _ in range(3))
        prime = np.zeros(shape, bool)
        for row, (late, prediction) in enumerate(zip(rung.late, predictions, strict=True)):
            columns = [channels.index(channel) for channel in late.muscles]
            r[row, columns] = course_r(late, prediction)
            count = late.mask.sum(0)
            for levels, values in ((measured, late.target), (predicted, prediction)):
                total = np.where(late.mask, values, 0.0).sum(0)
                levels[row, columns] = metrics.divide(total, count)
            prime[row, columns] = rung.prime[row]
        return cls(r, measured, predicted, prime)

    def select(self, clips: Bool[np.ndarray, " R"], channels: Bool[np.ndarray, " M"]) -> "_AtLag":
        part = np.ix_(clips, channels)
        return _AtLag(self.r[part], self.measured[part], self.predicted[part], self.prime[part])


class _Row:
    """One row: what `scores` makes of it, and what is ours."""

    def __init__(self, table: Table, at_lag: _AtLag, sized: Sequence[str]) -> None:
        """`sized` names the metrics of `_NEED_UNIT` that have a meaning."""
        self._table, self._at_lag, self._sized = table, at_lag, sized

    @classmethod
    def of(cls, rung: Rung, name: str, has_unit: bool) -> "_Row":
        predictions = rung.rows[name]
        reference = rung.reference or [np.zeros_like(p) for p in predictions]
        table = scores.tabulate(rung.series, predictions, reference)
        at_lag = _AtLag.of(rung, predictions, list(table.channels))
        return cls(table, at_lag, _NEED_UNIT[not rung.k :] if has_unit else ())

    def _select(self, clips: Bool[np.ndarray, " R"], channels: Bool[np.ndarray, " M"]) -> "_Row":
        part = self._table.select(clips, channels)
        return _Row(part, self._at_lag.select(clips, channels), self._sized)

    def by_muscle(self, samples: int, seed: int) -> dict[str, BootstrapScores]:
        """The metrics of `OF_MUSCLES`."""
        every = np.ones(len(self._table.clip_id), bool)
        scored = {}
        for muscle in np.unique(self._table.muscles):
            own = self._select(every, self._table.muscles == muscle).bootstrap(samples, seed)
            draws = own.draws and {name: own.draws[name] for name in OF_MUSCLES}
            values = {name: own.values[name] for name in OF_MUSCLES}
            scored[str(muscle)] = BootstrapScores(values, draws)
        return scored

    def by_subject(self, with_muscles: bool) -> dict[str, dict[str, Any]]:
        """The metrics of each person, and those of `OF_MUSCLES` of each muscle of the person."""
        every = np.ones(len(self._table.channels), bool)
        scored: dict[str, dict[str, Any]] = {}
        for subject in np.unique(self._table.subject):
            own = self._select(self._table.subject == subject, every)
            scored[str(subject)] = dict(own.bootstrap(0, 0).values)
            if with_muscles:
                muscles = own.by_muscle(0, 0)
                scored[str(subject)]["by_muscle"] = {m: dict(x.values) for m, x in muscles.items()}
        return scored

    def bootstrap(self, samples: int, seed: int) -> BootstrapScores:
        """All metrics; without draws if no samples are wanted or there is one person."""
        base = scores.score(self._table)
        draws = None
        people = np.unique(self._table.subject)
        weights = np.ones((1, len(people)))
        if samples and len(people) > 1:
            draws = self._known(scores.resample(self._table, samples, seed))
            weights = np.concatenate([weights, subject_weights(len(people), samples, seed)])
        values = self._known(base)
        for name, (total, count) in zip(_OWN, self._own_sums(), strict=True):
            with np.errstate(invalid="ignore"):
                means = metrics.divide(weights @ total, weights @ count)
            values[name] = float(means[0])
            if draws is not None:
                draws[name] = means[1:]
        order = list(METRICS)
        return BootstrapScores(
            {name: float(values[name]) for name in order},
            None if draws is None else {name: draws[name] for name in order},
        )

    def _known(self, scored: Mapping[str, Any]) -> dict[str, Any]:
        """Scores of `scores` under our names; NaN where the size of a prediction is unknown."""
        values = {"r": scored["pcc"], "specificity": scored["specificity"]}
        for name in _NEED_UNIT:
            unknown = np.full_like(scored[name], np.nan)
            values[name] = scored[name] if name in self._sized else unknown
        return values

    def _own_sums(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """[S] sums over repetitions (or exercises) and channels, and their number, of `_OWN`."""
        for which in (np.ones_like(self._at_lag.prime), self._at_lag.prime):
            r = np.where(which, self._at_lag.r, np.nan)
            yield self._by_person(np.nansum(r, 1), np.isfinite(r).sum(1))
            yield self._loudness_sums(which)

    def _loudness_sums(self, which: Bool[np.ndarray, "R M"]) -> tuple[np.ndarray, np.ndarray]:
        """[S] sums over exercises and channels of Spearman's r, and their number."""
        table = self._table
        measured = np.where(which, self._at_lag.measured, np.nan)
        owners = np.char.add(np.char.add(table.subject, "/"), table.action)
        total, count = (np.zeros(len(owners)) for _ in range(2))
        for owner in np.unique(owners):
            rows = np.flatnonzero(owners == owner)
            ranks = spearman(measured[rows], self._at_lag.predicted[rows])
            total[rows[0]], count[rows[0]] = np.nansum(ranks), np.isfinite(ranks).sum()
        return self._by_person(total, count)

    def _by_person(self, total: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        people, owner = np.unique(self._table.subject, return_inverse=True)
        return np.bincount(owner, total, len(people)), np.bincount(owner, count, len(people))


def spearman(
    target: Float[np.ndarray, "R M"], prediction: Float[np.ndarray, "R M"]
) -> Float[np.ndarray, " M"]:
    """Rank correlation over repetitions; 0 if the prediction is constant, NaN if too few."""
    correlation = np.full(target.shape[1], np.nan)
    for c in range(target.shape[1]):
        known = np.isfinite(target[:, c]) & np.isfinite(prediction[:, c])
        y, p = target[known, c], prediction[known, c]
        if len(y) >= _LEAST_REPETITIONS and np.ptp(y) > 0:
            flat = np.ptp(p) <= metrics.FLAT * np.ptp(y) and np.ptp(p) <= 1e-6 * np.abs(p).max()
            flat |= not np.ptp(p)
            correlation[c] = 0.0 if flat else stats.spearmanr(y, p).statistic
    return correlation


def coverage(
    series: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    bands: Sequence[np.ndarray],
    samples: int,
    seed: int,
) -> Results:
    """Share of the measured samples within `LEVEL` bands, and the mean width of the bands.

    Returns:
      `level`, `coverage`, `coverage_ci95` over people, `width` as a fraction of the person's p99.
    """
    hits: collections.Counter[str] = collections.Counter()
    count: collections.Counter[str] = collections.Counter()
    width = 0.0
    for one, predicted, half in zip(series, predictions, bands, strict=True):
        known = one.mask & np.isfinite(half)
        hits[one.subject] += int((known & (np.abs(one.target - predicted) <= half)).sum())
        count[one.subject] += int(known.sum())
        # Activity is not negative, so the part of a band below zero is none.
        low = np.maximum(predicted - half, 0.0)
        width += float(np.where(known, predicted + half - low, 0.0).sum())
    people = sorted(count)
    own, total = (np.array([c[person] for person in people], float) for c in (hits, count))
    drawn = None
    if len(people) > 1:
        weights = subject_weights(len(people), samples, seed)
        drawn = metrics.divide(weights @ own, weights @ total)
    return {
        "level": LEVEL,
        "coverage": float(metrics.divide(own.sum(), total.sum())),
        "coverage_ci95": interval(drawn),
        "width": float(metrics.divide(width, total.sum())),
    }


def ordered(part: Results) -> list[tuple[str, str, Results]]:
    """All rows of a results file as (k, name, row), by k and in the order of `ROWS`."""
    rungs = sorted(part["rungs"].items(), key=lambda item: int(item[0]))
    return [
        (k, name, rung["rows"][name]) for k, rung in rungs for name in ROWS if name in rung["rows"]
    ]


def format_table(results: Results) -> str:
    """All rungs as one table, then of each the differences to the model, bands, muscles; delays."""
    facts, part = results["provenance"], results["test"]
    about = (
        facts["dataset"],
        "simulated EMG" if facts["simulated"] else "measured EMG",
        f"run: {facts['run']}",
        "EMG moved by each person's delay" if facts["apply_lag"] else "EMG as recorded",
    )
    rows = [["k", "", *(heading for _, heading, _ in _COLUMNS)]]
    for k, name, row in ordered(part):
        rows.append([k, name, *cells(row, _COLUMNS, {"r": "{:+.2f}", "skill": "{:+.2f}"})])
    lines = [*titled(about, rows, left=2), ""]
    for k in sorted(part["rungs"], key=int):
        lines += [*_about_rung(k, part["rungs"][k]), *_about_muscles(k, part["rungs"][k]), ""]
    return "\n".join([*lines, "", *lines_about(part["delays"])])


def _about_muscles(k: str, rung: Results) -> list[str]:
    """The metrics of each muscle, best of the model first, and its difference to a simple row."""
    names = [name for name in ROWS if name in rung["rows"]]
    values = {name: rung["rows"][name]["by_muscle"] for name in names}
    rival, metric = (ANGLE, "r_lag") if k == "0" else (RIDGE, "skill")
    heading = "r at lag, loudness" if k == "0" else "r at lag (skill), loudness"
    gaps = rung["model_minus"].get(rival, {}).get("by_muscle", {})
    table = [[f"k = {k}: {heading}", *names]]
    if gaps:
        table[0].append(f"model minus {rival}: {'r at lag' if k == '0' else 'skill'}")
    for muscle in sorted(values[MODEL], key=lambda m: descending(values[MODEL][m]["r_lag"])):
        row = [muscle, *(_of_muscle(values[name][muscle], k) for name in names)]
        if gaps:
            gap = gaps[muscle]
            row.append(with_interval(gap[metric], gap[f"{metric}_ci95"], "{:+.2f}"))
        table.append(row)
    return ["", *underline(align(table))]


def _of_muscle(scored: Results, k: str) -> str:
    r, skill, loudness = (cell(scored[name], "{:+.2f}") for name in OF_MUSCLES)
    return f"{r}, {loudness}" if k == "0" else f"{r} ({skill}), {loudness}"


def _about_rung(k: str, rung: Results) -> list[str]:
    words = f"k = {k}: {rung['repetitions']} repetitions of {rung['people']} people"
    if "coverage" in rung:
        bands = rung["coverage"]
        share = with_interval(bands["coverage"], bands["coverage_ci95"], "{:.2f}")
        width = cell(bands["width"], "{:.2f}")
        words += f"; {100 * bands['level']:.0f} % bands cover {share}, width {width}"
        weights = ", ".join(f"{name} {rung['weights'][name]:.2f}" for name in CANDIDATES)
        words += f"; weights of the calibration: {weights}"
    # Without the delay, late EMG would hide what a prediction is worth.
    metric, words_of = ("r_lag", "r at lag") if k == "0" else ("skill", "skill")
    gaps = [
        f"  model minus {name}: {words_of} "
        f"{with_interval(gap[metric], gap[f'{metric}_ci95'], '{:+.3f}')}"
        for name in ROWS
        if (gap := rung["model_minus"].get(name))
    ]
    pairs = [
        f"  {muscle}, EMG at the lag: r {pair['own']:+.2f} with its own prediction, "
        f"{pair['others']:+.2f} with that of {pair['antagonist']}, difference "
        f"{with_interval(pair['difference'], pair['difference_ci95'], '{:+.2f}')}"
        for muscle, pair in rung.get("antagonists", {}).items()
    ]
    return [words, *gaps, *pairs]
