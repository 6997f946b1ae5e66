"""Tables as devices and spreadsheets write them: names, units, rates and values are right."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2emg.core import units
from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.readers import text
from video2emg.data.readers.columns import split_unit

VALUES = np.round(np.random.default_rng(0).normal(size=(60, 2)), 5)


def parse(*header, rows=None, rate=np.nan):
    rows = rows or [f"{i / 1000:.3f},{a},{b}" for i, (a, b) in enumerate(VALUES)]
    return text.parse("\n".join([*header, *rows]) + "\n", "t.csv", rate)


def one(channels, name):
    [channel] = readers.select(channels, [name], "t.csv")
    return channel


NAMES = st.sampled_from(
    [
        "EMG_1",
        "VL left",
        "head_x",
        "ACC_X",
        "Biceps (left)",
        "RT TIB.ANT.",
        "Kanal ü",
        "POS_Z",
        "1A",
    ]
)


@st.composite
def tables(draw):
    """A file, and what is to be read from it: names, unit, rate and values."""
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    rate = draw(st.sampled_from([100.0, 1000.0, 2000.0, 1259.2593]))
    unit = draw(st.sampled_from(["mV", "uV", "µV", "V", "microvolts"]))
    separator, comma = draw(
        st.sampled_from(
            [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ('","', ",")]
        )
    )
    place = draw(st.sampled_from(["brackets", "parentheses", "row", "comma"]))
    if separator in (",", '","') and place == "comma":
        place = "brackets"
    clock = draw(st.sampled_from(["time", "rates", "stated"]))
    values = np.round(
        np.random.default_rng(draw(st.integers(0, 99))).normal(size=(30, len(names))), 4
    )
    forms = {"brackets": "{} [{}]", "parentheses": "{} ({})", "comma": "{},{}", "row": "{}"}
    cells = [[forms[place].format(name, unit) for name in names]]
    cells += [[unit] * len(names)] if place == "row" else []
    cells += [[f"{rate} Hz"] * len(names)] if clock == "rates" else []
    cells += [[str(v).replace(".", comma) for v in row] for row in values.tolist()]
    if clock == "time":
        first = ["time [s]" if place != "row" else "time", *(["s"] if place == "row" else [])]
        first += [f"{i / rate:.9f}".replace(".", comma) for i in range(len(values))]
        cells = [[a, *row] for a, row in zip(first, cells, strict=True)]
    quote = '"' if separator == '","' else ""
    lines = [quote + separator.join(row) + quote for row in cells]
    above = draw(st.sampled_from([[], ["Recorded by a device"], ["Title", "", "# remark"]]))
    above = above + [f"Sampling rate: {rate}"] * (clock == "stated")
    return "\n".join([*above, *lines]), names, unit, rate, values


@settings(max_examples=200)
@given(tables())
def test_every_shape_of_header_gives_what_was_written(table):
    content, names, unit, rate, values = table
    channels = text.parse(content, "t.csv")
    assert [channel.name for channel in channels] == names
    for channel, column in zip(channels, values.T, strict=True):
        assert not channel.fault and units.canonical(channel.unit) == units.canonical(unit)
        assert channel.rate == pytest.approx(rate, rel=1e-4)
        np.testing.assert_allclose(channel.values, column)


def test_lines_of_sensors_modes_units_and_rates():
    channels = parse(
        "Application:, Discover",
        "VL left (10001), , VL right (10002), ",
        "sensor mode: 55, , sensor mode: 55, ",
        "EMG 1 (mV), ACC X (G), EMG 1 (mV), ACC X (G)",
        "1259.2593 Hz, 148.1481 Hz, 1259.2593 Hz, 148.1481 Hz",
        rows=[f"{i}.5, 1.5, {-i}.5, 1.5" if i < 20 else f"{i}.5, , {-i}.5, " for i in range(60)],
    )
    for name in ("VL left EMG 1", "VL left", "VL left (10001)", "column 1"):
        channel = one(channels, name)
        assert channel.unit == "mV" and channel.rate == 1259.2593 and channel.values[3] == 3.5
    assert one(channels, "VL right").values[3] == -3.5
    assert len(one(channels, "VL left ACC X").values) == 20
    with pytest.raises(UserError, match=r"2 channels are called 'EMG 1'.*`column 1`, `column 3`"):
        one(channels, "EMG 1")


def test_a_clock_per_column_and_lines_of_periods():
    channels = parse(
        "Sensor 1 (111), , Sensor 2 (222), ",
        "EMG 1 Time Series (s), EMG 1 (mV), EMG 1 Time Series (s), EMG 1 (mV)",
        ", 1000.0 Hz, , 100.0 Hz",
        ", 0.001 s, , 0.01 s",
        rows=[f"{i / 1000:.3f}, {i}.5, {i / 100:.2f}, {-i}.5" for i in range(50)],
    )
    assert one(channels, "Sensor 1 EMG 1").rate == pytest.approx(1000)
    assert one(channels, "Sensor 2 EMG 1").rate == pytest.approx(100)
    assert len(channels) == 2


def test_columns_of_text_are_left_out_and_a_marker_spoils_nothing():
    rows = [
        f"{i / 1000:.3f},{'start' if i == 5 else ''},{'10:00:00.1' if i % 2 else '10:00:00'},{v}"
        for i, v in enumerate(VALUES[:, 0])
    ]
    [channel] = parse("time,Marker,Clock,A [mV]", rows=rows)
    np.testing.assert_allclose(channel.values, VALUES[:, 0])
    assert channel.rate == pytest.approx(1000)


def test_text_in_a_column_matters_only_if_it_is_wanted():
    channels = parse("time,A,B", rows=["0,1,2", "1,3,4", "2,5,oops", "3,7,8"])
    np.testing.assert_allclose(one(channels, "A").values, [1, 3, 5, 7])
    with pytest.raises(UserError, match="line 4: expected a number in column 'B', found 'oops'"):
        one(channels, "B")


@pytest.mark.parametrize("header", [",0,1", "0,1,2"])
def test_numbers_of_columns_are_no_samples(header):
    rows = [f"{i if header[0] == ',' else 0.25},{a},{b}" for i, (a, b) in enumerate(VALUES)]
    channels = parse(header, rows=rows, rate=1000.0)
    np.testing.assert_allclose(one(channels, "column 3").values, VALUES[:, 1])


def test_whole_numbers_without_a_header_are_samples():
    assert len(one(parse("0,1", rows=["1,5", "2,9", "3,4"]), "column 2").values) == 4


@pytest.mark.parametrize("name", ["ACC_X", "POS_X", "head_x", "max", "t_x", "x"])
def test_a_column_is_no_clock_because_of_its_name(name):
    rows = [f"{i / 1000:.3f},{i % 7},{v}" for i, v in enumerate(VALUES[:, 0])]
    channel = one(parse(f"time [s],{name},A [mV]", rows=rows), "A")
    assert channel.rate == pytest.approx(1000) and not channel.fault


def test_a_rising_coordinate_is_no_clock():
    rows = [f"{i / 1000:.3f},{i / 5000:.4f},{v}" for i, v in enumerate(VALUES[:, 0])]
    assert one(parse("time [s],POS_X,A [mV]", rows=rows), "A").rate == pytest.approx(1000)


@pytest.mark.parametrize(
    "name, step",
    [
        *[("timestamp_ms", 1), ("Zeit [ms]", 1), ("elapsed time (ms)", 1), ("Time,s", 0.001)],
        *[("EMG Time Series (s)", 0.001), ("TimeStamp", 0.001), ("X[s]", 0.001), ("x", 0.001)],
    ],
)
def test_names_of_clocks(name, step):
    rows = [f"{i * step:.6g}\t{v}" for i, v in enumerate(VALUES[:, 0])]
    [channel] = parse(f"{name}\tA", rows=rows)
    assert channel.rate == pytest.approx(1000)


def test_unix_times_in_milliseconds_and_a_clock_at_the_end():
    rows = [f"{v},{1_700_000_000_000 + i}" for i, v in enumerate(VALUES[:, 0])]
    [channel] = parse("A [mV],Timestamp", rows=rows)
    assert channel.rate == pytest.approx(1000) and channel.start == pytest.approx(1.7e9)


def test_names_in_a_comment_of_json():
    header = '# {"00:07": {"column": ["nSeq", "DI", "CH1"], "sampling rate": 1000}}'
    rows = [f"{i}\t0\t{512 + i}\t" for i in range(20)]
    channel = one(parse(header, "# EndOfHeader", rows=rows), "CH1")
    assert channel.rate == 1000 and channel.values[0] == 512


def test_two_tables_in_one_file():
    content = "Devices\n1000\n,,T - EMG1\nFrame,Sub Frame,EMG1\n,,mV\n1,0,0.5\n1,1,0.25\n\n"
    content += "Trajectories\n100\n,,Anna:LKNE,,\nFrame,Sub Frame,X,Y,Z\n,,mm,mm,mm\n1,0,1,2,3\n"
    channels = text.parse(content + "2,0,4,5,6\n", "t.csv")
    channel = one(channels, "EMG1")
    assert channel.unit == "mV" and list(channel.values) == [0.5, 0.25]


def test_numpys_own_text_and_blanks_for_separators(tmp_path):
    np.savetxt(tmp_path / "a.txt", VALUES, header="A B")
    channels = readers.read(tmp_path / "a.txt")
    np.testing.assert_allclose(one(channels, "B").values, VALUES[:, 1])


@pytest.mark.parametrize(
    "content, rate, unit",
    [
        ("Zeit;A\ns;mV\n;2000,0 Hz\n0,0000;0,5\n0,0005;0,25\n0,0010;0,5\n", 2000, "mV"),
        ("Time\tA\n[s]\t[mV]\n0.000\t0.5\n0.001\t0.25\n0.002\t0.5\n", 1000, "mV"),
        ("Channel,A\nUnit,mV\nFrequency,1000\n0,0.5\n1,0.25\n2,0.5\n", 1000, "mV"),
        ("millis,A [mV]\n0,0.5\n1,0.25\n2,0.5\n", 1000, "mV"),
        ("% Sampling Rate: 2 kHz\n% A,B\n0.5,1\n0.25,1\n0.5,1\n", 2000, ""),
        ("time,A\n\n0.000,0.5\n\n0.001,0.25\n\n0.002,0.5\n\n", 1000, ""),
        ("time,A\n0.000,0.5\n0.001,0.25\n0.002,0.5\nEnd of file\n", 1000, ""),
        ("Time,Timestamp,A\n0,9,0.5\n0.001,9.5,0.25\n0.002,10,0.5\n", 1000, ""),
    ],
)
def test_headers_and_ends_of_other_programs(content, rate, unit):
    channel = one(text.parse(content, "t.csv"), "A")
    assert channel.rate == pytest.approx(rate) and channel.unit == unit and channel.start == 0
    assert list(channel.values) == [0.5, 0.25, 0.5]


def test_a_time_of_day_beside_one_signal():
    rows = [f"10:00:00.{i:03},{v}" for i, v in enumerate(VALUES[:, 0])]
    np.testing.assert_allclose(one(parse("Time,A", rows=rows), "A").values, VALUES[:, 0])


def test_one_column_with_decimal_commas():
    rows = [f"{v}".replace(".", ",") for v in VALUES[:, 0]]
    [channel] = parse("A [mV]", rows=rows)
    np.testing.assert_allclose(channel.values, VALUES[:, 0])


def test_lines_that_are_no_table_are_shown():
    with pytest.raises(UserError, match=r"its lines look like '10:00:00\.000 -> 512'"):
        text.parse("10:00:00.000 -> 512\n" * 20, "t.txt")


SPELLINGS = {
    "V": ["V", "volt", "Volts"],
    "mV": ["mV", "MV", "millivolt", "millivolts"],
    "uV": ["uV", "µV", "μV", "microvolts", "Microvolt", "\ufffdV"],
    "ms": ["ms", "msec", "milliseconds"],
    "mm": ["mm", "millimetres", "Millimeter"],
}


@pytest.mark.parametrize("unit, text", [(u, t) for u, ts in SPELLINGS.items() for t in ts])
def test_spellings_of_units(unit, text):
    assert units.canonical(text) == unit


@given(pair=st.sampled_from(list(itertools.product(["V", "mV", "uV", "nV"], repeat=2))))
def test_units_convert_there_and_back(pair):
    a, b = pair
    assert units.factor(a, b, "") * units.factor(b, a, "") == pytest.approx(1)
    assert units.factor(a, "V", "") == {"V": 1, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}[a]


@pytest.mark.parametrize("a, b", [("mV", "mm"), ("adc", "mV"), ("", "mV"), ("furlong", "mV")])
def test_units_that_do_not_convert(a, b):
    with pytest.raises(UserError, match="cannot be converted"):
        units.factor(a, b, "t.csv")


@pytest.mark.parametrize(
    "text, name, unit",
    [
        ("EMG 1 [mV]", "EMG 1", "mV"),
        ("A (microvolts)", "A", "microvolts"),
        ("VLO LT,uV", "VLO LT", "uV"),
        ("emg_uV", "emg", "uV"),
        ("Biceps (left)", "Biceps (left)", ""),
        ("Biceps (left) [mV]", "Biceps (left)", "mV"),
        ("VL left (10001)", "VL left (10001)", ""),
        ("head_x", "head_x", ""),
        ("acc (m/(sec^2))", "acc", "m/(sec^2)"),
        ("X[s].1", "X", "s"),
    ],
)
def test_names_are_split_from_their_units(text, name, unit):
    assert split_unit(text) == (name, unit)
