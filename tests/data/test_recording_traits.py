"""Rows of the table whose files are right by themselves, but not together."""

import struct

import numpy as np
import pytest

from tests.conftest import shared
from tests.data.test_recordings import CHANNELS, write_emg
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table

RNG = np.random.default_rng(0)


def rows(tmp_path, header="", cells="", content=None):
    if content is None:
        write_emg(tmp_path / "a.csv", RNG.normal(size=500), 1000.0)
    else:
        (tmp_path / "a.csv").write_text(content)
    table = f"subject,action,emg,emg_channels{header}\np,squat,a.csv,{CHANNELS}{cells}\n"
    (tmp_path / "clips.csv").write_text(table)
    return read_table(tmp_path)


def table_of(units, values=(1.0, 2.0), names=("A", "B")):
    head = ",".join(["time [s]"] + [f"{n} [{u}]" for n, u in zip(names, units, strict=True)])
    body = [f"{i / 1000:.3f},{values[0] + i % 3},{values[1] + i % 3}" for i in range(200)]
    return "\n".join([head, *body])


@pytest.mark.parametrize("units, factor", [(("mV", "uV"), 1e-3), (("µV", "V"), 1e6)])
def test_channels_and_their_mvc_get_the_unit_of_the_first(tmp_path, units, factor):
    channels = "left_vastus_lateralis=7; right_vastus_lateralis=7"
    [row] = rows(tmp_path, ",emg_max", f",{channels}", table_of(units))
    clip = load_clip(row)
    np.testing.assert_allclose(clip.emg[0], [1.0, 2.0 * factor], rtol=1e-6)
    np.testing.assert_allclose(clip.emg_max, [7.0, 7.0 * factor], rtol=1e-6)
    assert clip.emg_unit == ("uV" if units[0] == "µV" else "mV")


@pytest.mark.parametrize(
    "units, header, cells, message",
    [
        (("V", "V"), ",emg_unit", ",mV", "emg_unit: mV, but a.csv says V for 'A'"),
        (("mV", "g"), "", "", "'g' cannot be converted to 'mV'"),
        (("mV", "mV"), ",emg_rate", ",990", "emg_rate: 990 Hz, but a.csv says 1000"),
        (("mV", "mV"), ",emg_unit", ",furlong", "emg_unit: 'furlong' is not known"),
    ],
)
def test_contradictions_are_refused(tmp_path, units, header, cells, message):
    with pytest.raises(UserError, match=message):
        load_clip(rows(tmp_path, header, cells, table_of(units))[0])


def test_times_since_1970_count_from_the_first_sample(tmp_path):
    body = [f"{1_700_000_000_000 + i},{i},{i}" for i in range(200)]
    content = "\n".join(["timestamp_ms,A [mV],B [mV]", *body])
    assert load_clip(rows(tmp_path, content=content)[0]).emg_start == pytest.approx(0, abs=1e-6)
    late = load_clip(rows(tmp_path, ",emg_offset", ",-1699999999.9", content)[0])
    assert late.emg_start == pytest.approx(0.1, abs=1e-6)


def test_a_reference_of_clips_in_other_units(tmp_path):
    clips = []
    for i, (unit, factor) in enumerate([("mV", 1.0), ("uV", 1e3), ("V", 1e-3)]):
        (tmp_path / str(i)).mkdir()
        values = factor * np.random.default_rng(1).normal(size=(1000, 2))
        body = [f"{t / 1000},{a:.9g},{b:.9g}" for t, (a, b) in enumerate(values)]
        content = "\n".join([f"time,A [{unit}],B [{unit}]", *body])
        clips.append(load_clip(rows(tmp_path / str(i), content=content)[0]))
    envelopes = [(clip, emg.clip_envelope(clip)) for clip in clips]
    for kind in ("train", "subject"):
        reference = emg.Normalisation.fit(kind, envelopes, {"p"})
        first, *others = [envelope / reference.scale(clip) for clip, envelope in envelopes]
        for other in others:
            np.testing.assert_allclose(other, first, rtol=1e-4)


@pytest.mark.parametrize(
    "content, message",
    [
        ("subject,action,start,emg,start\n", "'start' is there twice: as number 3 and 5"),
        (
            "subject,action,emg,emg_channels\np,squat,a.csv,A=left_soleus; A=right_soleus\n",
            "'A' is there twice: as left_soleus and right_soleus",
        ),
    ],
)
def test_equal_names_in_a_csv_table(tmp_path, content, message):
    write_emg(tmp_path / "a.csv", RNG.normal(size=500), 1000.0)
    (tmp_path / "clips.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path)


YAML = """
- {{subject: {subject}, action: squat, emg: a.csv, emg_channels: {{A: left_soleus}}, load: null}}
- subject: 8
  action: {action}
  emg: a.csv
  emg_channels: {{A: left_soleus}}
  start: 0.1
  {extra}
"""


def test_names_in_yaml_stay_text(tmp_path):
    write_emg(tmp_path / "a.csv", RNG.normal(size=500), 1000.0)
    (tmp_path / "clips.yaml").write_text(YAML.format(subject="010", action="NO", extra="end: 0.4"))
    first, second = read_table(tmp_path)
    assert (first.subject, second.subject, second.action) == ("010", "8", "NO")
    assert (second.start, second.end) == (0.1, 0.4) and np.isnan(first.load)


def test_equal_keys_in_yaml_are_named_with_both_lines(tmp_path):
    (tmp_path / "clips.yaml").write_text(YAML.format(subject="1", action="a", extra="start: 2"))
    with pytest.raises(UserError, match="line 8: 'start' is there twice; first in line 7"):
        read_table(tmp_path)


def test_a_c3d_file_starts_at_its_first_frame(tmp_path):
    whole = shared("data/pyomeca/tests/data/markers_analogs.c3d").read_bytes()
    first, last = struct.unpack("<2H", whole[6:10])
    (tmp_path / "a.c3d").write_bytes(
        whole[:6] + struct.pack("<2H", first + 50, last + 50) + whole[10:]
    )
    original = readers.read(shared("data/pyomeca/tests/data/markers_analogs.c3d"))
    for before, after in zip(original, readers.read(tmp_path / "a.c3d"), strict=True):
        assert after.start - before.start == pytest.approx(0.5)  # 100 Hz
