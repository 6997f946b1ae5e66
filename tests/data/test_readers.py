"""Every reader, on files of independent writers and on damaged files."""

import pathlib
import pickle

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pyedflib
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import shared
from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.readers import c3d, text

RNG = np.random.default_rng(0)
VALUES = np.round(RNG.normal(size=(300, 2)), 6)


def by_name(path):
    return {channel.name: channel for channel in readers.read(path)}


@pytest.mark.parametrize("separator, decimal", [(",", "."), (";", ","), ("\t", ","), (";", ".")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_csv_of_any_locale(tmp_path, separator, decimal, encoding):
    rows = [separator.join(["Größe der Probe"] + [""] * 2)]
    rows += [separator.join(["time [ms]", "EMG1 [mV]", "Bein (µV)"])]
    for i, (a, b) in enumerate(VALUES):
        rows.append(separator.join(str(v).replace(".", decimal) for v in (i * 0.5, a, b)))
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n", encoding=encoding)
    channels = by_name(tmp_path / "a.csv")
    np.testing.assert_allclose(channels["EMG1"].values, VALUES[:, 0])
    assert channels["EMG1"].rate == pytest.approx(2000.0) and channels["EMG1"].unit == "mV"
    assert channels["Bein"].unit == "µV"


def test_csv_without_clock_or_header_has_no_rate(tmp_path):
    np.savetxt(tmp_path / "a.csv", VALUES, delimiter=",")
    channels = by_name(tmp_path / "a.csv")
    np.testing.assert_allclose(channels["column 2"].values, VALUES[:, 1])
    assert np.isnan(channels["column 1"].rate) and channels["column 1"].unit == ""


def test_columns_with_clocks_and_lengths_of_their_own(tmp_path):
    """As Delsys exports them: EMG and acceleration side by side, the slower one ends earlier."""
    lines = ["X[s],EMG 1,X[s],ACC 1"]
    for i in range(100):
        slow = f"{i / 100},{-i}" if i < 10 else ","
        lines.append(f"{i / 1000},{i},{slow}")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    channels = by_name(tmp_path / "a.csv")
    assert channels["EMG 1"].rate == pytest.approx(1000) and len(channels["EMG 1"].values) == 100
    assert channels["ACC 1"].rate == pytest.approx(100) and len(channels["ACC 1"].values) == 10


def test_a_row_of_units_between_names_and_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("Devices\n2000\nA,B\nV,V\n1,2\n3,4\n")
    channels = by_name(tmp_path / "a.csv")
    assert channels["A"].unit == "V" and list(channels["B"].values) == [2, 4]


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "no rows of numbers"),
        ("a,b\nx,y\n", "no rows of numbers"),
        ("a,b\n1,2\n3,4\n5,oops\n", "line 4: expected a number in column 'b', found 'oops'"),
        ("a,b\n1,2\n3,4\n5,6,7\n", "line 4: expected 2 cells"),
        ("time,a\n0,1\n1,2\n1,3\n", "times must be finite and increase"),
        ("time,a\n0,1\n1,2\n2,3\n9,4\n", "not evenly spaced"),
        ("a,b,c\0\n1,2,3\n", "not a text file"),
    ],
)
def test_broken_tables_are_named(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content.encode())
    with pytest.raises(UserError, match="a.csv.*" + message):
        channels = readers.read(tmp_path / "a.csv")
        readers.select(channels, [channel.name for channel in channels], "a.csv")


@settings(max_examples=150)
@given(
    content=st.binary(max_size=400)
    | st.text("0123456789.,;\t\n eE-+nan\"'", max_size=300).map(str.encode)
)
def test_any_bytes_give_channels_or_one_error_line(content):
    try:
        channels = text.parse(text.decode(content, "fuzz"), "fuzz")
    except UserError as error:
        assert "\n" not in str(error)
        return
    for channel in channels:
        assert channel.values.ndim == 1 and np.isfinite(channel.values[-1])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, 2000), ending=st.sampled_from([".edf", ".mat", ".h5", ".parquet", ".sto"])
)
def test_truncated_files_give_channels_or_one_error_line(tmp_path, cut, ending):
    path = written(tmp_path, ending)
    content = path.read_bytes()
    broken = tmp_path / f"broken{ending}"
    broken.write_bytes(content[: min(cut, len(content) - 1)])
    try:
        readers.read(broken)
    except UserError as error:
        assert "broken" in str(error) and "\n" not in str(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=600)
    | st.text("0123456789.,;\t\n eE-+nainDgrsUtme=hdy", max_size=400).map(str.encode)
    | st.integers(0, 400).map(
        lambda n: b"x\nendheader\ntime\ta\n" + b"0\t1\n1\t2\n" * 20 + b"9" * n
    ),
    ending=st.sampled_from([".sto", ".mot", ".trc", ".edf", ".bdf", ".mat", ".h5", ".parquet"]),
)
def test_any_bytes_with_any_ending_are_refused_with_one_line(tmp_path, content, ending):
    path = tmp_path / f"broken{ending}"
    path.write_bytes(content)
    try:
        readers.read(path)
    except UserError as error:
        assert "broken" in str(error) and "\n" not in str(error)


def test_a_pickle_is_never_loaded(tmp_path):
    """Loading it would create a file."""

    class Trap:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "sprung",)

    for ending in readers.KNOWN:
        if ending == ".c3d":
            continue  # through ezc3d, in another process; see the damaged files below
        (tmp_path / f"a{ending}").write_bytes(pickle.dumps(Trap()))
        with pytest.raises(UserError):
            readers.read(tmp_path / f"a{ending}")
    assert not (tmp_path / "sprung").exists()


def test_a_huge_header_is_searched_only_so_far(tmp_path):
    (tmp_path / "a.csv").write_text("remark\n" * 200_000 + "a,b\n1,2\n3,4\n")
    with pytest.raises(UserError, match="in the first 400 lines"):
        readers.read(tmp_path / "a.csv")


def written(folder: pathlib.Path, ending: str) -> pathlib.Path:
    path = folder / f"whole{ending}"
    if path.exists():
        return path
    if ending in (".edf", ".bdf"):
        kind = pyedflib.FILETYPE_EDFPLUS if ending == ".edf" else pyedflib.FILETYPE_BDFPLUS
        with pyedflib.EdfWriter(str(path), 2, file_type=kind) as file:
            for i in range(2):
                file.setSignalHeader(
                    i,
                    dict(
                        label=f"E{i}",
                        dimension="mV",
                        sample_frequency=100,
                        physical_min=-5.0,
                        physical_max=5.0,
                        digital_min=-32768,
                        digital_max=32767,
                        transducer="",
                        prefilter="",
                    ),
                )
            file.writeSamples([np.ascontiguousarray(VALUES[:, i]) for i in range(2)])
    elif ending == ".mat":
        scipy.io.savemat(path, {"E0": VALUES[:, 0], "E1": VALUES[:, 1], "fs": 100.0, "note": "hi"})
    elif ending == ".h5":
        with h5py.File(path, "w") as file:
            file["run/E0"], file["run/E1"], file["run/fs"] = VALUES[:, 0], VALUES[:, 1], 100.0
    elif ending == ".parquet":
        table = {"E0": VALUES[:, 0], "E1": VALUES[:, 1]}
        pyarrow.parquet.write_table(pa.table(table), path)
    elif ending == ".sto":
        rows = [f"{i / 100}\t{a}\t{b}" for i, (a, b) in enumerate(VALUES)]
        path.write_text("emg\nversion=1\nendheader\ntime\tE0\tE1\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    "ending, prefix, rate, unit, precision",
    [
        (".edf", "", 100, "mV", 2e-4),
        (".bdf", "", 100, "mV", 2e-4),
        (".mat", "", 100, "", 1e-12),
        (".h5", "run/", 100, "", 1e-12),
        (".parquet", "", None, "", 1e-12),
        (".sto", "", 100, "", 1e-9),
    ],
)
def test_files_of_other_writers_are_read(tmp_path, ending, prefix, rate, unit, precision):
    channels = by_name(written(tmp_path, ending))
    for i in range(2):
        channel = channels[f"{prefix}E{i}"]
        np.testing.assert_allclose(channel.values[:300], VALUES[:, i], atol=precision)
        assert channel.unit == unit
        assert np.isnan(channel.rate) if rate is None else channel.rate == pytest.approx(rate)


@pytest.mark.parametrize(
    "header, names",
    [
        ("time\tright ankle\tleft ankle", ["right ankle", "left ankle"]),
        ("time\tE0\t  E1\t", ["E0", "E1"]),
        ("time  E0\tE1", ["E0", "E1"]),
        ("time E0 E1", ["E0", "E1"]),
    ],
)
def test_names_in_storage_files_may_have_blanks_between_tabs(tmp_path, header, names):
    rows = "\n".join(f"{i / 100} \t{i}  {i}" for i in range(9))
    (tmp_path / "a.mot").write_text(f"x\nendheader\n{header}\n\n{rows}\n")
    assert [channel.name for channel in readers.read(tmp_path / "a.mot")] == names


def test_objects_in_mat_files_are_not_unpickled(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"cell": np.array([{"a": 1}, "b"], dtype=object)})
    with pytest.raises(UserError, match="'cell' is a structure or a cell"):
        readers.read(tmp_path / "a.mat")


def test_unknown_endings_and_missing_files(tmp_path):
    with pytest.raises(UserError, match=r"cannot read '\.xyz'; known: \.csv"):
        readers.read(tmp_path / "a.xyz")
    with pytest.raises(UserError, match="no such file"):
        readers.read(tmp_path / "a.csv")


# Real files: what is in them was looked up with other programs (their SOURCE.txt and README).
@pytest.mark.parametrize(
    "name, channel, rate, samples",
    [
        ("btkdata/1123x01EMG.c3d", "Left Rectus Femoris", 1000.0, 4564),
        ("pyomeca/tests/data/markers_analogs.c3d", "Voltage.1", 2000.0, 11600),
        ("opensim_core/OpenSim/Tests/shared/walking2.c3d", "Fx1", 2000.0, 9992),
        ("ceinms_rt_lowerlimb/data/run81/emgFilt.sto", "soleus_r", 100.0, 5838),
        (
            "opensim_core/OpenSim/Examples/Moco/example3DWalking/markers_walk.trc",
            "R.Shoulder_x",
            100.0,
            238,
        ),
        ("pyomeca/tests/data/analogs.csv", "EMG1", None, 11600),
    ],
)
def test_real_recordings(name, channel, rate, samples):
    channels = by_name(shared(f"data/{name}"))[channel]
    assert len(channels.values) == samples
    assert np.isnan(channels.rate) if rate is None else channels.rate == pytest.approx(rate)


def test_real_vendor_csv_keeps_each_sensors_rate():
    channels = readers.read(shared("data/emgio_samples/examples/truncated_trigno_sample.csv"))
    rates = {round(channel.rate, 2) for channel in channels}
    assert rates == {1259.26, 148.15}


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_c3d_file_gives_one_error_line_or_all_channels(tmp_path, monkeypatch, seed):
    """Cut off, or with bytes of its header and parameters overwritten."""
    monkeypatch.setattr(c3d, "_TIMEOUT_S", 5.0)  # of some files ezc3d never finds the end
    good = shared("data") / "pyomeca/tests/data/markers_analogs.c3d"
    data, rng = bytearray(good.read_bytes()), np.random.default_rng(seed)
    cut = seed % 2
    if cut:
        data = data[: rng.integers(20_000, len(data))]
    else:
        for place in rng.integers(0, 14_000, 20):
            data[place] = rng.integers(0, 256)
    path = tmp_path / "damaged.c3d"
    path.write_bytes(bytes(data))
    try:
        channels = readers.read(path)
    except UserError as error:
        assert str(path) in str(error)
        assert not cut or "cut off" in str(error)
    else:
        assert not cut
        assert {len(channel.values) for channel in channels} == {580, 11_600}


@pytest.mark.parametrize("name", ["Empty.c3d", "badParameterOffset.c3d"])
def test_real_damaged_c3d_files_give_one_error_line(name):
    with pytest.raises(UserError, match=rf"{name}: damaged") as caught:
        readers.read(shared(f"data/btkdata/{name}"))
    assert "\n" not in str(caught.value)
