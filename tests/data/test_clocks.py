"""Time columns of any rate, rounding and gap: the right rate, or the place of the gap."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from video2emg.core.errors import UserError
from video2emg.data.readers import text
from video2emg.data.readers.channel import rate_of

RATES = st.sampled_from([30.0, 59.94, 60.0, 100.0, 148.148, 200.0, 1000.0, 1259.2593, 2000.0])


def even(rate, samples, decimals, start):
    return np.round(start + np.arange(samples) / rate, decimals)


@example(rate=2000.0, samples=500, decimals=3, start=0.0)
@example(rate=60.0, samples=60, decimals=3, start=0.0)
@example(rate=2000.0, samples=71, decimals=3, start=0.5)  # ties are rounded both ways
@example(rate=2000.0, samples=50, decimals=3, start=0.5)
@given(rate=RATES, samples=st.integers(50, 400), decimals=st.integers(3, 9), start=st.floats(0, 50))
def test_rounded_times_give_the_rate_within_their_decimals(rate, samples, decimals, start):
    time = even(rate, samples, decimals, start)
    found = rate_of(time, "here")
    error = 10.0**-decimals / (samples / rate)  # of the duration, relative
    assert found == pytest.approx(rate, rel=2 * error + 1e-9)
    assert rate_of(time, "here", rate) == pytest.approx(rate, rel=1e-9)


@given(
    rate=RATES,
    samples=st.integers(100, 400),
    lost=st.integers(4, 30),
    share=st.floats(0.2, 0.8),
    decimals=st.integers(4, 9),
)
def test_a_gap_is_named_with_its_place(rate, samples, lost, share, decimals):
    time = even(rate, samples + lost, decimals, 1.0)
    first = int(share * samples)
    broken = np.delete(time, np.arange(first, first + lost))
    with pytest.raises(UserError, match=f"gap of .* s after {time[first - 1]:.6g} s"):
        rate_of(broken, "here")


@pytest.mark.parametrize("decimals", [3, 4, 6, 9])
@pytest.mark.parametrize("how", ["every hundredth", "at random"])
def test_one_lost_sample_in_a_hundred_does_not_pass(decimals, how):
    time = even(1000.0, 5000, decimals, 0.0)
    if how == "at random":
        lost = np.random.default_rng(0).choice(5000, 50, replace=False)
    else:
        lost = np.arange(99, 5000, 100)
    for nominal in (np.nan, 1000.0):
        with pytest.raises(UserError, match="not evenly spaced"):
            rate_of(np.delete(time, lost), "here", nominal)


def test_packets_need_their_nominal_rate_to_agree():
    rng = np.random.default_rng(0)
    packets = np.arange(100) * 0.04 + rng.uniform(0, 0.02, 100)
    time = np.repeat(packets, 10)
    assert rate_of(time, "here", 250.0) == 250.0
    with pytest.raises(UserError, match="not evenly spaced"):
        rate_of(time, "here")
    time[500:] += 1.0
    with pytest.raises(UserError, match=r"gap of 1\.\d* s after"):
        rate_of(time, "here", 250.0)


@pytest.mark.parametrize("value", [1.70e9, 0.0])
def test_times_without_their_digits(value):
    with pytest.raises(UserError, match="lost their digits"):
        rate_of(np.full(2000, value), "here", 2000.0)


@pytest.mark.parametrize("time", [[0, 1, 1], [0, 2, 1, 3], [0, np.nan, 2], [0]])
def test_times_that_do_not_increase(time):
    with pytest.raises(UserError, match="must be finite and increase"):
        rate_of(np.array(time, float), "here")


def as_time_of_day(seconds, decimals, style):
    """Text of a time in s since midnight."""
    whole = round(seconds * 10**decimals)
    second, digits = divmod(whole, 10**decimals)
    hour, minute, second = second // 3600 % 24, second // 60 % 60, second % 60
    tail = f"{minute:02d}:{second:02d}.{digits:0{decimals}d}"
    if style == "am/pm":
        return f"{(hour - 1) % 12 + 1}:{tail} {'PM' if hour >= 12 else 'AM'}"
    before = {"date": "2026-03-01 ", "iso": "2026-03-01T", "plain": "", "minutes": ""}[style]
    after = "Z" if style == "iso" else ""
    return f"{before}{tail}" if style == "minutes" else f"{before}{hour:02d}:{tail}{after}"


@example(rate=1000.0, start=86399.9, decimals=4, style="plain")
@example(rate=100.0, start=43199.5, decimals=3, style="am/pm")
@example(rate=100.0, start=3599.5, decimals=3, style="minutes")
@given(
    rate=st.sampled_from([30.0, 100.0, 1000.0, 1259.2593]),
    start=st.floats(0, 86399),
    decimals=st.integers(4, 6),
    style=st.sampled_from(["date", "iso", "plain", "am/pm", "minutes"]),
)
def test_times_of_day_are_a_clock(rate, start, decimals, style):
    time = start + np.arange(300) / rate
    rows = [f"{as_time_of_day(t, decimals, style)},{i % 7}" for i, t in enumerate(time)]
    [channel] = text.parse("\n".join(["clock,EMG [mV]", *rows]), "file.csv")
    assert (channel.name, channel.unit, channel.start) == ("EMG", "mV", 0)
    assert channel.fault == "" and len(channel.values) == 300
    assert channel.rate == pytest.approx(rate, rel=0.01)


def test_a_gap_between_times_of_day_is_named():
    time = 36000 + np.delete(np.arange(300), slice(100, 130)) / 100
    rows = [f"{as_time_of_day(t, 3, 'plain')},1.5" for t in time]
    [channel] = text.parse("\n".join(["clock,EMG", *rows]), "file.csv")
    assert "a gap of 0.31 s after 0.99 s" in channel.fault


def test_a_column_of_numbers_goes_before_times_of_day():
    """As OpenBCI writes both; whole seconds that are repeated are no clock either."""
    rows = [f"{i / 250:.3f},10:00:{i // 250:02d},1.5" for i in range(600)]
    [channel] = text.parse("\n".join(["Timestamp [s],Formatted,EMG", *rows]), "file.csv")
    assert channel.rate == pytest.approx(250)
    [channel] = text.parse(
        "\n".join(["Formatted,EMG", *(row.partition(",")[2] for row in rows)]), "file.csv", 250.0
    )
    assert channel.rate == 250 and channel.fault == ""
