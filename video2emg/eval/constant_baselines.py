"""Baselines that predict a constant per channel, and what all baselines have in common.

All are fitted on training series only. N samples, C channels.
"""

import abc
import collections
import logging
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.eval.series import ClipSeries

_log = logging.getLogger(__name__)


class _Mean:
    """A running mean over samples."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, values: np.ndarray) -> None:
        self.total += float(values.sum(dtype=np.float64))
        self.count += values.size

    @property
    def value(self) -> float:
        return self.total / self.count


class Baseline(abc.ABC):
    """A predictor of envelopes.

    Attributes:
      name: key in `REGISTRY` and in results.
      uses_test_emg: whether it is shown measured EMG of the test subjects (`reveal`), so that it
        is an oracle to compare with and not a competitor.
      fallbacks: what got a mean instead: actions and channels that were not in the training data,
        clips without a pose or without repetitions.
    """

    name: ClassVar[str]
    uses_test_emg: ClassVar[bool] = False

    def __init__(self) -> None:
        self.fallbacks: set[str] = set()
        self._warned: set[str] = set()

    @abc.abstractmethod
    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Learns from training series; returns itself."""

    @abc.abstractmethod
    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Envelopes [N, C] float32 for one clip."""

    def _fall_back(self, key: str) -> None:
        if key not in self.fallbacks:
            _log.warning("baseline %s: %s not in the training data, using a mean", self.name, key)
            self.fallbacks.add(key)

    def _fall_back_for(self, clip: ClipSeries, why: str) -> None:
        self.fallbacks.add(clip.clip_id)
        if why not in self._warned:  # there may be thousands of clips
            _log.warning("baseline %s: clip %s %s, using a mean", self.name, clip.clip_id, why)
            self._warned.add(why)


class Zero(Baseline):
    """No activity in any muscle."""

    name = "zero"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Nothing to learn."""
        return self

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Zeros."""
        return np.zeros(series.target.shape, np.float32)


class TrainMean(Baseline):
    """One constant per muscle (both sides): the mean of all its training samples of any action."""

    name = "train_mean"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Averages over samples: the constant that minimises the squared error."""
        _require_clips(train)
        overall, muscles = _Mean(), collections.defaultdict(_Mean)
        for clip in train:
            for c, name in enumerate(clip.muscles):
                measured = clip.target[clip.mask[:, c], c]
                muscles[vocabulary.split_channel(name)[1]].add(measured)
                overall.add(measured)
        if not overall.count:
            raise UserError("baselines: no training sample is measured")
        self._overall = overall.value
        self._muscles = {name: mean.value for name, mean in muscles.items() if mean.count}
        return self

    def level(self, channel: str) -> float:
        """The constant of a channel; of all channels if its muscle was never measured."""
        muscle = vocabulary.split_channel(channel)[1]
        if muscle not in self._muscles:
            self._fall_back(muscle)
            return self._overall
        return self._muscles[muscle]

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Constants over time."""
        return constant(series, [self.level(name) for name in series.muscles])


class ActionMean(Baseline):
    """One constant per (action, channel); the muscle's mean for actions absent from training."""

    name = "action_mean"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Averages over samples."""
        self._mean = TrainMean()
        self._mean.fit(train)
        means = collections.defaultdict(_Mean)
        for clip in train:
            for c, name in enumerate(clip.muscles):
                means[clip.action, name].add(clip.target[clip.mask[:, c], c])
        self._levels = {key: mean.value for key, mean in means.items() if mean.count}
        return self

    def _level(self, action: str, channel: str) -> float:
        if (action, channel) not in self._levels:
            self._fall_back(f"{action}/{channel}")
            return self._mean.level(channel)
        return self._levels[action, channel]

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Constants over time."""
        return constant(series, [self._level(series.action, name) for name in series.muscles])


class SubjectMean(Baseline):
    """One constant per (subject, action, channel), from the test subject's *other* clips.

    It has what a calibration recording of the same exercise would give, a person's level. It uses
    test EMG, so it is not a competitor. A subject with a single clip gets the training mean.
    """

    name = "subject_mean"
    uses_test_emg = True

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Learns the fallback only."""
        self._mean = TrainMean()
        self._mean.fit(train)
        self._clips: dict[tuple[str, str, str], dict[str, _Mean]] = {}
        return self

    def reveal(self, test: Sequence[ClipSeries]) -> "Baseline":
        """Gets the EMG of the test set; a clip's own EMG is left out of its prediction."""
        for clip in test:
            for c, name in enumerate(clip.muscles):
                mean = _Mean()
                mean.add(clip.target[clip.mask[:, c], c])
                clips = self._clips.setdefault((clip.subject, clip.action, name), {})
                clips[clip.clip_id] = mean
        return self

    def _level(self, series: ClipSeries, channel: str) -> float:
        clips = self._clips.get((series.subject, series.action, channel), {})
        others = [mean for clip_id, mean in clips.items() if clip_id != series.clip_id]
        count = sum(mean.count for mean in others)
        if not count:
            return self._mean.level(channel)
        return sum(mean.total for mean in others) / count

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Constants over time."""
        return constant(series, [self._level(series, name) for name in series.muscles])


def constant(series: ClipSeries, levels: Sequence[float]) -> Float[np.ndarray, "N C"]:
    """One constant per channel, at all instants of a clip."""
    return np.broadcast_to(np.asarray(levels, np.float32), series.target.shape).copy()


def _require_clips(train: Sequence[ClipSeries]) -> None:
    if not train:
        raise UserError("baselines: the training set has no clips")
