"""Scores of one set of predictions, whole or by group, with bootstrap draws over subjects.

Every score is a function of sums over clips. The sums of each subject are made once; a bootstrap
draw is then a vector of subject weights, and the samples are not needed again. K clips, M channel
names, S subjects, G (action, channel) pairs, R weightings.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.eval import metrics
from video2emg.eval.bootstrap import BootstrapScores, subject_weights
from video2emg.eval.metrics import Moments, divide
from video2emg.eval.series import ClipSeries, check_predictions

Sums = dict[str, np.ndarray]

# name -> what it is; the order of tables. Each is defined in `metrics` or `_scores`.
METRICS = {
    "skill": "1 - SSE / SSE(action template), pooled over clips and channels",
    "pcc": "mean over clips and channels of Pearson's r over time, where the measured peak is at "
    "least 0.05; 0 for a flat prediction",
    "specificity": "mean over clips and channels i of r(prediction i, measurement i) - "
    "r(prediction j, measurement i), over windows and channels j in which the measurements differ "
    "(r < 0.5, both peaks at least 0.05); 0 for one curve for all",
    "amplitude_r": "correlation of per-clip mean envelopes within (action, channel)",
    "rmse": "root mean squared error over all samples, in units of the reference",
    "rmse_source": "RMSE over all samples in the unit of the source, where its EMG came as an "
    "envelope; the RMSE of Muscles in Action",
    "rmse_macro": "mean over clips of the clip's RMSE",
    "mae": "mean absolute error over all samples",
    "nrmse": "mean over channels of RMSE / range of the channel's measured envelopes",
    "r2": "1 - SSE / Σ(y - mean of the channel)²; knowing the exercise alone makes it high",
    "vaf": "1 - SSE / Σy², uncentred",
    "bias": "mean of prediction minus measurement",
    "onset_ms": "mean |error| of the onset in a repetition, ms, where both have one",
    "onset_missed": "share of measured onsets to which the prediction has none",
    "peak_ratio": "mean of predicted peak / measured peak",
    "symmetry_error": "mean |error| of the left share L / (L + R) of a muscle's amplitude",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """Per-clip results of one predictor; NaN or a count of 0 where a clip lacks a channel.

    Attributes:
      clip_id, subject, action: [K] text.
      channels: M names.
      moments: [K, M].
      template_sq_error: [K, M], Σe² of the action template.
      source_sq_error: [K, M], Σe² in the unit of the source; NaN where it is not wanted.
      specificity: [K, M], see `metrics.specificity`.
      amplitude_target, amplitude_prediction: [K, M], mean envelope of the clip.
      onset_error: [K, M], mean |prediction - measurement| over repetitions, ms.
      onset_missed: [K, M], share of the measured onsets to which the prediction has none.
      peak_ratio: [K, M].
      symmetry_error: [K, M], the same at both sides of a pair.
    """

    clip_id: np.ndarray
    subject: np.ndarray
    action: np.ndarray
    channels: tuple[str, ...]
    moments: Moments
    template_sq_error: Float[np.ndarray, "K M"]
    source_sq_error: Float[np.ndarray, "K M"]
    specificity: Float[np.ndarray, "K M"]
    amplitude_target: Float[np.ndarray, "K M"]
    amplitude_prediction: Float[np.ndarray, "K M"]
    onset_error: Float[np.ndarray, "K M"]
    onset_missed: Float[np.ndarray, "K M"]
    peak_ratio: Float[np.ndarray, "K M"]
    symmetry_error: Float[np.ndarray, "K M"]

    @property
    def muscles(self) -> np.ndarray:
        """[M] the channels' muscles, without side."""
        return np.array([vocabulary.split_channel(name)[1] for name in self.channels])

    def select(
        self,
        clips: Bool[np.ndarray, " K"] | None = None,
        channels: Bool[np.ndarray, " M"] | None = None,
    ) -> "Table":
        """The part with these clips and channels."""
        rows = np.arange(len(self.clip_id)) if clips is None else np.flatnonzero(clips)
        columns = np.arange(len(self.channels)) if channels is None else np.flatnonzero(channels)
        part = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "channels":
                part[field.name] = tuple(value[c] for c in columns)
            elif field.name in ("clip_id", "subject", "action"):
                part[field.name] = value[rows]
            else:
                part[field.name] = value[np.ix_(rows, columns)]
        return Table(**part)


def join(parts: Sequence[Table]) -> Table:
    """One table of the clips of several, in the order of their ids.

    Raises:
      UserError: a clip is in two of them.
    """
    channels = tuple(sorted({name for part in parts for name in part.channels}))
    clips = np.concatenate([part.clip_id for part in parts])
    if len(np.unique(clips)) < len(clips):
        raise UserError("cannot join tables: a clip is in two of them")
    order = np.argsort(clips)

    def concatenate(values: Sequence[np.ndarray], fill: np.ndarray | float) -> np.ndarray:
        joined = np.empty((len(clips), len(channels)))
        joined[:] = fill
        first = 0
        for part, value in zip(parts, values, strict=True):
            columns = [channels.index(name) for name in part.channels]
            joined[first : first + len(value), columns] = value
            first += len(value)
        return joined[order]

    empty = Moments.empty((len(clips), len(channels)))
    moments = {
        f.name: concatenate(
            [getattr(part.moments, f.name) for part in parts], getattr(empty, f.name)
        )
        for f in dataclasses.fields(Moments)
    }
    fields: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(Table):
        values = [getattr(part, field.name) for part in parts]
        if field.name in ("clip_id", "subject", "action"):
            fields[field.name] = np.concatenate(values)[order]
        elif field.name not in ("channels", "moments"):
            fill = 0.0 if field.name == "template_sq_error" else np.nan
            fields[field.name] = concatenate(values, fill)
    return Table(channels=channels, moments=Moments(**moments), **fields)


def tabulate(
    series: Sequence[ClipSeries],
    predictions: Sequence[np.ndarray],
    template_predictions: Sequence[np.ndarray],
) -> Table:
    """Per-clip results of one set of predictions.

    Args:
      series: K clips, at least one.
      predictions: K arrays [N, C].
      template_predictions: K arrays [N, C] of the action template, for the skill.

    Raises:
      UserError: no clips, or a prediction is missing, of the wrong shape or not finite.
    """
    if not series:
        raise UserError("nothing to evaluate: the set has no clips")
    check_predictions(series, predictions)
    check_predictions(series, template_predictions)
    channels = tuple(sorted({name for clip in series for name in clip.muscles}))
    column = {name: i for i, name in enumerate(channels)}
    shape = (len(series), len(channels))
    names = [f.name for f in dataclasses.fields(Moments)]
    moments = {name: getattr(Moments.empty(shape), name) for name in names}
    per_clip = {
        f.name: np.full(shape, np.nan)
        for f in dataclasses.fields(Table)
        if f.name not in ("clip_id", "subject", "action", "channels", "moments")
    }
    per_clip["template_sq_error"][:] = 0
    triples = zip(series, predictions, template_predictions, strict=True)
    for row, (clip, prediction, template) in enumerate(triples):
        columns = [column[name] for name in clip.muscles]
        clip_moments = Moments.of(clip.target, prediction, clip.mask)
        for name in names:
            moments[name][row, columns] = getattr(clip_moments, name)
        template_error = np.where(clip.mask, template.astype(np.float64) - clip.target, 0)
        per_clip["template_sq_error"][row, columns] = (template_error**2).sum(0)
        for name, value in _clip_scores(clip, prediction).items():
            per_clip[name][row, columns] = value
    return Table(
        clip_id=np.array([clip.clip_id for clip in series]),
        subject=np.array([clip.subject for clip in series]),
        action=np.array([clip.action for clip in series]),
        channels=channels,
        moments=Moments(**moments),
        **per_clip,
    )


def _clip_scores(clip: ClipSeries, prediction: np.ndarray) -> dict[str, np.ndarray]:
    """Per-channel scores that are not functions of the moments; names as in `Table`."""
    amplitude_target = metrics.amplitude(clip.target, clip.mask)
    amplitude_prediction = metrics.amplitude(prediction, clip.mask)
    onset_error, onset_missed = _onset_errors(clip, prediction)
    length = len(clip.time)
    if np.isfinite(clip.window) and length > 1:
        length = round(clip.window * (length - 1) / float(clip.time[-1] - clip.time[0]))
    scale = np.full(len(clip.muscles), np.nan) if clip.scale is None else clip.scale
    error = np.where(clip.mask, prediction.astype(np.float64) - clip.target, 0)
    return {
        "specificity": metrics.specificity(clip.target, prediction, clip.mask, length),
        "source_sq_error": ((scale * error) ** 2).sum(0),
        "amplitude_target": amplitude_target,
        "amplitude_prediction": amplitude_prediction,
        "onset_error": 1e3 * onset_error,
        "onset_missed": onset_missed,
        "peak_ratio": metrics.peak_ratio(clip.target, prediction, clip.mask),
        "symmetry_error": _symmetry_error(clip, amplitude_target, amplitude_prediction),
    }


def _onset_errors(
    clip: ClipSeries, prediction: np.ndarray
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Mean |error| of the onset over repetitions, s, and the share of onsets that are missed."""
    error, both, onsets = (np.zeros(len(clip.muscles)) for _ in range(3))
    for rows in clip.repetitions:
        time, mask = clip.time[rows], clip.mask[rows]
        true = metrics.onset(time, clip.target[rows], mask)
        predicted = metrics.onset(time, prediction[rows], mask)
        off = np.abs(predicted - true)
        error += np.nan_to_num(off)
        both += np.isfinite(off)
        onsets += np.isfinite(true)
    return divide(error, both), divide(onsets - both, onsets)


def _symmetry_error(
    clip: ClipSeries, true: Float[np.ndarray, " C"], predicted: Float[np.ndarray, " C"]
) -> Float[np.ndarray, " C"]:
    """|Error of L / (L + R)| per channel; NaN without the other side or where both are quiet."""
    index = {name: i for i, name in enumerate(clip.muscles)}
    error = np.full(len(clip.muscles), np.nan)
    for name, left in index.items():
        right = index.get(vocabulary.mirror(name))
        if not name.startswith("left_") or right is None:
            continue
        if true[left] + true[right] >= metrics.QUIET:
            share = metrics.left_share(predicted[left], predicted[right])
            error[[left, right]] = np.abs(share - metrics.left_share(true[left], true[right]))
    return error


def _subject_sums(table: Table) -> Sums:
    """All sums that the scores need, per subject: [S, …] each, subjects sorted."""
    subjects, owner = np.unique(table.subject, return_inverse=True)
    member = (owner == np.arange(len(subjects))[:, None]).astype(np.float64)
    m = table.moments
    # Relative to the channel's mean over the set: sums of squares stay exact.
    centre = m.reduce(0).mean_target
    d = m.mean_target - centre
    terms = {
        "count": m.count,
        "y1": m.count * d,
        "y2": m.m2_target + m.count * d**2,
        "y2_raw": m.m2_target + m.count * m.mean_target**2,
        "abs_error": m.abs_error,
        "sq_error": m.sq_error,
        "error": m.count * (m.mean_prediction - m.mean_target),
        "reference": table.template_sq_error,
    }
    # A flat prediction counts as 0 and is not left out (see `METRICS`).
    pcc = np.where(m.m2_prediction > 0, metrics.pcc(m), 0.0)
    has_course = (m.m2_target > 0) & (m.high >= metrics.QUIET)
    means = {
        "pcc": np.where(has_course, pcc, np.nan),
        "specificity": table.specificity,
        "onset_ms": table.onset_error,
        "onset_missed": table.onset_missed,
        "peak_ratio": table.peak_ratio,
        "symmetry_error": table.symmetry_error,
        "rmse_macro": np.sqrt(divide(m.sq_error.sum(1), m.count.sum(1)))[:, None],
    }
    for name, value in means.items():
        terms[f"{name}_sum"] = np.nan_to_num(value).sum(1)
        terms[f"{name}_n"] = np.isfinite(value).sum(1).astype(np.float64)
    known = np.isfinite(table.source_sq_error)
    terms["source"] = np.where(known, table.source_sq_error, 0).sum(1)
    terms["source_n"] = np.where(known, m.count, 0).sum(1)
    terms |= _amplitude_terms(table)
    return {name: member @ value for name, value in terms.items()}


def _amplitude_terms(table: Table) -> Sums:
    """[K, G] terms of the sums of `metrics.within_group_r`, as `amplitude_*`."""
    actions, group = np.unique(table.action, return_inverse=True)
    chosen = (group[:, None] == np.arange(len(actions)))[:, :, None]
    chosen = chosen & np.isfinite(table.amplitude_target)[:, None, :]
    y, p = (
        np.where(chosen, value[:, None, :], 0)
        for value in (table.amplitude_target, table.amplitude_prediction)
    )
    count = chosen.sum(0)
    # Relative to the group's mean over the set, for exact sums of squares.
    y = np.where(chosen, y - divide(y.sum(0), count, 0.0), 0)
    p = np.where(chosen, p - divide(p.sum(0), count, 0.0), 0)
    terms = {"count": chosen, "y": y, "p": p, "yy": y * y, "pp": p * p, "yp": y * p}
    flat = (len(table.clip_id), -1)
    return {f"amplitude_{k}": v.reshape(flat).astype(np.float64) for k, v in terms.items()}


def _scores(sums: Sums, target_range: Float[np.ndarray, " M"]) -> dict[str, np.ndarray]:
    """[R] per metric, of [R, …] weighted sums and the range of each channel's target."""
    total = {k: sums[k].sum(1) for k in ("count", "abs_error", "sq_error", "error", "reference")}
    variation = (sums["y2"] - divide(sums["y1"] ** 2, sums["count"], 0.0)).sum(1)
    per_channel = divide(np.sqrt(divide(sums["sq_error"], sums["count"])), target_range)
    measured = np.isfinite(per_channel)
    amplitude = (sums[f"amplitude_{k}"] for k in ("count", "y", "p", "yy", "pp", "yp"))
    values = {
        "skill": metrics.skill(total["sq_error"], total["reference"]),
        "amplitude_r": metrics.within_group_r(*amplitude),
        "rmse": np.sqrt(divide(total["sq_error"], total["count"])),
        "rmse_source": np.sqrt(divide(sums["source"], sums["source_n"])),
        "mae": divide(total["abs_error"], total["count"]),
        "nrmse": divide(np.where(measured, per_channel, 0).sum(1), measured.sum(1)),
        "r2": 1 - divide(total["sq_error"], variation),
        "vaf": 1 - divide(total["sq_error"], sums["y2_raw"].sum(1)),
        "bias": divide(total["error"], total["count"]),
    }
    for name in METRICS.keys() - values.keys():
        values[name] = divide(sums[f"{name}_sum"], sums[f"{name}_n"])
    return {name: values[name] for name in METRICS}


def _target_range(table: Table) -> Float[np.ndarray, " M"]:
    moments = table.moments.reduce(0)
    return np.where(moments.count > 0, moments.high - moments.low, np.nan)


def score(table: Table) -> dict[str, float]:
    """All of `METRICS` over the whole table."""
    sums = {name: value.sum(0, keepdims=True) for name, value in _subject_sums(table).items()}
    return {name: float(value[0]) for name, value in _scores(sums, _target_range(table)).items()}


def resample(table: Table, samples: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Scores of bootstrap draws of whole subjects; [samples] per metric.

    Clips of one person are not independent, so resampling clips would give intervals that are too
    narrow. The same seed draws the same subjects from any table of the same set.
    """
    sums = _subject_sums(table)
    n_subjects = len(sums["count"])
    weights = subject_weights(n_subjects, samples, seed).astype(np.float64)
    drawn = {
        k: (weights @ v.reshape(n_subjects, -1)).reshape(samples, *v.shape[1:])
        for k, v in sums.items()
    }
    return _scores(drawn, _target_range(table))


def bootstrap_scores(table: Table, samples: int = 1000, seed: int = 0) -> BootstrapScores:
    """All of `METRICS` with the scores of bootstrap draws over subjects."""
    single = len(np.unique(table.subject)) < 2
    return BootstrapScores(score(table), None if single else resample(table, samples, seed))
