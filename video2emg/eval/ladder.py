"""The ladder to a real person: what is predicted with k measured repetitions, by several means.

Every exercise of a person is calibrated on its own. k repetitions are drawn by a seed and nested:
those of k = 2 are among those of k = 5. The same other repetitions are predicted for every k.

What a prediction may know of the person's EMG is in the k repetitions. The person's 99th percentile
(p99) over all repetitions is the unit of the scores only. N samples, C channels, Q curves.
"""

import collections
import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from video2emg.core.joint_angles import ANGLES, angles_of_muscles
from video2emg.data.delay import Delay
from video2emg.eval import delay as delay_lib
from video2emg.eval.baselines import Kinematic, Template
from video2emg.eval.constant_baselines import ActionMean, Baseline
from video2emg.eval.person_calibration import (
    CANDIDATES,
    Part,
    PersonCalibration,
    samples_of,
    with_context,
)
from video2emg.eval.regressors import ClipFeatures, Ridge
from video2emg.eval.series import ClipSeries
from video2emg.eval.shrinkage import PersonPrior, Samples, percentile_99

CONTEXT = 0.6  # s before and after, of the joint angles of ridge regression
LEVEL = 0.8  # share of the samples that a band should cover
_OFFSETS = (-CONTEXT, -CONTEXT / 2, 0.0, CONTEXT / 2, CONTEXT)
_PIECE = 4.0  # s, of free movement that counts as one repetition
_SHARE = 1 / 3  # of a person's repetitions that are never revealed, at least
# How much more than the model's the EMG of one person follows the load: an exponent. People lift
# according to their strength, so a model that is told the load learns too little of what a heavier
# load means to one person. Of 0, 0.25, 0.5 and 0.75, this has the highest skill after one and after
# two repetitions on `gymsim/loads`, people of the usual anatomy (docs/transfer.md).
LOAD_RESPONSE = 0.25
_FOLDS = 10  # of people, for the ridge regression of other people

MODEL, GAIN = "model", "model, gain and offset"
PHYSICS, CLEANED = "physics", "physics, cleaned pose"
ANGLE, KINEMATIC, RIDGE = "angle of the joint", "kinematic", "ridge"
OTHERS, CURVE = "ridge of other people", "mean curve"
ROWS = {
    MODEL: "the model, louder for the heavier of a person's loads (`load_response`); from k = 1 on "
    "calibrated by what is best within the k repetitions",
    GAIN: "the model with gain and offset of each channel",
    PHYSICS: "mechanics alone; from k = 1 on with gain and offset",
    CLEANED: "the same of the pose that the model has cleaned, if it cleans poses",
    ANGLE: "flexion of the joint that the muscle moves, nothing learned",
    KINEMATIC: "an affine function of the best single joint angle, fitted to the k repetitions",
    RIDGE: f"ridge regression on joint angles within ±{CONTEXT:g} s, of the k repetitions",
    OTHERS: "the same of other people; from k = 1 on with gain and offset",
    CURVE: "mean curve of the k repetitions by place in the repetition (or clip), which it is told",
}


@dataclasses.dataclass(frozen=True)
class Recording:
    """A clip and what is predicted for it.

    Attributes:
      series: the clip; its envelope in the unit of the source, its joint angles if it has a pose.
      curves: [N, Q] the model's curves of all muscles that it knows, as fractions of the MVC.
      own: [N, C] those of the channels.
      physics: [N, C] what mechanics predict, by row (`PHYSICS`, `CLEANED`), NaN where they know
        nothing; empty without a pose.
      mvc: [C] envelope at maximal contraction in the unit of the source, NaN if it was not taken.
      prime: [C] whether the channel is a prime mover of the exercise; all False if the dataset
        does not name them.
      load: kg; NaN if it is unknown.
    """

    series: ClipSeries
    curves: Float[np.ndarray, "N Q"]
    own: Float[np.ndarray, "N C"]
    physics: Mapping[str, Float[np.ndarray, "N C"]]
    mvc: Float[np.ndarray, " C"]
    prime: Bool[np.ndarray, " C"]
    load: float = math.nan

    @property
    def owner(self) -> tuple[str, str]:
        """Person and exercise."""
        return self.series.subject, self.series.action


class Piece(NamedTuple):
    """One repetition: rows `first` to before `last` of a recording."""

    recording: int
    first: int
    last: int

    @property
    def rows(self) -> slice:
        """As a slice."""
        return slice(self.first, self.last)


@dataclasses.dataclass(frozen=True)
class Group:
    """An exercise of a person: repetitions that may be revealed, in order; those that are asked."""

    subject: str
    action: str
    pool: Sequence[Piece]
    asked: Sequence[Piece]


@dataclasses.dataclass
class Rung:
    """All rows at one k, for the R repetitions that are asked.

    Attributes:
      k: revealed repetitions of each exercise of each person.
      delays: by person, from the k repetitions; for k = 0 from all that may be revealed.
      series: [R] what was measured, as a fraction of the person's p99.
      late: [R] the EMG that the rows follow: for k = 0 the same, earlier by the person's delay;
        else `series`, because the rows are fitted to it.
      prime: [R] which channels [C] are prime movers of the exercise.
      rows: name → [R] predictions [N, C], in the same unit.
      reference: [R] the mean of the k repetitions; none for k = 0.
      bands: [R] half-widths [C] of the bands of the calibrated model; none for k = 0.
      weights: of the candidates of the calibration, a mean over channels for each exercise of each
        person; none for k = 0.
      has_unit: whether MVCs give the predictions of k = 0 a size.
      dropped: rows that are left out because they are not there for all exercises of all people.
    """

    k: int
    delays: Mapping[str, Delay]
    series: list[ClipSeries] = dataclasses.field(default_factory=list)
    late: list[ClipSeries] = dataclasses.field(default_factory=list)
    prime: list[np.ndarray] = dataclasses.field(default_factory=list)
    rows: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    reference: list[np.ndarray] = dataclasses.field(default_factory=list)
    bands: list[np.ndarray] = dataclasses.field(default_factory=list)
    weights: list[dict[str, float]] = dataclasses.field(default_factory=list)
    has_unit: bool = True
    dropped: tuple[str, ...] = ()

    def add(self, name: str, predictions: Sequence[np.ndarray]) -> None:
        """Adds predictions of further repetitions to a row."""
        self.rows.setdefault(name, []).extend(np.asarray(p, np.float32) for p in predictions)


def with_load_response(recordings: Sequence[Recording], exponent: float) -> list[Recording]:
    """The recordings with the model's curves times (load / usual load) ** exponent.

    The usual load is the geometric mean of what the person lifts in the exercise. Recordings
    without a load stay as they are.
    """
    loads: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for recording in recordings:
        if recording.load > 0:
            loads[recording.owner].append(recording.load)
    usual = {owner: stats.gmean(own) for owner, own in loads.items()}
    result = []
    for recording in recordings:
        factor = 1.0
        if recording.load > 0:
            factor = float((recording.load / usual[recording.owner]) ** exponent)
        curves, own = recording.curves * factor, recording.own * factor
        result.append(dataclasses.replace(recording, curves=curves, own=own))
    return result


def pieces(series: ClipSeries, number: int) -> list[Piece]:
    """The repetitions of recording `number`; of free movement, pieces of 4 s."""
    if series.repetitions:
        spans = [(rows.start, rows.stop) for rows in series.repetitions]
        return [Piece(number, first, last) for first, last in spans if last - first > 1]
    rate = (len(series.time) - 1) / float(series.time[-1] - series.time[0])
    length = min(round(_PIECE * rate), len(series.time))
    starts = range(0, len(series.time) - length + 1, length)
    return [Piece(number, start, start + length) for start in starts]


def groups(recordings: Sequence[Recording], most: int, seed: int) -> list[Group]:
    """Repetitions of each exercise of each person; those with a single repetition are left out.

    Args:
      recordings: all of them.
      most: repetitions that are revealed, at most; at least a third and one are never revealed.
      seed: of the order.
    """
    by_exercise: dict[tuple[str, str], list[Piece]] = collections.defaultdict(list)
    for number, recording in enumerate(recordings):
        series = recording.series
        by_exercise[recording.owner] += pieces(series, number)
    result = []
    for (subject, action), own in sorted(by_exercise.items()):
        if len(own) < 2:
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{subject}/{action}".encode())])
        order = [own[i] for i in rng.permutation(len(own))]
        pool = min(most, len(own) - max(1, round(_SHARE * len(own))))
        result.append(Group(subject, action, order[:pool], order[pool:]))
    return result


class Ladder:
    """Predictions for repetitions that are asked, with k others revealed."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        most: int,
        seed: int = 0,
        apply_lag: bool = False,
        load_response: float = LOAD_RESPONSE,
        prior: PersonPrior | None = None,
    ) -> None:
        """Draws the repetitions and fits what does not depend on k.

        Args:
          recordings: of all people.
          most: largest k.
          seed: of the draw.
          apply_lag: whether each person's EMG is moved by the delay found in the k repetitions.
          load_response: see `with_load_response`.
          prior: how calibrations differ between people, if it was learned.
        """
        self.groups = groups(recordings, most, seed)
        self._apply_lag, self._prior = apply_lag, prior
        self._data = _Data(with_load_response(recordings, load_response))
        self._pool_delays = self._delays(most)
        self._others = self._ridge_of_others()

    def rung(self, k: int) -> Rung:
        """All rows with k repetitions revealed; exercises with fewer are left out."""
        delays = self._delays(k) if k else self._pool_delays
        rung = Rung(k=k, delays=delays)
        for group in self.groups:
            if len(group.pool) < k:
                continue
            seconds = delays[group.subject].seconds
            applied = seconds if self._apply_lag and k else 0.0
            followed = applied if k else seconds
            p99 = self._data.p99[group.subject, group.action]
            for piece in group.asked:
                rung.series.append(self._data.series(piece, p99, applied))
                rung.late.append(self._data.series(piece, p99, followed))
                rung.prime.append(self._data.prime(piece))
            if k:
                _calibrate(self._data, self._others, group, applied, rung, self._prior)
            else:
                _zero_shot(self._data, self._others, group, rung)
        count = len(rung.series)
        rung.dropped = tuple(name for name, values in rung.rows.items() if len(values) < count)
        for name in rung.dropped:
            del rung.rows[name]
        return rung

    def samples(self) -> list[Samples]:
        """All repetitions of each exercise of each person, to learn how people differ."""
        people = []
        for group in self.groups:
            moved = self._pool_delays[group.subject].seconds if self._apply_lag else 0.0
            pieces_ = (*group.pool, *group.asked)
            people.append(samples_of([self._data.part(piece, 1.0, moved) for piece in pieces_]))
        return people

    def _delays(self, k: int) -> dict[str, Delay]:
        """By person, from k repetitions of each exercise."""
        known: dict[str, list[Piece]] = collections.defaultdict(list)
        for group in self.groups:
            known[group.subject] += group.pool[:k]
        return {
            subject: delay_lib.estimate(
                [self._data.series(piece) for piece in own],
                [self._data.cut(piece, "own") for piece in own],
            )
            for subject, own in known.items()
        }

    def _ridge_of_others(self) -> dict[Piece, np.ndarray]:
        """What ridge regression of other people predicts, as a fraction of a person's p99."""
        curves: dict[Piece, np.ndarray] = {}
        for action in sorted({group.action for group in self.groups}):
            own = [group for group in self.groups if group.action == action]
            if len(own) < 2 or not all(self._data.has_pose(group.asked[0]) for group in own):
                continue
            clips = [self._features(group) for group in own]
            for left_out in np.array_split(np.arange(len(own)), min(len(own), _FOLDS)):
                train = [x for i, part in enumerate(clips) if i not in left_out for x in part]
                ridge = Ridge(penalty=1e-2, context=CONTEXT).fit(train)
                for i in left_out:
                    asked = (*own[i].pool, *own[i].asked)
                    predicted = map(ridge.predict, clips[i])
                    curves |= dict(zip(asked, predicted, strict=True))
        return curves

    def _features(self, group: Group) -> list[ClipFeatures]:
        """Joint angles and EMG of all repetitions of a group, as other people's.

        All of their EMG is known, so it is always moved by their delay.
        """
        moved = self._pool_delays[group.subject].seconds
        p99 = self._data.p99[group.subject, group.action]
        features = []
        for piece in (*group.pool, *group.asked):
            series = self._data.series(piece, p99, moved)
            features.append(ClipFeatures(series, self._data.cut(piece, "now"), series.time))
        return features


class _Data:
    """Repetitions of the recordings.

    Attributes:
      p99: [C] by person and exercise: 99th percentile of each channel over all repetitions.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = list(recordings)
        self._angles = [_angles(recording.series) for recording in recordings]
        owner: dict[tuple[str, str], list[ClipSeries]] = collections.defaultdict(list)
        for recording in recordings:
            owner[recording.owner].append(recording.series)
        self.p99 = {key: _p99(own) for key, own in owner.items()}

    def has_pose(self, piece: Piece) -> bool:
        return self._recordings[piece.recording].series.angles is not None

    def prime(self, piece: Piece) -> Bool[np.ndarray, " C"]:
        """Which channels are prime movers of the exercise."""
        return self._recordings[piece.recording].prime

    def mvc(self, piece: Piece) -> Float[np.ndarray, " C"] | None:
        """None if it is unknown."""
        mvc = self._recordings[piece.recording].mvc
        return mvc if np.isfinite(mvc).all() else None

    def cut(self, piece: Piece, what: str) -> np.ndarray:
        """The rows of a repetition of what is predicted or seen, finite.

        Args:
          piece: the repetition.
          what: own, curves; angles, with context; now, without; joint, of each channel.
        """
        recording, rows = self._recordings[piece.recording], piece.rows
        if what in ("angles", "now", "joint"):
            angles, a = self._angles[piece.recording][rows], len(ANGLES)
            now = angles[:, 2 * a : 3 * a]
            if what == "joint":
                return np.nan_to_num(angles_of_muscles(now, recording.series.muscles))
            return angles if what == "angles" else now
        return np.nan_to_num(getattr(recording, what)[rows])

    def physics(self, piece: Piece) -> dict[str, np.ndarray]:
        """The rows of a repetition of what mechanics predict, finite, by name."""
        predicted = self._recordings[piece.recording].physics
        return {name: np.nan_to_num(curves[piece.rows]) for name, curves in predicted.items()}

    def part(self, piece: Piece, unit: np.ndarray | float, moved: float) -> Part:
        """A repetition as the calibration takes it, with the model's own curves."""
        series = self.series(piece, unit, moved)
        own, curves, angles = (self.cut(piece, what) for what in ("own", "curves", "angles"))
        return Part(series.time, own, curves, angles, series.target, series.mask)

    def series(
        self, piece: Piece, unit: np.ndarray | float = 1.0, moved: float = 0.0
    ) -> ClipSeries:
        """What was measured in a repetition, in a unit, with the EMG `moved` s earlier."""
        whole, rows = self._recordings[piece.recording].series, piece.rows
        if moved:
            whole = delay_lib.shifted(whole, moved)
        return dataclasses.replace(
            whole,
            clip_id=f"{whole.clip_id}@{whole.time[rows.start]:.2f}",
            time=whole.time[rows],
            phase=whole.phase[rows],
            target=(whole.target[rows] / unit).astype(np.float32),
            mask=whole.mask[rows],
            scale=None,
            starts=None,
            angles=None if whole.angles is None else whole.angles[rows],
        )


def _zero_shot(data: _Data, others: Mapping[Piece, np.ndarray], group: Group, rung: Rung) -> None:
    """Adds what is predicted for a group with no EMG of the person."""
    p99 = data.p99[group.subject, group.action]
    for piece in group.asked:
        mvc = data.mvc(piece)
        rung.has_unit &= mvc is not None
        unit = 1.0 if mvc is None else mvc / p99
        rung.add(MODEL, [data.cut(piece, "own") * unit])
        for name, curves in data.physics(piece).items():
            rung.add(name, [curves * unit])
        if data.has_pose(piece):
            rung.add(ANGLE, [data.cut(piece, "joint")])
        if piece in others:
            rung.add(OTHERS, [others[piece]])


def _calibrate(
    data: _Data,
    others: Mapping[Piece, np.ndarray],
    group: Group,
    moved: float,
    rung: Rung,
    prior: PersonPrior | None,
) -> None:
    """Adds what is predicted for a group with `rung.k` repetitions revealed."""
    known, asked = list(group.pool[: rung.k]), list(group.asked)
    mvc = data.mvc(known[0])
    # The unit of all fits: the person's p99 would be of repetitions that are not revealed, too.
    unit = _p99([data.series(piece) for piece in known]) if mvc is None else mvc
    back = unit / data.p99[group.subject, group.action]
    revealed = [data.series(piece, unit, moved) for piece in known]
    blank = [data.series(piece, unit, moved) for piece in asked]

    def part(piece: Piece, curve: np.ndarray) -> Part:
        return dataclasses.replace(data.part(piece, unit, moved), own=curve)

    def calibrated(name: str, candidates: Sequence[str], own: Mapping[Piece, np.ndarray]):
        fit = PersonCalibration(candidates, prior)
        fit.fit([part(piece, own[piece]) for piece in known])
        rung.add(name, [fit.predict(part(piece, own[piece])) * back for piece in asked])
        return fit

    def baseline(name: str, fitted: Baseline) -> None:
        rung.add(name, [fitted.predict(series) * back for series in blank])

    own = {piece: data.cut(piece, "own") for piece in (*known, *asked)}
    names = [name for name in CANDIDATES if name != "none" or mvc is not None]
    fit = calibrated(MODEL, names, own)
    rung.weights.append(dict(zip(fit.candidates, fit.weights.mean(1), strict=True)))
    rung.bands += [fit.band(LEVEL) * back] * len(asked)
    calibrated(GAIN, ["offset"], own)
    baseline(CURVE, Template().fit(revealed))
    mean = ActionMean().fit(revealed)
    rung.reference += [mean.predict(series) * back for series in blank]
    if data.has_pose(known[0]):
        calibrated(RIDGE, ["ridge"], own)
        physics = {piece: data.physics(piece) for piece in own}
        for name in physics[known[0]]:
            curves = {piece: rows[name] for piece, rows in physics.items()}
            calibrated(name, ["gain", "offset"], curves)
        baseline(KINEMATIC, Kinematic().fit(revealed))
    if known[0] in others:
        calibrated(OTHERS, ["gain", "offset"], others)


def _p99(series: Sequence[ClipSeries]) -> Float[np.ndarray, " C"]:
    """99th percentile of what was measured, per channel; 1 where nothing was."""
    return percentile_99(
        np.concatenate([one.target for one in series]), np.concatenate([one.mask for one in series])
    )


def _angles(series: ClipSeries) -> Float[np.ndarray, "N E"]:
    """Joint angles with context, finite; no column without a pose."""
    if series.angles is None:
        return np.zeros((len(series.time), 0))
    return with_context(series.angles, series.time, _OFFSETS)
