"""EDF files that other libraries refuse or misread; regular ones are in test_readers."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.core.errors import UserError
from video2emg.data import readers


def edf(path, signals, onsets=None, records=3, stated=None, samples=10):
    """Writes an EDF file, or EDF+ if there are onsets of the records.

    `signals` are (label, unit as bytes); a signal's samples count from its index times 100.
    """
    fields = [(label.encode(), unit, b"-32768", b"32767", samples) for label, unit in signals]
    if onsets is not None:
        fields.append((b"EDF Annotations", b"", b"-1", b"1", 8))
    rows = [
        [field[0].ljust(16) for field in fields],
        [b" " * 80 for _ in fields],
        [field[1].ljust(8) for field in fields],
        *[[field[i].ljust(8) for field in fields] for i in (2, 3)],
        [b"-32768".ljust(8) for _ in fields],
        [b"32767".ljust(8) for _ in fields],
        [b" " * 80 for _ in fields],
        [str(field[4]).encode().ljust(8) for field in fields],
        [b" " * 32 for _ in fields],
    ]
    size = 256 * (1 + len(fields))
    kind = b"" if onsets is None else b"EDF+D"
    head = b"0".ljust(8) + b" " * 160 + b"01.01.2601.01.01" + str(size).encode().ljust(8)
    head += kind.ljust(44) + str(records if stated is None else stated).encode().ljust(8)
    head += b"1".ljust(8) + str(len(fields)).encode().ljust(4)
    body = b""
    for r in range(records):
        for s in range(len(signals)):
            numbers = 100 * s + samples * r + np.arange(samples)
            body += struct.pack(f"<{samples}h", *numbers)
        if onsets is not None:
            body += f"+{onsets[r]}\x14\x14\0".encode().ljust(16, b"\0")
    path.write_bytes(head + b"".join(b"".join(row) for row in rows) + body)
    return path


@settings(max_examples=25)
@given(
    count=st.integers(1, 4),
    samples=st.integers(1, 50),
    records=st.integers(1, 5),
    start=st.sampled_from([None, 0.0, 0.5, 12.25]),
)
def test_every_sample_rate_and_start_is_read(tmp_path_factory, count, samples, records, start):
    onsets = None if start is None else [start + r for r in range(records)]
    signals = [(f"E{s}", b"mV") for s in range(count)]
    path = edf(tmp_path_factory.mktemp("edf") / "a.edf", signals, onsets, records, samples=samples)
    channels = readers.read(path)
    assert [channel.name for channel in channels] == [f"E{s}" for s in range(count)]
    for s, channel in enumerate(channels):
        expected = 100 * s + np.arange(records * samples)
        np.testing.assert_allclose(channel.values, expected, atol=1e-9)
        assert channel.rate == samples and channel.start == (start or 0.0)


@pytest.mark.parametrize("unit", [b"\xb5V", "µV".encode(), b"uV"])
def test_micro_in_any_encoding(tmp_path, unit):
    [channel] = readers.read(edf(tmp_path / "a.edf", [("E", unit)]))
    assert channel.unit in ("µV", "uV")


def test_a_hole_between_records_is_named(tmp_path):
    path = edf(tmp_path / "a.edf", [("E", b"mV")], onsets=[0, 1, 11])
    with pytest.raises(UserError, match="discontinuous: after 2 s it goes on at 11 s"):
        readers.read(path)


def test_equal_labels_are_told_apart_by_their_place(tmp_path):
    channels = readers.read(edf(tmp_path / "a.edf", [("E", b"mV"), ("F", b"mV"), ("E", b"mV")]))
    with pytest.raises(UserError, match=r"2 channels are called 'E'.*`channel 1`, `channel 3`"):
        readers.select(channels, ["E"], "a.edf")
    assert readers.select(channels, ["channel 3"], "a.edf")[0].values[0] == pytest.approx(200)


def test_a_half_copied_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cut off: 3 of 90 records"):
        readers.read(edf(tmp_path / "a.edf", [("E", b"mV")], stated=90))
    assert len(readers.read(edf(tmp_path / "b.edf", [("E", b"mV")], stated=-1))[0].values) == 30
