"""Calibration of predicted muscle curves to one person, from a few measured repetitions.

Candidates from simple to rich are fitted to each channel, and compared by cross-validation within
the measured repetitions: one repetition is left out at a time, of a single one a quarter. The
calibrated prediction is their weighted mean. A weight falls with the squared error of what was left
out, and a richer candidate must have less of it, so that calibration hardly ever hurts.

N samples, C channels, Q curves of the model, E joint angles with their context.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import interpolation
from video2emg.eval.shrinkage import PersonPrior, Samples, Shrunk, log_curves

# From simple to rich.
CANDIDATES = {
    "none": "the prediction as it is, where the EMG has the unit of the model",
    "gain": "times a gain",
    "offset": "times a gain, plus an offset",
    "angle": "an affine function of one joint angle, now or somewhat earlier or later",
    "mix": "gain and offset, plus a small mixture of the model's curves of all muscles and their "
    "logarithms",
    "learned": "a function of the model's curves, shrunk to what is usual among simulated people "
    "(`eval.shrinkage`); for runs with a prior",
    "ridge": "ridge regression on joint angles and their context; nothing of the model",
    "all": "as mix, with joint angles and their context in the mixture",
}
# Inputs of ridge regression on what a base leaves.
_LINEAR = {"mix": ("curves",), "ridge": ("angles",), "all": ("curves", "angles")}

# Penalties of ridge regression, per sample and of standardised inputs.
PENALTIES = tuple(10.0**power for power in np.arange(-3.0, 2.1, 0.5))
# What is added to the squared error of a candidate, as a share, over the square of the number of
# repetitions: the quarters of one repetition are more alike than two repetitions.
_HANDICAP = {
    "none": 0.0,
    "gain": 0.2,
    "offset": 0.4,
    "angle": 0.3,
    "mix": 2.0,
    "learned": 0.4,
    "ridge": 0.8,
    "all": 4.0,
}
_STEADY = 5.0  # repetitions from which on a channel's own errors count as much as those of all
_SHARPNESS = 0.3  # share of more squared error at which the weight of a candidate falls to 1 / e
_LEAST_WEIGHT = 0.01  # smaller weights are none
_RAISED = 0.5  # of the share outside a band, added inside it for a single repetition
_HIGHEST = 3.0  # times the largest measured value; no prediction is higher
_RATE = 12.5  # Hz; samples used for fitting per second, at most
_QUARTERS = 4  # blocks of a single repetition
_MOST_FOLDS = 10
_FARTHEST = 3.0  # standard deviations; inputs beyond count as there
_LEAST_SAMPLES = 10  # of a channel
_LEAST_SCALE = 0.1  # of an input, as a share of the median input's standard deviation


@dataclasses.dataclass(frozen=True)
class Part:
    """One repetition of one person.

    Attributes:
      time: [N] s.
      own: [N, C] the model's curve of each channel.
      curves: [N, Q] its curves of all muscles.
      angles: [N, E] joint angles and their context, degrees, finite; E is 0 without a pose.
      target: [N, C] measured envelope.
      mask: [N, C] true where it was measured.
    """

    time: Float[np.ndarray, " N"]
    own: Float[np.ndarray, "N C"]
    curves: Float[np.ndarray, "N Q"]
    angles: Float[np.ndarray, "N E"]
    target: Float[np.ndarray, "N C"]
    mask: Bool[np.ndarray, "N C"]


def with_context(
    values: Float[np.ndarray, "N A"],
    time: Float[np.ndarray, " N"],
    offsets: Sequence[float],
    rows: slice | np.ndarray = slice(None),
) -> Float[np.ndarray, "M E"]:
    """Values at some samples and at other times around them, side by side.

    Args:
      values: over the whole clip; unknown values (NaN) are interpolated, and 0 if all are unknown.
      time: s, increasing.
      offsets: s; beyond the clip the value at its end holds.
      rows: the samples that are wanted.
    """
    place, columns = np.arange(len(time)), []
    for column in values.T:
        known = np.isfinite(column)
        columns.append(
            np.interp(place, place[known], column[known]) if known.any() else np.zeros(len(time))
        )
    filled = np.stack(columns, 1) if columns else np.zeros((len(time), 0))
    parts = [
        interpolation.linear(filled, time, time[rows] + offset) for offset in offsets if filled.size
    ]
    return np.concatenate(parts, 1) if parts else np.zeros((len(time[rows]), 0))


def samples_of(parts: Sequence[Part]) -> Samples:
    """The samples of repetitions, used to learn how people differ."""
    data = _Samples.of(parts)
    return data.rows(np.arange(len(data.number)))


class PersonCalibration:
    """Fits the candidates to a person, and weighs them for each channel.

    Attributes:
      candidates: K names in `CANDIDATES`, from simple to rich.
      weights: [K, C] of each candidate, with a sum of 1.
      residuals: per channel, errors |measured - predicted| of what was left out.
    """

    def __init__(
        self, candidates: Iterable[str] = CANDIDATES, prior: PersonPrior | None = None
    ) -> None:
        """Sets what is tried; without a prior, nothing learned."""
        self.candidates = tuple(candidates)
        self._prior = prior

    def fit(self, parts: Sequence[Part]) -> "PersonCalibration":
        """Learns from repetitions of one person; returns itself."""
        data = _Samples.of(parts)
        self.candidates = tuple(name for name in self.candidates if self._can(name, data))
        self._fits = [
            _LearnedFit(self._prior, data)
            if name == "learned" and self._prior
            else _Fit(name, data)
            for name in self.candidates
        ]
        left_out = np.full((len(self._fits), *data.target.shape), np.nan)
        for fold in data.folds():
            left_out[:, fold] = [fit.left_out(fold) for fit in self._fits]
        self._count = len(parts)
        self._highest = _HIGHEST * np.where(data.mask, data.target, 0.0).max(0)
        squared = np.where(data.mask, left_out - data.target, 0.0) ** 2
        self.weights = self._weigh(squared.sum(1))
        off = np.abs(np.einsum("knc,kc->nc", left_out, self.weights) - data.target)
        self.residuals = [off[data.mask[:, c], c] for c in range(off.shape[1])]
        return self

    def _can(self, candidate: str, data: "_Samples") -> bool:
        """Whether there is what a candidate needs."""
        if candidate == "learned":
            return self._prior is not None
        return data.can(candidate)

    def _weigh(self, error: Float[np.ndarray, "K C"]) -> Float[np.ndarray, "K C"]:
        """Weights by the squared errors of what was left out."""
        error = np.maximum(error, np.finfo(np.float32).tiny)
        share = error / error.min(0)
        # What is good for all muscles of the person steadies the weights of each.
        own = self._count / (self._count + _STEADY)
        share = share**own * np.exp(np.log(share).mean(1, keepdims=True)) ** (1 - own)
        handicap = np.array([_HANDICAP[name] for name in self.candidates]) / self._count**2
        share = share * (1 + handicap[:, None])
        weights = np.exp(-(share / share.min(0) - 1) / _SHARPNESS)
        weights = weights / weights.sum(0)
        weights = np.where(weights < _LEAST_WEIGHT, 0.0, weights)
        return weights / weights.sum(0)

    def predict(self, part: Part) -> Float[np.ndarray, "N C"]:
        """The calibrated prediction of a repetition; activity cannot be negative."""
        out = np.zeros(part.own.shape)
        for fit, weights in zip(self._fits, self.weights, strict=True):
            if weights.any():
                out += weights * fit.apply(part)
        return np.clip(out, 0.0, self._highest).astype(np.float32)

    def band(self, level: float = 0.8) -> Float[np.ndarray, " C"]:
        """Half of the width of a band that covers a share `level` of the samples, per channel.

        The quantile of the errors of what was left out (split conformal prediction with
        cross-validation: Barber et al. 2021, "Predictive inference with the jackknife+"). It is
        for repetitions like the measured ones. Samples of one repetition are not independent, so
        few repetitions give a rough band, and one says nothing of how repetitions differ: its share
        is raised.
        """
        share = level + (1 - level) * _RAISED / self._count**2
        return np.array([_quantile(one, share) for one in self.residuals])


@dataclasses.dataclass(frozen=True)
class _Samples:
    """Samples of all repetitions, one after the other; `Part`'s fields and the repetition."""

    own: np.ndarray
    curves: np.ndarray
    angles: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "_Samples":
        columns: dict[str, list[np.ndarray]] = {f.name: [] for f in dataclasses.fields(cls)}
        for number, part in enumerate(parts):
            span = np.ptp(part.time) + 1e-9
            step = max(math.floor(len(part.time) / (span * _RATE)), 1)
            for name, values in columns.items():
                if name == "number":
                    values.append(np.full(len(part.time[::step]), number))
                else:
                    values.append(getattr(part, name)[::step])
        return cls(**{name: np.concatenate(values) for name, values in columns.items()})

    def rows(self, rows: np.ndarray) -> Samples:
        """Some of the samples, as `eval.shrinkage` takes them."""
        return Samples(self.own[rows], self.curves[rows], self.target[rows], self.mask[rows])

    def can(self, candidate: str) -> bool:
        """Whether there is what a candidate needs."""
        needs = ("angles",) if candidate == "angle" else _LINEAR.get(candidate, ())
        return all(getattr(self, kind).shape[1] for kind in needs)

    def folds(self) -> list[np.ndarray]:
        """Rows that are left out at a time."""
        count = int(self.number.max()) + 1
        if count > 1:
            groups = np.array_split(np.arange(count), min(count, _MOST_FOLDS))
            return [np.flatnonzero(np.isin(self.number, group)) for group in groups]
        return np.array_split(np.arange(len(self.number)), _QUARTERS)


class _Fit:
    """One candidate, fitted to all samples; penalties chosen by what is left out."""

    def __init__(self, name: str, data: _Samples) -> None:
        self._name, self._inputs = name, _LINEAR.get(name, ())
        penalties = PENALTIES if self._inputs else (0.0,)
        error = np.zeros((len(penalties), data.target.shape[1]))
        self._left_out: dict[int, np.ndarray] = {}
        for fold in data.folds():
            base, ridge = self._solve(data, np.setdiff1d(np.arange(len(data.number)), fold))
            predicted = base.predict(data, fold)[None]
            if ridge is not None:
                predicted = predicted + ridge.every(self._matrix(data, fold))
            off = np.where(data.mask[fold], predicted - data.target[fold], 0.0)
            error += (off**2).sum(1)
            self._left_out[int(fold[0])] = predicted
        # The largest penalty among those that are as good.
        good = error <= error.min(0) * 1.01 + 1e-12
        self._penalty = len(penalties) - 1 - good[::-1].argmax(0)
        self._solution = self._solve(data, np.arange(len(data.number)))

    def left_out(self, fold: np.ndarray) -> np.ndarray:
        """[n, C] what the candidate predicts for a fold that it has not seen."""
        predicted = self._left_out[int(fold[0])]
        return predicted[self._penalty, :, np.arange(len(self._penalty))].T

    def apply(self, part: Part) -> np.ndarray:
        """[N, C] the prediction."""
        base, ridge = self._solution
        predicted = base.predict(part)
        if ridge is None:
            return predicted
        return predicted + ridge.chosen(self._matrix(part), self._penalty)

    def _solve(self, data: _Samples, rows: np.ndarray) -> "tuple[_Base, _Ridge | None]":
        """What is fitted to some samples: a base, and the regression of the rest."""
        base = _Base(self._name, data, rows)
        if not self._inputs:
            return base, None
        rest = np.where(data.mask[rows], data.target[rows] - base.predict(data, rows), 0.0)
        return base, _Ridge(self._matrix(data, rows), rest)

    def _matrix(
        self, data: _Samples | Part, rows: np.ndarray | slice = slice(None)
    ) -> list[np.ndarray]:
        """Inputs of the regression, each kind an array [n, D] of its own unit."""
        inputs = [getattr(data, kind)[rows] for kind in self._inputs]
        if "curves" in self._inputs:
            inputs.append(log_curves(data.curves[rows]))
        return inputs


class _LearnedFit:
    """The candidate `learned`, as `_Fit`."""

    def __init__(self, prior: PersonPrior, data: _Samples) -> None:
        every, self._left_out = np.arange(len(data.number)), {}
        for fold in data.folds():
            fitted = Shrunk(prior, data.rows(np.setdiff1d(every, fold)))
            self._left_out[int(fold[0])] = fitted.predict(data.own[fold], data.curves[fold])
        self._whole = Shrunk(prior, data.rows(every))

    def left_out(self, fold: np.ndarray) -> np.ndarray:
        """[n, C] what is predicted for a fold that was not seen."""
        return self._left_out[int(fold[0])]

    def apply(self, part: Part) -> np.ndarray:
        """[N, C] the prediction."""
        return self._whole.predict(part.own, part.curves)


class _Base:
    """Each channel as gain times a curve, plus an offset, by least squares.

    The curve is the model's, or for the candidate `angle` the joint angle that fits best.
    """

    def __init__(self, name: str, data: _Samples, rows: np.ndarray) -> None:
        target, mask = data.target[rows], data.mask[rows]
        y, channels = np.where(mask, target, 0.0), np.arange(target.shape[1])
        count = np.maximum(mask.sum(0), 1)
        self._columns = None
        if name == "angle":
            self._columns = _best_columns(data.angles[rows], y, mask.astype(float))
        x = np.where(mask, self._curve(data, rows), 0.0)
        mean_x, mean_y = x.sum(0) / count, y.sum(0) / count
        self._gain, self._offset = np.ones(len(channels)), np.zeros(len(channels))
        if name == "gain":
            self._gain = (x * y).sum(0) / np.maximum((x * x).sum(0), 1e-12)
        elif name == "ridge":
            self._gain, self._offset = np.zeros(len(channels)), mean_y
        elif name != "none":
            dx, dy = np.where(mask, x - mean_x, 0.0), np.where(mask, y - mean_y, 0.0)
            self._gain = (dx * dy).sum(0) / np.maximum((dx * dx).sum(0), 1e-12)
            if name != "angle":  # more activity than predicted, never the opposite of it
                self._gain = np.maximum(self._gain, 0.0)
            self._offset = mean_y - self._gain * mean_x

    def predict(self, data: _Samples | Part, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """[n, C]."""
        return self._curve(data, rows) * self._gain + self._offset

    def _curve(self, data: _Samples | Part, rows: np.ndarray | slice) -> np.ndarray:
        return data.own[rows] if self._columns is None else data.angles[rows][:, self._columns]


def _best_columns(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[C] the column of x [n, E] that explains most of each y [n, C], where it is known."""
    x = x - x.mean(0)
    n, x1, x2, y1 = known.sum(0), x.T @ known, (x**2).T @ known, y.sum(0)
    n = np.maximum(n, 1)
    covariance, variance = x.T @ y - x1 * y1 / n, x2 - x1**2 / n
    # An angle that moves by less than 1° says nothing.
    moves = variance > n
    return np.where(moves, covariance**2 / np.where(moves, variance, 1.0), -1.0).argmax(0)


class _Ridge:
    """Ridge regression of [n, C] on standardised inputs [n, D], for all `PENALTIES` at once."""

    def __init__(self, inputs: Sequence[np.ndarray], target: np.ndarray) -> None:
        """Fits inputs of several kinds; those of one kind have one unit."""
        self._centre = np.concatenate([one.mean(0) for one in inputs])
        self._scale = np.concatenate([_scale(one) for one in inputs])
        self._mean = target.mean(0)
        x = self._standardised(inputs)
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        shrink = s / (s**2 + np.array(PENALTIES)[:, None] * len(x))
        self._weights = np.einsum("ij,pi,ic->pjc", vt, shrink, u.T @ (target - self._mean))

    def every(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """[P, n, C] what each penalty predicts."""
        return np.einsum("nj,pjc->pnc", self._standardised(inputs), self._weights) + self._mean

    def chosen(self, inputs: Sequence[np.ndarray], penalty: np.ndarray) -> np.ndarray:
        """[n, C] by the penalty [C] of each channel, by number."""
        weights = self._weights[penalty, :, np.arange(len(penalty))].T
        return self._standardised(inputs) @ weights + self._mean

    def _standardised(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        values = np.concatenate(inputs, 1)
        return np.clip((values - self._centre) / self._scale, -_FARTHEST, _FARTHEST)


def _scale(inputs: np.ndarray) -> np.ndarray:
    """[D] standard deviations; of an input that hardly moves, a share of the median of its kind."""
    scale = inputs.std(0)
    moving = scale[scale > 0]
    return np.maximum(scale, _LEAST_SCALE * np.median(moving) if len(moving) else 1.0)


def _quantile(errors: np.ndarray, level: float) -> float:
    return float(np.quantile(errors, level)) if len(errors) >= _LEAST_SAMPLES else math.nan
