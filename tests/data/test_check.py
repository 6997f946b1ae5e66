"""Each defect is put into clean clips; it must be frequency in its place, and nothing else."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.cli import check_data
from video2emg.core.errors import UserError
from video2emg.data import check, check_between, store
from video2emg.data.check import check_clip, check_dataset


def clean(index=0, **more):
    """A clip with a realistic amplitude in mV, and with pictures that no other clip has."""
    clip = make_clip(index, seconds=3.0, **more)
    frames = [frame + bytes([index]) for frame in clip.frames]  # decoders stop before it
    pose = 0.3 * clip.pose  # a body of 1 to 2 m
    return dataclasses.replace(clip, emg=0.1 * clip.emg, frames=frames, pose=pose)


def codes(clip):
    return [(f.severity, f.code, f.field) for f in check_clip(clip)]


def test_clean_clips_have_no_findings():
    assert check_clip(clean()) == []
    assert check_dataset({"train": [clean(0)], "test": [clean(1, subject="s1")]}).findings == []


def test_gymsim_has_no_findings(tiny_dir):
    report = check_dataset(store.source_clips("gymsim/tiny", tiny_dir))
    assert report.findings == [] and sum(report.clips.values()) == 24


def with_defect(name):
    clip = clean()
    emg, time = clip.emg.copy(), clip.emg_time
    left = "emg/left_vastus_lateralis"
    if name == "missing":
        emg[500, 0] = np.nan
        return dataclasses.replace(clip, emg=emg), ("error", "missing", left)
    if name == "flat":
        emg[:, 0] = 0.3
        return dataclasses.replace(clip, emg=emg), ("error", "flat", left)
    if name == "saturated":
        emg[:, 0] = np.clip(emg[:, 0], -0.05, 0.05)
        return dataclasses.replace(clip, emg=emg), ("warning", "saturated", left)
    if name == "hum":
        emg[:, 0] += 0.1 * np.sin(2 * np.pi * 60 * time)
        return dataclasses.replace(clip, emg=emg), ("warning", "hum", left)
    if name == "unit":
        return dataclasses.replace(clip, emg_unit="V"), ("warning", "unit", "emg_unit")
    if name == "emg_rate":
        few = dataclasses.replace(clip, emg=emg[::20], emg_rate=50.0)
        return few, ("error", "emg_rate", "emg_rate")
    if name == "heart":
        rate = np.array([70, 4000], np.float32)
        return dataclasses.replace(clip, heart_rate=rate, heart_time=np.arange(2.0)), (
            "error",
            "heart_rate",
            "heart_rate",
        )
    if name == "short":
        return dataclasses.replace(clip, emg=emg[:2000]), ("warning", "length", "emg")
    if name == "late":
        late = dataclasses.replace(clip, emg=emg[400:], emg_start=0.4)
        return late, ("warning", "length", "emg_start")
    if name == "gap":
        keep = (clip.frame_view != 0) | (clip.frame_time < 1) | (clip.frame_time > 2)
        return frames_of(clip, keep), ("warning", "gap", "frames/front")
    if name == "views":
        return frames_of(clip, (clip.frame_view != 1) | (clip.frame_time < 2)), (
            "warning",
            "views",
            "frames",
        )
    if name == "picture":
        frames = list(clip.frames)
        frames[0] = frames[0][:50]
        return dataclasses.replace(clip, frames=frames), ("error", "picture", "frames/front")
    if name == "load":
        return dataclasses.replace(clip, load=-1.0), ("error", "load", "load")
    if name == "outside":
        late = dataclasses.replace(clip, phases=(("lift", 0.0, 1.0), ("lower", 1.0, 9.0)))
        return late, ("error", "phases", "phases")
    if name == "overlap":
        two = dataclasses.replace(clip, phases=(("lift", 0.0, 2.0), ("lower", 1.0, 3.0)))
        return two, ("error", "phases", "phases")
    return dataclasses.replace(clip, score=130.0), ("error", "contract", "")


def frames_of(clip, keep):
    own = np.flatnonzero(keep)
    return dataclasses.replace(
        clip,
        frames=[clip.frames[i] for i in own],
        frame_view=clip.frame_view[own],
        frame_time=clip.frame_time[own],
    )


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "flat",
        "saturated",
        "hum",
        "unit",
        "emg_rate",
        "heart",
        "short",
        "late",
        "gap",
        "views",
        "picture",
        "load",
        "outside",
        "overlap",
        "contract",
    ],
)
def test_a_defect_is_found_and_nothing_else(name):
    clip, expected = with_defect(name)
    assert codes(clip) == [expected]


@pytest.mark.parametrize("factor", [1e-3, 100.0])
def test_frames_on_a_clock_of_another_unit(factor):
    bare = dataclasses.replace(clean(), muscles=(), drive=np.zeros((0, 0)), phases=())
    odd = dataclasses.replace(bare, frame_time=factor * bare.frame_time)
    assert check_clip(bare) == []
    found = [code for code in codes(odd) if code[1] != "length"]
    assert found == [("error", "frame_rate", f"frames/{v}") for v in bare.views]


def test_a_rate_that_no_amplifier_has_is_an_error():
    fast = dataclasses.replace(clean(), emg_rate=1e6)
    assert ("error", "emg_rate", "emg_rate") in codes(fast)


def test_the_mains_frequency_is_named():
    clip, _ = with_defect("hum")
    [finding] = check_clip(clip)
    assert "60 Hz" in finding.message and "notch=60" in finding.message


def test_envelopes_have_no_findings_of_raw_emg():
    clip = clean()
    smooth = np.abs(np.sin(np.pi * np.arange(300) / 100))[:, None] * [1.0, 0.8]
    smooth[:50] = 0
    clip = dataclasses.replace(
        clip,
        emg=smooth.astype(np.float32),
        emg_rate=100.0,
        emg_unit="fraction",
        provenance={"emg_kind": "envelope"},
    )
    assert check_clip(clip) == []


def test_duplicates_and_shared_subjects_are_found():
    one, two = clean(0), clean(1, subject="s1")
    twin = dataclasses.replace(one, clip_id="twin", subject="s2")
    report = check_dataset({"train": [one, two], "test": [twin]})
    assert {(f.severity, f.code, f.clip_id) for f in report.findings} == {
        ("error", "duplicate", "twin")
    }
    again = dataclasses.replace(clean(2), subject="s1")
    report = check_dataset({"train": [one, two], "test": [again]})
    assert [(f.code, f.clip_id) for f in report.findings] == [("subject_in_two_splits", "clip2")]
    report = check_dataset({"train": [one, UserError("a.mp4: damaged")]})
    assert [(f.code, f.message) for f in report.findings] == [("unreadable", "a.mp4: damaged")]
    assert report.errors == 1 and report.clips == {"train": 2}


def test_exchanged_channels_are_found_in_the_right_subject():
    def lifter(index, exchanged=False):
        clip = clean(index, subject=f"s{index}")
        rng, time = np.random.default_rng(index), clip.emg_time
        early, late = np.exp(-((time - 0.8) ** 2) / 0.1), np.exp(-((time - 2.2) ** 2) / 0.1)
        order = (late, early) if exchanged else (early, late)
        emg = 0.1 * np.stack(order, 1) * rng.normal(size=(len(time), 2))
        return dataclasses.replace(clip, emg=emg.astype(np.float32))

    report = check_dataset({"train": [lifter(i) for i in range(5)]})
    assert report.findings == []
    report = check_dataset({"train": [lifter(i, exchanged=i == 3) for i in range(5)]})
    assert [(f.code, f.clip_id) for f in report.findings] == [("swapped", "clip3")]


def test_channels_that_fit_nothing_are_not_called_exchanged():
    """Both are far from their own typical course, but neither is the other's."""

    def lifter(index, upside_down=False):
        clip = clean(index, subject=f"s{index}")
        rng, time = np.random.default_rng(index), clip.emg_time
        early, late = np.exp(-((time - 0.8) ** 2) / 0.02), np.exp(-((time - 2.2) ** 2) / 0.02)
        size = np.stack((early, late), 1)
        size = 1.1 - size if upside_down else size
        emg = 0.1 * size * rng.normal(size=(len(time), 2))
        return dataclasses.replace(clip, emg=emg.astype(np.float32))

    clips = [lifter(i, upside_down=i == 3) for i in range(5)]
    left, right = ([check_between.time_courses(clip)[c] for clip in clips] for c in range(2))
    kept = left[3] @ left[0] + right[3] @ right[0]
    exchanged = left[3] @ right[0] + right[3] @ left[0]
    assert exchanged - kept > 2 * check_between.SWAPPED and exchanged < 2 * check_between.MATCH
    assert [f.code for f in check_dataset({"train": clips}).findings] == []


def test_hum_is_the_share_of_power_at_the_mains():
    time = np.arange(4000) / 1000
    noise = np.random.default_rng(0).normal(size=4000)
    assert check.hum(noise, 1000.0)[0] < 0.06
    for mains in (50.0, 60.0):
        share, frequency, _ = check.hum(
            noise + np.sqrt(2) * np.sin(2 * np.pi * mains * time), 1000.0
        )
        assert frequency == mains and share == pytest.approx(0.5, abs=0.05)


def test_the_command_writes_table_file_and_pictures(tmp_path, capsys, monkeypatch):
    clip, _ = with_defect("flat")
    monkeypatch.setattr(store, "source_clips", lambda *_: {"train": [clean(1), clip]})
    assert check_data.run(check_data.Options("gymsim/tiny", out=str(tmp_path))) == 1
    assert "error   flat" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.json", f"{clip.clip_id}.png"}
