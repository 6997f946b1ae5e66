"""One clock for video and EMG: offset and drift, and an estimate of the offset to check it with."""

import dataclasses

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError

_RATE = 50.0  # Hz, at which the two signals are compared
_BLOCK = 1.0  # s, length of the bootstrap's blocks
_FARTHEST = 30.0  # s: shifts beyond those asked for are looked at up to here, to warn of them
_CLEARLY = 0.25  # by which a correlation beyond the search must be larger


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
    """

    seconds: float
    low: float
    high: float
    correlation: float


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
    lag, correlation = _peak(sums.sum(2)[:, None], lags, least)
    _refuse_better_beyond(x, e, grid, envelope_time, largest, least, float(correlation[0]))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), samples)
    resampled, _ = _peak(np.einsum("slb,wb->swl", sums, weights), lags, least)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Offset(float(lag[0]), float(low), float(high), float(correlation[0]))


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
    lag, correlation = (float(a[0]) for a in _peak(sums.sum(2)[:, None], lags, least))
    if correlation > within + _CLEARLY:
        raise UserError(
            f"cannot synchronise: nothing fits within ±{largest:g} s (r = {within:.2f}), but the "
            f"signals fit at about {lag:+.1f} s (r = {correlation:.2f}): search further "
            f"(largest={np.ceil(abs(lag) + 1):g})"
        )


def _block_sums(
    x: np.ndarray, e: np.ndarray, grid: np.ndarray, envelope_time: np.ndarray, lags: np.ndarray
) -> np.ndarray:
    """[6, L, blocks] sums of `_peak`, of each block of the motion and the envelope at each lag."""
    size = round(_BLOCK * _RATE)
    blocks = len(grid) // size
    # [L, G]: the envelope on the video's clock after each shift; NaN beyond its ends.
    shifted = np.stack([np.interp(grid - lag, envelope_time, e, np.nan, np.nan) for lag in lags])
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


def _peak(sums: np.ndarray, lags: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Lag [W] and value [W] of the largest correlation.

    Args:
      sums: [6, W, L] number of samples, sums of y, z, y², z² and yz, for each of W resamplings and
        each lag.
      lags: [L] s.
      least: samples below which a correlation does not count.

    Returns:
      Lags at the top of the parabola through the largest value and its neighbours, and the values.
    """
    n, sy, sz, syy, szz, syz = sums
    enough = n >= least
    n = np.maximum(n, 1)
    power = (syy - sy * sy / n) * (szz - sz * sz / n)
    r = np.where(enough & (power > 0), (syz - sy * sz / n) / np.sqrt(np.maximum(power, 1e-12)), -1)
    best = np.clip(r.argmax(1), 1, len(lags) - 2)
    rows = np.arange(len(r))
    a, b, c = r[rows, best - 1], r[rows, best], r[rows, best + 1]
    bend = a - 2 * b + c
    shift = np.where(bend < 0, 0.5 * (a - c) / np.where(bend < 0, bend, 1.0), 0.0)
    return lags[best] + np.clip(shift, -0.5, 0.5) * (lags[1] - lags[0]), b
