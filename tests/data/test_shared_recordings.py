"""Every real recording beside the repository becomes a clip, or is refused with one line.

docs/real_recordings.md is the same list for people.
"""

import re
import shutil

import numpy as np
import pytest
import yaml

from tests.conftest import shared
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data import check, readers, store
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table

CEINMS = (
    "soleus_r=right_soleus; med_gas_r=right_gastrocnemius; tib_ant_r=right_tibialis_anterior; "
    "bifemlh_r=right_biceps_femoris; vas_lat_r=right_vastus_lateralis; "
    "rect_fem_r=right_rectus_femoris; vas_med_r=right_vastus_medialis"
)
MOCO = "opensim_core/Bindings/Java/Matlab/examples/Moco/exampleEMGTracking/"
WALK = "opensim_core/OpenSim/Examples/Moco/example3DWalking/"
ARM = "pyomeca/tests/data/"
SQUAT = "msk_modelling_python/FullROMSquat01_emg.csv"


def ceinms(run, action):
    return {
        "subject": "c06",
        "action": action,
        "emg": f"ceinms_rt_lowerlimb/data/{run}/emgFilt.sto",
        "emg_channels": CEINMS,
        "emg_unit": "fraction",
        "emg_kind": "envelope",
    }


# Row, and the codes of check-data's findings: none of them errors.
GOOD = [
    (ceinms("walk36", "walking"), set()),
    (ceinms("walk45", "walking"), set()),
    (ceinms("run81", "running"), set()),
    (
        {
            "subject": "btk1123",
            "action": "walking",
            "emg": "btkdata/1123x01EMG.c3d",
            "emg_channels": "Left Rectus Femoris=left_rectus_femoris; "
            "Right Rectus Femoris=right_rectus_femoris; "
            "Left Tibialis Anterior=left_tibialis_anterior; "
            "Right Tibialis Anterior=right_tibialis_anterior",
        },
        set(),
    ),
    (
        {
            "subject": "btk16",
            "action": "walking",
            "emg": "btkdata/Res16bits.c3d",
            "emg_channels": "RTIB=right_tibialis_anterior; RSOL=right_soleus; "
            "RREC=right_rectus_femoris; LTIB=left_tibialis_anterior; LSOL=left_soleus; "
            "LREC=left_rectus_femoris",
        },
        {"hum", "saturated"},
    ),
    (
        {
            "subject": "trigno",
            "action": "arm_motion",
            "emg": "emgio_samples/examples/truncated_trigno_sample.csv",
            "emg_unit": "V",
            "emg_channels": "Mini sensor 10: EMG 10=left_first_muscle; "
            "Mini sensor 11: EMG 11=left_second_muscle",
        },
        {"hum"},
    ),
    (
        {
            "subject": "moco",
            "action": "walking",
            "emg": f"{MOCO}emg.sto",
            "emg_unit": "fraction",
            "emg_kind": "envelope",
            "emg_channels": "soleus=right_soleus; tibialis_anterior=right_tibialis_anterior; "
            "rectus_femoris=right_rectus_femoris",
        },
        set(),
    ),
    (
        {
            "subject": "rajagopal",
            "action": "walking",
            "emg": f"{WALK}electromyography.sto",
            "emg_unit": "fraction",
            "emg_kind": "envelope",
            "emg_channels": "soleus=right_soleus; vastus_lateralis=right_vastus_lateralis; "
            "gluteus_maximus=right_gluteus_maximus; gluteus_medius=right_gluteus_medius",
        },
        set(),
    ),
    (
        {
            "subject": "arm",
            "action": "reaching",
            "emg": f"{ARM}markers_analogs.c3d",
            "emg_channels": "Delt_ant.EMG1=right_anterior_deltoid; "
            "Delt_med.EMG2=right_medial_deltoid; Biceps.EMG4=right_biceps_brachii; "
            "Triceps.EMG5=right_triceps_brachii",
        },
        set(),
    ),
    (
        {
            "subject": "arm2",
            "action": "reaching",
            "emg": f"{ARM}analogs.csv",
            "emg_rate": 2000,
            "emg_channels": "EMG2=right_medial_deltoid; EMG4=right_biceps_brachii",
        },
        set(),
    ),
    (
        {
            "subject": "full_rom",
            "action": "squat",
            "emg": SQUAT,
            "emg_rate": 2000,
            "emg_unit": "uV",
            "emg_channels": "EMG03_biceps_brachii_right=right_biceps_brachii; "
            "EMG04_biceps_brachii_left=left_biceps_brachii; "
            "EMG05_trapezius_trans_right=right_middle_trapezius; "
            "EMG06_trapezius_trans_left=left_middle_trapezius",
        },
        set(),
    ),
    ({"subject": "statue", "action": "walking", "video_left": "videos/sports2d/demo.mp4"}, set()),
    ({"subject": "phone", "action": "squat", "video_left": "videos/squat/squat_side.mp4"}, set()),
    (
        {
            "subject": "pair",
            "action": "walking",
            "video_front": "videos/pose2sim_multi/cam01.mp4",
            "video_front_left": "videos/pose2sim_multi/cam02.mp4",
            "video_left": "videos/pose2sim_multi/cam03.mp4",
            "video_back": "videos/pose2sim_multi/cam04.mp4",
        },
        set(),
    ),
    (
        {
            "subject": "balancer",
            "action": "balancing",
            "video_front": "videos/pose2sim/cam01.mp4",
            "video_front_left": "videos/pose2sim/cam02.mp4",
            "video_left": "videos/pose2sim/cam03.mp4",
            "video_back": "videos/pose2sim/cam04.mp4",
        },
        set(),
    ),
]

X = "left_first_muscle"
# Row, and the message it is refused with: a finding after `check:`, else an error on reading.
REFUSED = [
    ({"emg": "btkdata/Empty.c3d", "emg_channels": f"E={X}"}, "Empty.c3d: damaged"),
    (
        {"emg": "btkdata/badParameterOffset.c3d", "emg_channels": f"E={X}"},
        "badParameterOffset.c3d: damaged",
    ),
    (
        {"emg": "btkdata/parameterOverflow.c3d", "emg_channels": f"EMG1={X}"},
        "check: constant at -32768: not connected",
    ),
    (
        {"emg": "btkdata/FunctionalWalk.c3d", "emg_channels": f"EMG1={X}"},
        "check: an RMS of .* V is not that of surface EMG",
    ),
    (
        {"emg": "opensim_core/OpenSim/Tests/shared/walking2.c3d", "emg_channels": f"EMG={X}"},
        "no channel 'EMG'; it has 'Fx1'",
    ),
    (
        {"emg": "opensim_core/OpenSim/Tests/shared/walking5.c3d", "emg_channels": f"EMG={X}"},
        "no channel 'EMG'; it has 'Fx1'",
    ),
    (
        {
            "emg": "opensim_core/OpenSim/Sandbox/MatlabScripts/test_walking.c3d",
            "emg_channels": f"EMG={X}",
        },
        "no channel 'EMG'; it has 'Fx1'",
    ),
    (
        {"emg": "emgio_samples/examples/otb_emg_channels.tsv", "emg_channels": f"CH1={X}"},
        "no rows of numbers",
    ),
    ({"emg": f"{ARM}analogs.csv", "emg_channels": f"EMG1={X}"}, "does not say its rate"),
    (
        {"emg": f"{ARM}analogs.csv", "emg_channels": f"EMG12={X}", "emg_rate": 2000},
        "check: constant at 0: not connected",
    ),
    (
        {"emg": SQUAT, "emg_channels": f"EMG03_biceps_brachii_right={X}", "emg_unit": "uV"},
        "does not say its rate",
    ),
    (
        {"emg": SQUAT, "emg_channels": f"EMG07={X}", "emg_rate": 2000, "emg_unit": "uV"},
        "check: constant at -3299.9: not connected",
    ),
    (
        {"emg": "videos/pose2sim/calibration/Calib.qca.txt", "emg_channels": f"E={X}"},
        "no rows of numbers",
    ),
    (
        {"emg": f"{ARM}is_expected_array_val.csv", "emg_channels": f"E={X}"},
        "no channel 'E'; it has 'idx', 'mean_val'",
    ),
    (
        {"emg": f"{ARM}markers.csv", "emg_channels": f"E={X}"},
        "no channel 'E'; it has 'Frame', 'Sub Frame', 'boite:gauche_ext X'",
    ),
    (
        {"emg": f"{ARM}markers_without_header.csv", "emg_channels": f"E={X}"},
        "no channel 'E'; it has 'column 1'",
    ),
    (
        {
            "emg": f"{WALK}electromyography.sto",
            "emg_channels": f"soleus={X}",
            "emg_unit": "fraction",
            "pose": f"{WALK}markers_walk.trc",
            "pose_axes": "x -z y",
            "pose_joints": "R.Shoulder=right_shoulder; L.Shoulder=left_shoulder",
        },
        "has nothing for head",
    ),
]
# Movement without EMG: read as channels (analyses/walking.py trains on `ik.sto`).
MOVEMENT = [
    *(f"ceinms_rt_lowerlimb/data/{run}/ik.sto" for run in ("walk36", "walk45", "run81")),
    *(f"{MOCO}{name}" for name in ("coordinates.mot", "grf.mot")),
    *(f"{WALK}{name}" for name in ("coordinates.sto", "grf_walk.mot", "markers_walk.trc")),
    *(f"{ARM}{name}" for name in ("inverse_dyn.sto", "inverse_kin.mot", "markers.trc")),
    "opencap_processing/squats1_videoAndMocap.mot",
]
DOCUMENTS = ("README", "LICENSE", "SOURCE", "METADATA", "Copyright", "sheet.png", "grf_walk.xml")


def files_of(row):
    return [v for k, v in row.items() if k in ("emg", "pose") or k.startswith("video")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder of one's own with all recordings in it, since links out of it are refused."""
    folder = tmp_path_factory.mktemp("real")
    shutil.copytree(shared("data"), folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return folder


def read(copy, row):
    table = copy / "clips.yaml"
    table.write_text(yaml.safe_dump([{"subject": "s", "action": "a"} | row]))
    [parsed] = read_table(copy)
    clip = load_clip(parsed, fps=2.0, size=32)
    return clip, check.check_clip(clip)


def test_every_file_is_in_one_of_the_lists():
    root = shared("data")
    listed = {f for row, _ in (*GOOD, *REFUSED) for f in files_of(row)} | set(MOVEMENT)
    files = {
        str(p.relative_to(root))
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith(DOCUMENTS)
    }
    assert files == listed


@pytest.mark.parametrize("row, expected", GOOD, ids=[row["subject"] for row, _ in GOOD])
def test_good_recordings_pass(copy, row, expected):
    clip, findings = read(copy, row)
    assert [f for f in findings if f.severity == "error"] == []
    assert {f.code for f in findings} == expected
    if clip.muscles:
        envelope = emg.clip_envelope(clip)
        assert np.isfinite(envelope).all() and (envelope.std(0) > 0).all()


@pytest.mark.parametrize("row, message", REFUSED)
def test_the_others_are_refused_with_one_line(copy, row, message):
    kind, _, text = message.partition(": ")
    if kind == "check":
        _, findings = read(copy, row)
        assert [f for f in findings if re.search(text, f.message)], findings
        return
    with pytest.raises(UserError, match=message) as caught:
        read(copy, row)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MOVEMENT)
def test_movement_is_read_as_channels(name):
    channels = readers.read(shared(f"data/{name}"))
    assert len(channels) >= 18 and all(c.rate > 0 for c in channels)


def test_all_good_ones_become_a_dataset(copy, tmp_path):
    (copy / "clips.yaml").write_text(yaml.safe_dump([row for row, _ in GOOD]))
    dataset = store.open_dataset("recordings/default", tmp_path, copy)
    clips = [clip for split in dataset.splits.values() for clip in split]
    assert len(clips) == len(GOOD) and not dataset.simulated
    assert sum(bool(clip.muscles) for clip in clips) == 11
    assert sum(len(clip.views) for clip in clips) == 10
