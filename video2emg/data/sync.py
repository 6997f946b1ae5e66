"""One clock for video and EMG: offset, drift, and an estimate to check the offset with."""

import dataclasses

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError

_RATE = 50.0  # Hz, at which the two signals are compared
_BLOCK = 1.0  # s, of the bootstrap


@dataclasses.dataclass(frozen=True)
class Clock:
    """How a recorder's clock lies on the video's: `video = offset + (1 + drift) · own`.

    Attributes:
      offset: s.
      drift: dimensionless; 20e-6 is a typical quartz.
    """

    offset: float = 0.0
    drift: float = 0.0

    def to_video(self, time: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """[N] s on the recorder's clock → [N] s on the video's."""
        return self.offset + (1 + self.drift) * time

    def rate(self, own: float) -> float:
        """A nominal rate of the recorder in samples per second of the video's clock, Hz."""
        return own / (1 + self.drift)


@dataclasses.dataclass(frozen=True)
class Offset:
    """An estimate, offered to the user and never applied by itself.

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
    """How much a grey picture changes, per second, and when (half-way between two frames, s)."""
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
    """Finds the shift of the EMG that makes effort and movement coincide best.

    Normalised cross-correlation over the overlap; the interval comes from resampling blocks of 1 s
    (moving-block bootstrap, Künsch 1989), so that a recording without distinct events shows a wide
    one. Muscles act some 50 ms before the movement they cause: the estimate carries that bias.

    Args:
      motion: [T] motion energy of the video.
      motion_time: [T] s on the video's clock.
      envelope: [N] EMG envelope, summed over muscles.
      envelope_time: [N] s on the recorder's clock.
      largest: shifts within ± this many seconds are tried.
      samples: of the bootstrap.
      seed: of the bootstrap.

    Raises:
      UserError: a signal is constant, or they overlap for less than two blocks at every shift.
    """
    start, end = motion_time[0], motion_time[-1]
    grid = np.arange(start, end, 1 / _RATE)
    x = _standard(np.interp(grid, motion_time, motion), "motion energy")
    e = _standard(envelope, "EMG envelope")
    lags = np.arange(-largest, largest + 0.5 / _RATE, 1 / _RATE)
    # [L, G]: the envelope as the video's clock would see it after each shift; NaN beyond its ends.
    shifted = np.stack([np.interp(grid - lag, envelope_time, e, np.nan, np.nan) for lag in lags])
    size = round(_BLOCK * _RATE)
    blocks = len(grid) // size
    cut = shifted[:, : blocks * size].reshape(len(lags), blocks, size)
    seen = np.isfinite(cut)
    if blocks < 2 or seen.any(2).sum(1).max() < 2:
        raise UserError(f"too short to compare: the signals overlap for less than {2 * _BLOCK:g} s")
    y, z = (
        np.where(seen, cut, 0.0),
        np.where(seen, x[: blocks * size].reshape(1, blocks, size), 0.0),
    )
    sums = np.stack(
        [seen.sum(2), y.sum(2), z.sum(2), (y * y).sum(2), (z * z).sum(2), (y * z).sum(2)]
    )
    least = 0.5 * seen.sum((1, 2)).max()
    found, correlation = _peak(sums.sum(2)[:, None], lags, least)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), samples)
    drawn, _ = _peak(np.einsum("slb,wb->swl", sums, weights), lags, least)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Offset(float(found[0]), float(low), float(high), float(correlation[0]))


def _standard(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    spread = values.std()
    if not spread > 0:
        raise UserError(f"cannot synchronise: the {name} is constant")
    return (values - values.mean()) / spread


def _peak(sums: np.ndarray, lags: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Best lag [W] and correlation [W] from sums [6, W, L]; parabola through the best three."""
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
