"""Systems without gradients: retrieval, ridge and support-vector regression on features.

Their input is a signal per clip, joint positions or a frozen encoder's features, on a clock of its
own; they predict envelopes on the clip's clock. P instants, D features, N samples, C channels.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from sklearn import linear_model
from sklearn.svm import SVR

from video2emg.core.errors import UserError
from video2emg.eval.baselines import TrainMean
from video2emg.eval.series import ClipSeries


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """A clip and the features that its EMG is predicted from.

    Attributes:
      series: the clip; predictors use its EMG in training only.
      features: [P, D] finite.
      time: [P] s on the clip clock, increasing.
    """

    series: ClipSeries
    features: Float[np.ndarray, "P D"]
    time: Float[np.ndarray, " P"]

    def __post_init__(self) -> None:
        where = f"clip {self.series.clip_id!r}, features"
        if not len(self.time) or not (np.diff(self.time) > 0).all():
            raise UserError(f"{where}: at least one instant is needed, and times must increase")
        if not np.isfinite(self.features).all():
            raise UserError(f"{where}: not finite")

    def resample(self, time: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
        """Features at other times: linear between instants, constant beyond them."""
        position = np.interp(time, self.time, np.arange(len(self.time)))
        left = np.minimum(position.astype(int), max(len(self.time) - 2, 0))
        right = np.minimum(left + 1, len(self.time) - 1)
        share = (position - left)[:, None]
        return self.features[left] * (1 - share) + self.features[right] * share


class Regressor(abc.ABC):
    """A predictor of envelopes from features.

    Attributes:
      name: key in results.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def fit(self, train: Sequence[ClipFeatures]) -> "Regressor":
        """Learns from training clips; returns itself."""

    @abc.abstractmethod
    def predict(self, clip: ClipFeatures) -> Float[np.ndarray, "N C"]:
        """Envelopes [N, C] float32 for one clip."""


class _PerChannel(Regressor):
    """One scalar regressor per channel name, on features of a short time around each sample.

    Args:
      context: s; features up to this long before and after are inputs too, 0 for none.
      rate: Hz; training samples used per second.
      most: training samples per channel, at most; drawn with `seed`.
    """

    def __init__(
        self, context: float = 0.2, rate: float = 10.0, most: int = 20_000, seed: int = 0
    ) -> None:
        if context < 0 or rate <= 0 or most < 1:
            raise UserError(f"{self.name}: context {context:g} s, rate {rate:g} Hz, most {most}")
        self._offsets = [0.0] if context == 0 else [-context, -context / 2, 0, context / 2, context]
        self._rate, self._most, self._seed = rate, most, seed

    @abc.abstractmethod
    def _fit_one(self, x: Float[np.ndarray, "K E"], y: Float[np.ndarray, " K"]):
        """Returns a function [K, E] → [K]."""

    def _inputs(self, clip: ClipFeatures, time: np.ndarray) -> Float[np.ndarray, "N E"]:
        return np.concatenate([clip.resample(time + offset) for offset in self._offsets], axis=1)

    def fit(self, train: Sequence[ClipFeatures]) -> "Regressor":
        """Fits every channel that was measured."""
        self._mean = TrainMean()
        self._mean.fit([clip.series for clip in train])
        rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for clip in train:
            series = clip.series
            step = max(round(len(series.time) / (np.ptp(series.time) * self._rate + 1)), 1)
            every = slice(None, None, step)
            x = self._inputs(clip, series.time[every])
            for c, name in enumerate(series.muscles):
                known = series.mask[every, c]
                if known.any():
                    rows.setdefault(name, []).append((x[known], series.target[every, c][known]))
        inputs = np.concatenate([x for parts in rows.values() for x, _ in parts])
        self._centre, scale = inputs.mean(0), inputs.std(0)
        self._scale = np.where(scale > 0, scale, 1.0)
        self._models = {}
        rng = np.random.default_rng(self._seed)
        for name, parts in sorted(rows.items()):
            x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
            if len(y) > self._most:
                chosen = rng.choice(len(y), self._most, replace=False)
                x, y = x[chosen], y[chosen]
            self._models[name] = self._fit_one((x - self._centre) / self._scale, y)
        return self

    def predict(self, clip: ClipFeatures) -> Float[np.ndarray, "N C"]:
        """Every channel by its own regressor; the muscle's mean for channels never measured."""
        series = clip.series
        x = (self._inputs(clip, series.time) - self._centre) / self._scale
        out = np.empty(series.target.shape, np.float32)
        for c, name in enumerate(series.muscles):
            model = self._models.get(name)
            out[:, c] = self._mean.level(name) if model is None else model(x)
        return out


class Ridge(_PerChannel):
    """Linear regression with an L2 penalty per sample (`penalty` times the number of samples)."""

    name = "ridge"

    def __init__(self, penalty: float = 1e-3, **settings) -> None:
        """See the class for `penalty`, `_PerChannel` for the rest."""
        super().__init__(**settings)
        self._penalty = penalty

    def _fit_one(self, x: Float[np.ndarray, "K E"], y: Float[np.ndarray, " K"]):
        model = linear_model.Ridge(self._penalty * len(x))
        return model.fit(x.astype(np.float64), y.astype(np.float64)).predict


class SupportVector(_PerChannel):
    """Support-vector regression with a Gaussian kernel: FLEX's best Video→EMG system, on its ViT.

    With scikit-learn's default width of the kernel; the time grows with the square of `most`.
    """

    name = "support_vector"

    def __init__(self, c: float = 1.0, epsilon: float = 0.02, most: int = 2000, **settings) -> None:
        """Penalty `c` and tube `epsilon` as in scikit-learn; the rest as `_PerChannel`."""
        super().__init__(most=most, **settings)
        self._c, self._epsilon = c, epsilon

    def _fit_one(self, x: Float[np.ndarray, "K E"], y: Float[np.ndarray, " K"]):
        return SVR(C=self._c, epsilon=self._epsilon).fit(x, y).predict


class Retrieval(Regressor):
    """MIA's baseline: the EMG of the training window whose features are nearest, exactly (L2).

    Windows lie side by side, the last one ends with the clip; features are compared at `rate`.

    Attributes:
      name: `retrieval`.
    """

    name = "retrieval"

    def __init__(
        self, seconds: float = 3.0, rate: float = 10.0, same_subject: bool = False
    ) -> None:
        """Sets the windows.

        Args:
          seconds: length of a window; 3 in MIA.
          rate: Hz; 10 in MIA.
          same_subject: search the subject's own training clips only; needs a split in which test
            subjects have some.
        """
        if seconds <= 0 or rate * seconds < 1:
            raise UserError(f"retrieval: a window of {seconds:g} s at {rate:g} Hz has no sample")
        self._grid = np.arange(round(seconds * rate)) / rate
        self._seconds, self._same_subject = seconds, same_subject

    def _starts(self, clip: ClipFeatures) -> Float[np.ndarray, " W"]:
        first, last = clip.series.time[[0, -1]]
        count = max(int(np.ceil((last - first) / self._seconds - 1e-9)), 1)
        latest = max(last - self._seconds, first)
        return np.minimum(first + self._seconds * np.arange(count), latest)

    def _window(self, clip: ClipFeatures, start: float) -> Float[np.ndarray, " E"]:
        return clip.resample(start + self._grid).ravel().astype(np.float32)

    def fit(self, train: Sequence[ClipFeatures]) -> "Regressor":
        """Keeps the windows."""
        self._mean = TrainMean()
        self._mean.fit([clip.series for clip in train])
        self._source = [(clip, float(s)) for clip in train for s in self._starts(clip)]
        self._windows = np.stack([self._window(clip, s) for clip, s in self._source])
        self._subject = np.array([clip.series.subject for clip, _ in self._source])
        return self

    def predict(self, clip: ClipFeatures) -> Float[np.ndarray, "N C"]:
        """The nearest windows' EMG, one after the other; channels are matched by name."""
        series = clip.series
        allowed = np.arange(len(self._windows))
        if self._same_subject:
            allowed = np.flatnonzero(self._subject == series.subject)
            if not len(allowed):
                raise UserError(
                    f"retrieval within subjects: {series.subject!r} has no training clip; use a "
                    "split within subjects"
                )
        out = np.empty(series.target.shape, np.float32)
        for start in self._starts(clip):
            distance = ((self._windows[allowed] - self._window(clip, start)) ** 2).sum(1)
            nearest, nearest_start = self._source[allowed[distance.argmin()]]
            rows = np.flatnonzero(series.time >= start - 1e-9)
            time = series.time[rows] - start + nearest_start
            for c, name in enumerate(series.muscles):
                out[rows, c] = self._retrieve(nearest.series, name, time)
        return out

    def _retrieve(self, nearest: ClipSeries, channel: str, time: np.ndarray) -> np.ndarray | float:
        """One channel of the nearest clip; the muscle's mean where it was not measured."""
        if channel not in nearest.muscles:
            return self._mean.level(channel)
        column = nearest.muscles.index(channel)
        known = nearest.mask[:, column]
        if not known.any():
            return self._mean.level(channel)
        return np.interp(time, nearest.time[known], nearest.target[known, column])
