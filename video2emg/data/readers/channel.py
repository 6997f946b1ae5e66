"""One recorded signal with its own clock."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError

# Shares of the median step.
_JITTER = 0.25  # by which a time may differ from an even clock; a lost sample shifts by 0.5 or more
_LOST = 1.5  # a longer step is a gap
SAME_RATE = 0.005  # two rates that differ by less are the same; quartz clocks differ by 0.0001
_MOST_LOST = 0.05  # share of gaps up to which coarse times could hide lost samples
_FEWEST_LOST = 2e-4  # below, the gaps may be the drift of a quartz clock
_FEWEST_REPEATED = 10  # times; among fewer, a repeated one is an error and not coarse decimals
_COARSE = 0.4  # decimals worth more than this share of a step can hide a lost sample


@dataclasses.dataclass(frozen=True)
class Channel:
    """Samples at a fixed rate.

    Attributes:
      name: as in the file.
      values: [N] float64; NaN where the file has a gap.
      rate: Hz; NaN if the file does not contain it.
      start: of the first sample, s on the file's clock.
      unit: as in the file; empty if the file does not contain it.
      aliases: other names by which the file lets one call it, e.g. `column 2`.
      fault: why it cannot be used, as a message; empty if it can.
    """

    name: str
    values: Float[np.ndarray, " N"]
    rate: float = float("nan")
    start: float = 0.0
    unit: str = ""
    aliases: tuple[str, ...] = ()
    fault: str = ""

    @property
    def time(self) -> Float[np.ndarray, " N"]:
        """[N] s on the file's clock."""
        return self.start + np.arange(len(self.values)) / self.rate


def select(channels: Sequence[Channel], names: Sequence[str], where: str) -> list[Channel]:
    """The channels with these names, in this order.

    Raises:
      UserError: a name is missing or stands for two channels, or a channel cannot be used.
    """
    return [_find(channels, name, where) for name in names]


def _find(channels: Sequence[Channel], name: str, where: str) -> Channel:
    places = [f"channel {i + 1}" for i in range(len(channels))]
    matches = [i for i, channel in enumerate(channels) if channel.name == name]
    matches = matches or [i for i, channel in enumerate(channels) if name in channel.aliases]
    matches = matches or [i for i, place in enumerate(places) if place == name]
    if not matches:
        known = ", ".join(repr(channel.name) for channel in channels[:12])
        more = " …" if len(channels) > 12 else ""
        raise UserError(f"{where}: no channel {name!r}; it has {known}{more}")
    if len(matches) > 1:
        options = ", ".join(f"`{(channels[i].aliases or (places[i],))[-1]}`" for i in matches)
        raise UserError(
            f"{where}: {len(matches)} channels are called {name!r}; say which: {options}"
        )
    channel = channels[matches[0]]
    if channel.fault:
        raise UserError(channel.fault)
    return channel


def rate_of(time: Float[np.ndarray, " N"], where: str, nominal: float = float("nan")) -> float:
    """Rate of a time column, Hz: the slope of the line through its times.

    Each time may differ from the line by half of the last decimal that the column prints, and by a
    quarter of a step. Times that come in packets are accepted if their mean rate is the nominal
    one.

    Args:
      time: s, as printed.
      where: file and column, for messages.
      nominal: Hz, what the file's header or the user says; NaN if unknown.

    Returns:
      The nominal rate if the times agree with it to within their decimals, else the slope.

    Raises:
      UserError: times that do not increase evenly; the message names the first gap.
    """
    step = np.diff(time)
    repeated = bool((step == 0).any())
    if (
        len(time) < 2
        or not np.isfinite(time).all()
        or (step < 0).any()
        or (repeated and len(time) < _FEWEST_REPEATED)
    ):
        raise UserError(f"{where}: times must be finite and increase")
    digit = _last_digit(time)
    if repeated and (time[-1] - time[0] < 10 * digit or time[-1] == time[0]):
        raise UserError(
            f"{where}: {len(time)} times from {time[0]:.10g} to {time[-1]:.10g} s have lost their "
            "digits; export them with more decimals"
        )
    packets = bool((step == 0).mean() > 0.5)
    last = np.append(np.flatnonzero(step > 0), len(step))  # the last sample of each packet
    index = last if packets else np.arange(len(time))
    slope, off = _line(index, time[index])
    usual = float(np.median(np.diff(time[index]))) or slope
    # The line itself is off by up to a tenth of the last decimal.
    allowed = 0.6 * digit + _JITTER * usual + 1e-9 * abs(float(time[-1]))
    decimals = 2 * digit / float(time[-1] - time[0])  # relative error of the slope
    same = abs(slope * nominal - 1) <= max(SAME_RATE, decimals)
    if np.abs(off).max() > allowed and not (packets and same and step.max() < 3 * usual):
        raise _uneven(time, usual, digit, where)
    if same and (packets or np.ptp(time - np.arange(len(time)) / nominal) <= 2 * allowed):
        return nominal
    if not packets and digit > _COARSE * usual:
        _refuse_lost(step, usual, 1 / slope, where)
    return 1 / slope


def _line(index: np.ndarray, time: np.ndarray) -> tuple[float, np.ndarray]:
    """Slope of the line through the times by least squares, and the distances from it."""
    x, y = index - index.mean(), time - time.mean()
    slope = float(np.sum(x * y) / np.sum(x * x))
    return slope, y - slope * x


def _last_digit(time: np.ndarray) -> float:
    """The unit of the last printed decimal, s; 0 for times that were not rounded."""
    for decimals in range(10):
        scaled = time * 10.0**decimals
        if np.abs(scaled - np.round(scaled)).max() < 1e-6 + 4e-16 * np.abs(scaled).max():
            return 10.0**-decimals
    return 0.0


def _uneven(time: np.ndarray, usual: float, digit: float, where: str) -> UserError:
    step = np.diff(time)
    long = step > _LOST * usual + digit
    if not long.any():
        return UserError(
            f"{where}: times are not evenly spaced: steps of {step.min():.6g} to {step.max():.6g} "
            "s; resample before"
        )
    first = int(long.argmax())
    others = f" and {long.sum() - 1} more" if long.sum() > 1 else ""
    return UserError(
        f"{where}: times are not evenly spaced: a gap of {step[first]:.6g} s after "
        f"{time[first]:.6g} s{others}, where a step is {usual:.6g} s; split the file there, or "
        "fill the gap"
    )


def _refuse_lost(step: np.ndarray, usual: float, rate: float, where: str) -> None:
    """Refuses coarse times that fit a lower rate as well as lost samples."""
    lost = step > _LOST * usual
    if _FEWEST_LOST < lost.mean() < _MOST_LOST and not (step < 0.5 * usual).any():
        raise UserError(
            f"{where}: times are not evenly spaced: {lost.sum()} steps are longer than "
            f"{usual:.6g} s, the first after {lost.argmax()} steps; either samples were lost, or "
            f"the rate is {rate:.6g} Hz: then say so in the table"
        )
