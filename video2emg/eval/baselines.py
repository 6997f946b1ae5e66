"""Baselines that a model must beat: none of them uses how the subject moves.

All are fitted on training series only. N samples, C channels, K clips.
"""

import abc
import collections
import logging
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.eval.series import ClipSeries

_log = logging.getLogger(__name__)

# Phases of the template and of a resampled neighbour: 1 % of a repetition, as in gait analysis.
GRID = np.linspace(0, 1, 100)

ChannelKey = tuple[str, str]


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
      fallbacks: actions and channels that were not in the training data and got a mean instead.
    """

    name: ClassVar[str]
    uses_test_emg: ClassVar[bool] = False

    def __init__(self) -> None:
        self.fallbacks: set[str] = set()

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
        return _constant(series, [self.level(name) for name in series.muscles])


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
        return _constant(series, [self._level(series.action, name) for name in series.muscles])


class Template(Baseline):
    """The mean training envelope of (action, channel) at each phase of the repetition.

    It depends on the exercise and the phase only, not on the subject, the load or the quality:
    `skill` measures what a model predicts beyond this. Each clip counts the same, whatever its
    duration (ensemble average).
    """

    name = "template"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Averages the clips on the phase grid, each where it was measured."""
        self._mean = TrainMean()
        self._mean.fit(train)
        total: dict[ChannelKey, np.ndarray] = collections.defaultdict(lambda: np.zeros(len(GRID)))
        count: dict[ChannelKey, np.ndarray] = collections.defaultdict(lambda: np.zeros(len(GRID)))
        for clip in train:
            for c, name in enumerate(clip.muscles):
                curve, measured = _on_grid(clip, c)
                total[clip.action, name] += np.where(measured, curve, 0)
                count[clip.action, name] += measured
        self._curves = {}
        for key, n in count.items():
            known = n > 0
            if known.any():
                self._curves[key] = np.interp(GRID, GRID[known], total[key][known] / n[known])
        return self

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """The template at the clip's phases; the muscle's mean for actions absent from training."""
        out = np.empty(series.target.shape, np.float32)
        for c, name in enumerate(series.muscles):
            curve = self._curves.get((series.action, name))
            if curve is None:
                self._fall_back(f"{series.action}/{name}")
                out[:, c] = self._mean.level(name)
            else:
                out[:, c] = np.interp(series.phase, GRID, curve)
        return out


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
        return _constant(series, [self._level(series, name) for name in series.muscles])


class NearestNeighbour(Baseline):
    """The envelopes of the training clip whose video descriptor is nearest, matched by phase.

    Euclidean distance of descriptors standardised over the training clips; the action is no input.
    Channels are matched by name; those that the neighbour lacks get the muscle's mean.
    """

    name = "nearest_neighbour"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Keeps the training clips.

        Raises:
          UserError: a clip has no descriptor, or one of another length.
        """
        self._mean = TrainMean()
        self._mean.fit(train)
        self._train = list(train)
        descriptors = [_descriptor(clip) for clip in train]
        if len({len(d) for d in descriptors}) != 1:
            raise UserError("nearest_neighbour: the clips' descriptors differ in length")
        stacked = np.stack(descriptors).astype(np.float64)
        scale = stacked.std(0)
        self._centre, self._scale = stacked.mean(0), np.where(scale > 0, scale, 1)
        self._points = (stacked - self._centre) / self._scale
        return self

    def neighbour(self, series: ClipSeries) -> ClipSeries:
        """The nearest training clip."""
        point = (_descriptor(series) - self._centre) / self._scale
        distance = ((self._points - point) ** 2).sum(1)
        return self._train[int(distance.argmin())]

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """The neighbour's envelopes at the clip's phases."""
        nearest = self.neighbour(series)
        out = np.empty(series.target.shape, np.float32)
        for c, name in enumerate(series.muscles):
            column = nearest.muscles.index(name) if name in nearest.muscles else None
            if column is None or not nearest.mask[:, column].any():
                out[:, c] = self._mean.level(name)
            else:
                known = nearest.mask[:, column]
                curve = nearest.target[known, column]
                out[:, c] = np.interp(series.phase, nearest.phase[known], curve)
        return out


REGISTRY: Mapping[str, type[Baseline]] = {
    cls.name: cls for cls in (Zero, TrainMean, ActionMean, Template, NearestNeighbour, SubjectMean)
}


def predict_baselines(
    train: Sequence[ClipSeries], test: Sequence[ClipSeries], names: Sequence[str] | None = None
) -> dict[str, list[np.ndarray]]:
    """Fits baselines on `train` and predicts every clip of `test`.

    Args:
      train: training series.
      test: series of other subjects.
      names: which of `REGISTRY`; by default all that the data allow (`nearest_neighbour` needs
        descriptors).

    Returns:
      name -> list of [N, C], parallel to `test`.

    Raises:
      UserError: an unknown name, or data that a baseline asked for cannot use.
    """
    if names is None:
        described = all(clip.descriptor is not None for clip in [*train, *test])
        names = [name for name in REGISTRY if described or name != NearestNeighbour.name]
    unknown = sorted(set(names) - REGISTRY.keys())
    if unknown:
        raise UserError(f"unknown baselines {unknown}; there are {sorted(REGISTRY)}")
    predictions = {}
    for name in names:
        baseline = REGISTRY[name]().fit(train)
        if isinstance(baseline, SubjectMean):
            baseline.reveal(test)
        predictions[name] = [baseline.predict(clip) for clip in test]
    return predictions


def shuffled(
    series: Sequence[ClipSeries],
    signals: Sequence[np.ndarray],
    seed: int = 0,
    within_action: bool = False,
) -> list[np.ndarray]:
    """Gives every clip the signals of another clip: a check of the evaluation.

    Predictions shuffled over clips must not have skill; if they do, the evaluation leaks. The same
    holds for a model trained on targets (`[clip.target for clip in series]`) shuffled like this.

    Args:
      series: the clips.
      signals: one [N, C] per clip: predictions or targets, finite where measured.
      seed: of the permutation.
      within_action: keep the action; then only what goes beyond the template is destroyed.

    Returns:
      One [N, C] per clip: the other clip's signals at the same phases, channels matched by name
      and else by position. A clip that is alone in its group keeps its own.
    """
    rng = np.random.default_rng(seed)
    groups = collections.defaultdict(list)
    for i, clip in enumerate(series):
        groups[clip.action if within_action else ""].append(i)
    donor = np.arange(len(series))
    for members in groups.values():
        order = rng.permutation(members)
        # A cycle through all members: no clip is its own donor.
        donor[order] = np.roll(order, 1)
    return [
        _transplant(series[int(donor[i])], signals[int(donor[i])], clip)
        for i, clip in enumerate(series)
    ]


def _transplant(
    source: ClipSeries, signal: Float[np.ndarray, "N C"], clip: ClipSeries
) -> Float[np.ndarray, "N2 C2"]:
    out = np.empty(clip.target.shape, np.float32)
    for c, name in enumerate(clip.muscles):
        column = source.muscles.index(name) if name in source.muscles else c % len(source.muscles)
        finite = np.isfinite(signal[:, column])
        if finite.any():
            out[:, c] = np.interp(clip.phase, source.phase[finite], signal[finite, column])
        else:
            out[:, c] = 0
    return out


def _on_grid(clip: ClipSeries, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """One channel's envelope on `GRID`, and where it was measured (both neighbours)."""
    mask = clip.mask[:, channel]
    if not mask.any():
        return np.zeros(len(GRID)), np.zeros(len(GRID), bool)
    curve = np.interp(GRID, clip.phase[mask], clip.target[mask, channel])
    measured = np.interp(GRID, clip.phase, mask.astype(np.float64)) > 1 - 1e-9
    return curve, measured


def _constant(series: ClipSeries, levels: Sequence[float]) -> Float[np.ndarray, "N C"]:
    return np.broadcast_to(np.asarray(levels, np.float32), series.target.shape).copy()


def _descriptor(clip: ClipSeries) -> Float[np.ndarray, " K"]:
    if clip.descriptor is None:
        raise UserError(f"nearest_neighbour: clip {clip.clip_id!r} has no video descriptor")
    return clip.descriptor


def _require_clips(train: Sequence[ClipSeries]) -> None:
    if not train:
        raise UserError("baselines: the training set has no clips")
