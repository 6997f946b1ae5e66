"""One clock for video and EMG: offset and drift, and an estimate of the offset to check it with."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import signal

from video2emg.core.errors import UserError

_RATE = 50.0  # Hz, at which the two signals are compared
_BLOCK = 1.0  # s, length of the bootstrap's blocks
_FARTHEST = 30.0  # s: shifts beyond those asked for are looked at up to here, to warn of them
_CLEARLY = 0.25  # by which a correlation beyond the search must be larger
_NEARLY = 0.1  # by which the correlation at a rival shift may be smaller
_APART = 0.25  # s, between the best shift and a rival one
_RECORDINGS = 4  # from so many on, the bootstrap draws recordings instead of blocks


@dataclasses.dataclass(frozen=True)
class Clock:
    """From a recorder's clock to the video's: `video = offset + (1 + drift) · recorder`.

    Attributes:
      offset: s.
      drift: dimensionless; 20e-6 is typical of a quartz clock.
    """

    offset: float = 0.0
    drift: float = 0.0

    def to_video(self, time: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """[N] s on the recorder's clock → [N] s on the video's."""
        return self.offset + (1 + self.drift) * time

    def rate(self, nominal: float) -> float:
        """Sampling rate by the video's clock, of a nominal rate by the recorder's, Hz."""
        return nominal / (1 + self.drift)


@dataclasses.dataclass(frozen=True)
class Offset:
    """An estimated offset between EMG and video; the user decides whether to apply it.

    Attributes:
      seconds: to add to the EMG's times.
      low, high: 95 % bootstrap interval, s.
      correlation: of the two signals after the shift.
      rivals: other shifts, s, that fit nearly as well, best first; a periodic movement has some.
    """

    seconds: float
    low: float
    high: float
    correlation: float
    rivals: tuple[float, ...] = ()


def motion_energy(
    video: Float[np.ndarray, "T H W"], time: Float[np.ndarray, " T"]
) -> tuple[Float[np.ndarray, " T1"], Float[np.ndarray, " T1"]]:
    """Mean absolute change per second between the frames of a grey video, and its times.

    Args:
      video: grey values.
      time: of the frames, s.

    Returns:
      Change per second, and the instants half-way between two frames, s.
    """
    change = np.abs(np.diff(video, axis=0)).mean((1, 2)) / np.diff(time)
    return change, (time[1:] + time[:-1]) / 2


def estimate_offset(
    motion: Float[np.ndarray, " T"],
    motion_time: Float[np.ndarray, " T"],
    envelope: Float[np.ndarray, " N"],
    envelope_time: Float[np.ndarray, " N"],
    largest: float = 5.0,
    samples: int = 500,
    seed: int = 0,
) -> Offset:
    """Finds the shift of the EMG at which effort and movement correlate best.

    Normalised cross-correlation over the overlap. The interval comes from resampling blocks of 1 s
    (block bootstrap, Künsch 1989); it is wide if the recording has no distinct events. Muscles act
    some 50 ms before the movement that they cause; the estimate has this bias.

    Args:
      motion: [T] motion energy of the video.
      motion_time: [T] s on the video's clock.
      envelope: [N] EMG envelope, summed over muscles.
      envelope_time: [N] s on the recorder's clock.
      largest: shifts within ± this many seconds are tried.
      samples: number of bootstrap samples.
      seed: of the bootstrap.

    Raises:
      UserError: a signal is constant or not finite, they overlap for less than two blocks at every
        shift, or they fit clearly better at a shift beyond `largest`.
    """
    grid = np.arange(motion_time[0], motion_time[-1], 1 / _RATE)
    _standardise(motion, "motion energy")
    x = _standardise(np.interp(grid, motion_time, motion), "motion energy")
    e = _standardise(envelope, "EMG envelope")
    lags = np.arange(-largest, largest + 0.5 / _RATE, 1 / _RATE)
    blocks = len(grid) // round(_BLOCK * _RATE)
    sums = _block_sums(x, e, grid, envelope_time, lags)
    if blocks < 2 or (sums[0] > 0).sum(1).max() < 2:
        raise UserError(f"too short to compare: the signals overlap for less than {2 * _BLOCK:g} s")
    least = 0.5 * sums[0].sum(1).max()
    offset = _offset(sums, lags, samples, seed)
    _refuse_better_beyond(x, e, grid, envelope_time, largest, least, offset.correlation)
    return offset


# [T, C] of the movement, [T] s, [N, C] of the EMG, [N] s: column c belongs to column c.
Recording = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pooled_offset(
    recordings: Sequence[Recording],
    weights: Sequence[Float[np.ndarray, " C"]] | None = None,
    largest: float = 1.5,
    samples: int = 500,
    seed: int = 0,
) -> Offset:
    """One shift of the EMG for several short recordings of several muscles.

    As `estimate_offset`, but with the correlation over all recordings and columns together.
    Columns count whatever their level and size. The bootstrap draws whole recordings, and blocks
    if there are few.

    Args:
      recordings: what the movement says of each muscle, e.g. a prediction, and its EMG.
      weights: how much each column of each recording counts; by default all the same.
      largest: shifts within ± this many seconds are tried.
      samples: number of bootstrap samples.
      seed: of the bootstrap.

    Raises:
      UserError: no column varies in both, or the recordings are too short for such a shift.
    """
    lags = np.arange(-largest, largest + 0.5 / _RATE, 1 / _RATE)
    if weights is None:
        weights = [np.ones(motion.shape[1]) for motion, *_ in recordings]
    largest_weight = max((np.nanmax(w, initial=0.0) for w in weights), default=0.0) or 1.0
    parts = []
    for weight, (motion, motion_time, envelope, envelope_time) in zip(
        weights, recordings, strict=True
    ):
        grid = np.arange(motion_time[0], motion_time[-1], 1 / _RATE)
        total = 0.0
        for w, x, e in zip(weight / largest_weight, motion.T, envelope.T, strict=True):
            if np.isfinite(x).all() and np.isfinite(e).all() and x.std() > 0 and e.std() > 0:
                x = _standardise(np.interp(grid, motion_time, x), "movement")
                e = _standardise(e, "EMG envelope")
                sums = _block_sums(x, e, grid, envelope_time, lags, 0.5 * _BLOCK)
                total = total + w * sums
        if np.ndim(total) and len(grid) > largest * _RATE:
            parts.append(total)
    if not parts:
        raise UserError(f"no recording of more than {largest:g} s with a movement and EMG")
    if len(parts) >= _RECORDINGS:
        parts = [part.sum(2, keepdims=True) for part in parts]
    return _offset(np.concatenate(parts, 2), lags, samples, seed)


def _offset(sums: np.ndarray, lags: np.ndarray, samples: int, seed: int) -> Offset:
    """The best shift by the sums [6, L, blocks] of `_block_sums`; blocks are drawn again."""
    r = _correlations(sums.sum(2)[:, None], 0.5 * sums[0].sum(1).max())
    lag, correlation = _peak(r, lags)
    blocks = sums.shape[2]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), samples)
    drawn = np.einsum("slb,wb->swl", sums, weights)
    resampled, _ = _peak(_correlations(drawn, 0.5 * drawn[0].max(1, keepdims=True)), lags)
    low, high = np.percentile(resampled, [2.5, 97.5])
    tops = signal.find_peaks(r[0])[0]
    tops = tops[np.argsort(-r[0, tops])]
    near = (r[0, tops] > correlation[0] - _NEARLY) & (np.abs(lags[tops] - lag[0]) > _APART)
    rivals = tuple(round(float(shift), 2) for shift in lags[tops[near]])
    return Offset(float(lag[0]), float(low), float(high), float(correlation[0]), rivals)


def _refuse_better_beyond(
    x: np.ndarray,
    e: np.ndarray,
    grid: np.ndarray,
    envelope_time: np.ndarray,
    largest: float,
    least: float,
    within: float,
) -> None:
    """Refuses if a shift beyond `largest` s gives a clearly larger correlation than `within`."""
    far = np.arange(largest, min(_FARTHEST, 0.5 * (grid[-1] - grid[0])), 5 / _RATE)
    if len(far) < 3:
        return
    lags = np.concatenate([-far[::-1], far])
    sums = _block_sums(x, e, grid, envelope_time, lags)
    r = _correlations(sums.sum(2)[:, None], least)
    lag, correlation = (float(a[0]) for a in _peak(r, lags))
    if correlation > within + _CLEARLY:
        raise UserError(
            f"cannot synchronise: nothing fits within ±{largest:g} s (r = {within:.2f}), but the "
            f"signals fit at about {lag:+.1f} s (r = {correlation:.2f}): search further "
            f"(largest={np.ceil(abs(lag) + 1):g})"
        )


def _block_sums(
    x: np.ndarray,
    e: np.ndarray,
    grid: np.ndarray,
    envelope_time: np.ndarray,
    lags: np.ndarray,
    block: float = _BLOCK,
) -> np.ndarray:
    """[6, L, blocks] sums of `_correlations`, of each block of the motion, at each lag."""
    size = round(block * _RATE)
    blocks = len(grid) // size
    # [L, G]: the envelope on the video's clock after each shift; NaN beyond its ends.
    shifted = np.interp(grid - lags[:, None], envelope_time, e, np.nan, np.nan)
    y = shifted[:, : blocks * size].reshape(len(lags), blocks, size)
    overlap = np.isfinite(y)
    y = np.where(overlap, y, 0.0)
    z = np.where(overlap, x[: blocks * size].reshape(1, blocks, size), 0.0)
    return np.stack([values.sum(2) for values in (overlap, y, z, y * y, z * z, y * z)])


def _standardise(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        first = int((~np.isfinite(values)).argmax())
        raise UserError(f"cannot synchronise: the {name} is not finite at sample {first + 1}")
    deviation = values.std()
    if not deviation > 0:
        raise UserError(f"cannot synchronise: the {name} is constant")
    return (values - values.mean()) / deviation


def _correlations(sums: np.ndarray, least: float | np.ndarray) -> np.ndarray:
    """[W, L] correlations, -1 where fewer than `least` samples count.

    Args:
      sums: [6, W, L] number of samples, sums of y, z, y², z² and yz, for each of W resamplings and
        each lag.
      least: samples; one number, or [W, 1].
    """
    n, sy, sz, syy, szz, syz = sums
    enough = n >= least
    n = np.maximum(n, 1)
    power = (syy - sy * sy / n) * (szz - sz * sz / n)
    covariance = (syz - sy * sz / n) / np.sqrt(np.maximum(power, 1e-12))
    return np.where(enough & (power > 0), covariance, -1)


def _peak(r: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lags [W] at the top of the parabola through the largest r [W, L] and its neighbours; r."""
    best = np.clip(r.argmax(1), 1, len(lags) - 2)
    rows = np.arange(len(r))
    a, b, c = r[rows, best - 1], r[rows, best], r[rows, best + 1]
    bend = a - 2 * b + c
    shift = np.where(bend < 0, 0.5 * (a - c) / np.where(bend < 0, bend, 1.0), 0.0)
    return lags[best] + np.clip(shift, -0.5, 0.5) * (lags[1] - lags[0]), b
