"""Baselines that a model must beat.

All are fitted on training series only. N samples, C channels, K clips, A joint angles.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.core.joint_angles import ANGLES, OF_SIDE, OF_TRUNK
from video2emg.core.overlap_add import OverlapAdd
from video2emg.eval.constant_baselines import (
    ActionMean,
    Baseline,
    SubjectMean,
    TrainMean,
    Zero,
    constant,
)
from video2emg.eval.metrics import divide
from video2emg.eval.series import ClipSeries

# Phases of the template and of a resampled neighbour: 1 % of a repetition, as in gait analysis.
GRID = np.linspace(0, 1, 100)

_OWN = (*OF_SIDE, *OF_TRUNK)  # angles that a muscle may depend on, without side


class _Curves:
    """Mean training curves of [G] points for each (action, channel)."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._sums: dict[tuple[str, tuple[str, ...]], list[np.ndarray]] = {}

    def add(
        self, clip: ClipSeries, values: Float[np.ndarray, "G C"], count: Shaped[np.ndarray, "G C"]
    ) -> None:
        """Adds the sum of some samples at each point, and their number."""
        shape = (self._points, len(clip.muscles))
        total = self._sums.setdefault(
            (clip.action, clip.muscles), [np.zeros(shape), np.zeros(shape)]
        )
        total[0] += values
        total[1] += count

    def means(self) -> dict[tuple[str, str], np.ndarray]:
        """[G] float64 per (action, channel) that was measured; gaps are interpolated."""
        sums: dict[tuple[str, str], np.ndarray] = {}
        for (action, muscles), parts in self._sums.items():
            for c, name in enumerate(muscles):
                own = np.stack([part[:, c] for part in parts])
                sums[action, name] = sums.get((action, name), 0.0) + own
        points, curves = np.arange(self._points), {}
        for key, (total, count) in sums.items():
            known = count > 0
            if known.any():
                curves[key] = np.interp(points, points[known], total[known] / count[known])
        return curves


class Template(Baseline):
    """The mean training envelope of (action, channel) at each phase of the repetition.

    It is told the exercise and the phase, and nothing of the subject, the load or the quality:
    `skill` measures what a model predicts beyond this. Each repetition counts the same, whatever
    its duration (ensemble average), also one that was broken off. Between repetitions it predicts
    the resting level: the mean of the training samples outside repetitions. Free movement has no
    repetitions, and thus one level per channel.
    """

    name = "template"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Averages the repetitions on the phase grid, each where it was measured."""
        self._mean = TrainMean()
        self._mean.fit(train)
        curves, rest = _Curves(len(GRID)), _Curves(1)
        for clip in train:
            target = np.where(clip.mask, clip.target, 0.0)
            for rows in clip.repetitions:
                phase = clip.phase[rows]
                # Measured where both neighbouring samples are.
                measured = _interpolate(GRID, phase, clip.mask[rows].astype(np.float64)) > 1 - 1e-9
                curves.add(clip, measured * _interpolate(GRID, phase, target[rows]), measured)
            outside = np.isnan(clip.phase)
            count = clip.mask[outside].sum(0, keepdims=True)
            rest.add(clip, target[outside].sum(0, keepdims=True), count)
        self._curves, self._rest = curves.means(), rest.means()
        return self

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """The template at the clip's phases; the muscle's mean for actions absent from training."""
        inside = np.isfinite(series.phase)
        out = np.empty(series.target.shape, np.float32)
        for c, name in enumerate(series.muscles):
            key = (series.action, name)
            if key in self._curves:
                out[inside, c] = np.interp(series.phase[inside], GRID, self._curves[key])
            elif inside.any():
                self._fall_back("/".join(key))
                out[inside, c] = self._mean.level(name)
            if key in self._rest:
                out[~inside, c] = self._rest[key]
            elif not inside.all():
                self._fall_back(f"{'/'.join(key)} between repetitions")
                out[~inside, c] = self._mean.level(name)
        return out


class Clock(Baseline):
    """The mean training envelope of (action, channel) by time in the window.

    It predicts the same windows as a model, and they are averaged in the same way. It is worth
    nothing if windows begin at any phase of a repetition.
    """

    name = "clock"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Averages the training windows.

        Raises:
          UserError: a clip has no windows.
        """
        self._mean = TrainMean()
        self._mean.fit(train)
        _windows(train[0])
        self._rate = (len(train[0].time) - 1) / np.ptp(train[0].time)
        length = round(train[0].window * self._rate)
        curves = _Curves(length)
        for clip in train:
            target = np.where(clip.mask, clip.target, 0.0)
            values, count = (np.zeros((length, len(clip.muscles))) for _ in range(2))
            for start in _windows(clip):
                first = round((start - clip.time[0]) * self._rate)
                rows = slice(max(first, 0), max(first + length, 0))
                place = slice(rows.start - first, rows.start - first + len(target[rows]))
                values[place] += target[rows]
                count[place] += clip.mask[rows]
            curves.add(clip, values, count)
        self._curves, self._length = curves.means(), length
        return self

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Every window the same; the muscle's mean for actions absent from training."""
        curve = np.empty((self._length, len(series.muscles)), np.float32)
        for c, name in enumerate(series.muscles):
            if (series.action, name) in self._curves:
                curve[:, c] = self._curves[series.action, name]
            else:
                self._fall_back(f"{series.action}/{name}")
                curve[:, c] = self._mean.level(name)
        total = OverlapAdd(len(series.time), self._rate)
        for start in _windows(series):
            total.add(float(start - series.time[0]), curve)
        return total.finish()


class Kinematic(Baseline):
    """An affine function of one joint angle per muscle, the same for all exercises and both sides.

    The angle is of the muscle's own side, or of the trunk. It is the one with the least squared
    error on training samples; where it is unknown, the muscle's mean is predicted.
    """

    name = "kinematic"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Fits every angle to every muscle by least squares, and keeps the best."""
        self._mean = TrainMean()
        self._mean.fit(train)
        sums: dict[str, np.ndarray] = collections.defaultdict(lambda: np.zeros((5, len(_OWN))))
        for clip in train:
            for side in vocabulary.SIDES:
                for muscle, products in _products(clip, side).items():
                    sums[muscle] += products
        # Muscle -> (place in `_OWN`, slope, offset).
        self._fits: dict[str, tuple[int, float, float]] = {}
        for muscle, (n, x1, x2, y1, xy) in sums.items():
            covariance = xy - divide(x1 * y1, n, 0.0)
            variance = (x2 - divide(x1**2, n, 0.0)).clip(0)
            # An angle that hardly moves says nothing: below 0.1° it is rounding.
            moves = variance > 0.01 * n
            explained = np.where(moves, divide(covariance**2, variance, 0.0), -1.0)
            best = int(explained.argmax())
            if moves[best]:
                slope = covariance[best] / variance[best]
                self._fits[muscle] = best, slope, (y1[best] - slope * x1[best]) / n[best]
        return self

    def angle(self, muscle: str) -> str | None:
        """The name of the muscle's angle, without side; None if no angle was measured with it."""
        return _OWN[self._fits[muscle][0]] if muscle in self._fits else None

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """The muscle's mean where its angle is unknown."""
        out = np.empty(series.target.shape, np.float32)
        for c, name in enumerate(series.muscles):
            side, muscle = vocabulary.split_channel(name)
            out[:, c] = self._mean.level(name)
            if muscle not in self._fits:
                self._fall_back(muscle)
                continue
            if series.angles is None:
                self._fall_back_for(series, "has no pose")
                continue
            best, slope, offset = self._fits[muscle]
            angle = series.angles[:, _columns(side)[best]]
            known = np.isfinite(angle)
            out[known, c] = offset + slope * angle[known]
            if not known.all():
                self._fall_back_for(series, f"has no {_OWN[best]} at times")
        return out


class Physics(Baseline):
    """Mechanics of the pose with nothing fitted: joint torques, shared between the muscles.

    It is told the pose, where the load is and how heavy, and nothing of any EMG. Where the muscle's
    joints are unknown, or its anatomy lacks it, the muscle's training mean is predicted.
    """

    name = "physics"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Fits what is predicted where mechanics know nothing."""
        self._mean = TrainMean()
        self._mean.fit(train)
        return self

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """Excitation of the muscles under each electrode, as a fraction of the maximum."""
        level = constant(series, [self._mean.level(name) for name in series.muscles])
        values = (series.mechanics or {}).get(self.name)
        if values is None:
            self._fall_back_for(series, "has no mechanics")
            return level
        return np.where(np.isfinite(values), values, level).astype(np.float32)


class PhysicsTypicalLoad(Physics):
    """`physics` that is not told how heavy the load is: typical of the equipment."""

    name = "physics_typical_load"


class PhysicsOtherAnatomy(Physics):
    """`physics` with an anatomy that is not the simulator's."""

    name = "physics_other_anatomy"


class NearestNeighbour(Baseline):
    """The envelopes of the training repetition whose video descriptor is nearest, by phase.

    Euclidean distance of descriptors standardised over the training repetitions. It is told when a
    repetition begins and ends, and not the action. Channels are matched by name; those that the
    neighbour lacks get the muscle's mean, and so does free movement. Between repetitions the
    prediction is interpolated.
    """

    name = "nearest_neighbour"

    def fit(self, train: Sequence[ClipSeries]) -> "Baseline":
        """Keeps the training clips.

        Raises:
          UserError: a clip has no descriptor, or one of another length, or no clip has repetitions.
        """
        self._mean = TrainMean()
        self._mean.fit(train)
        self._train = [(clip, rows) for clip in train for rows in clip.repetitions]
        descriptors = [found for found in map(_descriptor, train) if len(found)]
        if len({found.shape[1] for found in descriptors}) != 1:
            raise UserError(
                "nearest_neighbour: the clips' descriptors differ in length, or no clip has a "
                "repetition"
            )
        stacked = np.concatenate(descriptors).astype(np.float64)
        scale = stacked.std(0)
        self._centre, self._scale = stacked.mean(0), np.where(scale > 0, scale, 1)
        self._points = (stacked - self._centre) / self._scale
        return self

    def neighbours(self, series: ClipSeries) -> list[tuple[ClipSeries, slice]]:
        """The nearest training clip of each repetition, and the rows of its repetition there."""
        if not series.repetitions:
            return []
        points = (_descriptor(series) - self._centre) / self._scale
        return [self._train[int(((self._points - point) ** 2).sum(1).argmin())] for point in points]

    def predict(self, series: ClipSeries) -> Float[np.ndarray, "N C"]:
        """The neighbours' envelopes at the clip's phases."""
        if not series.repetitions:
            self._fall_back_for(series, "has no repetitions")
            return constant(series, [self._mean.level(name) for name in series.muscles])
        return _by_phase(series, [self._lend(series, *near) for near in self.neighbours(series)])

    def _lend(
        self, series: ClipSeries, nearest: ClipSeries, rows: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Phases [n] of a neighbour's repetition, and its envelopes [n, C] of the clip's channels.

        Samples that were not measured are interpolated.
        """
        phase = nearest.phase[rows]
        values = np.empty((len(phase), len(series.muscles)))
        for c, name in enumerate(series.muscles):
            column = nearest.muscles.index(name) if name in nearest.muscles else None
            known = None if column is None else nearest.mask[rows, column]
            if known is None or not known.any():
                values[:, c] = self._mean.level(name)
            else:
                values[:, c] = np.interp(phase, phase[known], nearest.target[rows, column][known])
        return phase, values


REGISTRY: Mapping[str, type[Baseline]] = {
    cls.name: cls
    for cls in (
        Zero,
        TrainMean,
        ActionMean,
        Clock,
        Kinematic,
        Template,
        Physics,
        PhysicsTypicalLoad,
        PhysicsOtherAnatomy,
        NearestNeighbour,
        SubjectMean,
    )
}


def predict_baselines(
    train: Sequence[ClipSeries], test: Sequence[ClipSeries], names: Sequence[str] | None = None
) -> dict[str, list[np.ndarray]]:
    """Fits baselines on `train` and predicts every clip of `test`.

    Args:
      train: training series.
      test: series of other subjects.
      names: which of `REGISTRY`; by default all that the data allow (`nearest_neighbour` needs
        descriptors, `kinematic` joint angles, `clock` windows, `physics` mechanics).

    Returns:
      name -> list of [N, C], parallel to `test`.

    Raises:
      UserError: an unknown name, or data that a baseline asked for cannot use.
    """
    if names is None:
        clips = [*train, *test]
        possible = {
            NearestNeighbour.name: all(clip.descriptor is not None for clip in clips)
            and any(clip.repetitions for clip in train),
            Kinematic.name: any(clip.angles is not None for clip in train),
            Clock.name: all(clip.starts is not None for clip in clips),
            **{
                kind.name: any(kind.name in (clip.mechanics or {}) for clip in test)
                for kind in (Physics, PhysicsTypicalLoad, PhysicsOtherAnatomy)
            },
        }
        names = [name for name in REGISTRY if possible.get(name, True)]
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
      and else by position, repetitions by number. A free movement lends and gets all of a clip,
      stretched. A clip that is alone in its group keeps its own.
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
    columns = [
        source.muscles.index(name) if name in source.muscles else c % len(source.muscles)
        for c, name in enumerate(clip.muscles)
    ]
    if not (source.repetitions and clip.repetitions):
        source, clip = _as_one(source), _as_one(clip)
    lent = []
    for number in range(len(clip.repetitions)):
        rows = source.repetitions[number % len(source.repetitions)]
        phase, values = source.phase[rows], np.zeros((rows.stop - rows.start, len(columns)))
        for c, column in enumerate(columns):
            finite = np.isfinite(signal[rows, column])
            if finite.any():
                values[:, c] = np.interp(phase, phase[finite], signal[rows, column][finite])
        lent.append((phase, values))
    return _by_phase(clip, lent)


def _as_one(clip: ClipSeries) -> ClipSeries:
    """The clip as one repetition, from its first sample to its last."""
    phase = np.linspace(0, 1, len(clip.time), dtype=np.float32)
    return dataclasses.replace(clip, phase=phase, descriptor=None)


def _by_phase(
    clip: ClipSeries, lent: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Float[np.ndarray, "N C"]:
    """What is lent to each repetition, (phases [n], values [n, C]), at the phases of the clip.

    Between repetitions it is interpolated in time, before the first and after the last constant.
    """
    parts = [
        _interpolate(clip.phase[rows], phase, values)
        for rows, (phase, values) in zip(clip.repetitions, lent, strict=True)
    ]
    inside = np.isfinite(clip.phase)
    known = np.concatenate(parts)
    return _interpolate(clip.time, clip.time[inside], known).astype(np.float32)


def _interpolate(
    x: Float[np.ndarray, " M"], known: Float[np.ndarray, " n"], values: Float[np.ndarray, "n C"]
) -> Float[np.ndarray, "M C"]:
    """`np.interp` of all columns at once."""
    place = np.interp(x, known, np.arange(len(known)))
    left = place.astype(int)
    right = np.minimum(left + 1, len(known) - 1)
    share = (place - left)[:, None]
    return values[left] * (1 - share) + values[right] * share


def _columns(side: str) -> list[int]:
    """Places in `ANGLES` of the angles of `_OWN`, of one side."""
    return [ANGLES.index(name if name in OF_TRUNK else f"{side}_{name}") for name in _OWN]


def _products(clip: ClipSeries, side: str) -> dict[str, np.ndarray]:
    """Muscle → [5, A] sums Σ1, Σx, Σx², Σy, Σxy of angles x of one side and its envelope y.

    Over the samples where both are known.
    """
    split = [vocabulary.split_channel(name) for name in clip.muscles]
    own = [c for c, (own_side, _) in enumerate(split) if own_side == side]
    if clip.angles is None or not own:
        return {}
    x = clip.angles[:, _columns(side)].astype(np.float64)
    seen, mask = np.isfinite(x), clip.mask[:, own]
    x, y = np.where(seen, x, 0.0), np.where(mask, clip.target[:, own], 0.0)
    ones, measured = seen.astype(np.float64), mask.astype(np.float64)
    pairs = ((ones, measured), (x, measured), (x * x, measured), (ones, y), (x, y))
    products = np.stack([a.T @ b for a, b in pairs])
    return {split[c][1]: products[:, :, i] for i, c in enumerate(own)}


def _windows(clip: ClipSeries) -> Float[np.ndarray, " W"]:
    if clip.starts is None:
        raise UserError(f"clock: clip {clip.clip_id!r} has no windows")
    return clip.starts


def _descriptor(clip: ClipSeries) -> Float[np.ndarray, "R K"]:
    if clip.descriptor is None:
        raise UserError(f"nearest_neighbour: clip {clip.clip_id!r} has no video descriptor")
    return clip.descriptor
