"""The workbook is read by openpyxl, and as XML."""

import dataclasses
import zipfile

import numpy as np
import openpyxl
import pytest

from tests.inference.test_pose_files import masked_track
from tests.pose.squats import bends, filmed
from video2emg.core import vocabulary
from video2emg.data.film_pose import track_to_pose
from video2emg.inference.output import tables, workbook
from video2emg.inference.prediction import Movement, Prediction, Repetition
from video2emg.pose.gates import Refusal

EVIL = "=HYPERLINK(1)"


def prediction() -> Prediction:
    """Two repetitions of one muscle that doubles; a refused span without EMG."""
    pose = track_to_pose(filmed(bends(4, 15, 2))[0])
    span = Refusal(3.0, 3.5, "the scene changes", "film in one take")
    gated = dataclasses.replace(pose.gated, track=masked_track(), spans=(span,))
    time = np.arange(200) / 50
    emg = np.stack([np.where(time < 2, 0.2, 0.4), np.full(200, 0.1)], 1)
    emg[time >= 3] = np.nan
    movement = Movement("knee", 95.0, np.nan, 0.8, 0.9)
    one = Repetition(0.0, 2.0, 0.5, 2.0, 61.5, movement=movement, no_score_reason="no head")
    return Prediction(
        name=EVIL,
        videos={},
        duration=4.0,
        action="barbell_squat",
        recognition=None,
        load=60.0,
        normalisation="mvc",
        simulated=True,
        time=time,
        muscles=("left_soleus", "right_soleus"),
        emg=emg,
        low=None,
        high=None,
        level=0.9,
        sample_in_domain=np.ones(200, bool),
        repetitions=(one, dataclasses.replace(one, start=2.0, end=3.2, movement=None, score=80.0)),
        warnings=("a\x07warning",),
        run={"workdir": "run", "dataset": "gymsim/tiny"},
        pose=dataclasses.replace(pose, track=masked_track(), gated=gated),
        torque=torque(time),
    )


def torque(time: np.ndarray) -> np.ndarray:
    """Of the lower back 120 N·m in the first and −150 N·m at 2.5 s; unknown from 3 s on."""
    values = np.zeros((len(time), len(vocabulary.DOFS)))
    values[time < 2, -1] = 120.0
    values[np.isclose(time, 2.5), -1] = -150.0
    values[time >= 3] = np.nan
    return values


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "prediction.xlsx"
    workbook.write(prediction(), path)
    return path


def test_every_sheet_holds_what_was_predicted(path):
    book = openpyxl.load_workbook(path)
    about, repetitions, activations, torques, angles, spans = (
        list(s.values) for s in book.worksheets
    )
    assert torques[-1] == ("lumbar_extension", 120.0, -150.0)
    assert dict(about[1:])["load [kg]"] == 60 and ("warning", "a�warning") in about
    first, second = (dict(zip(repetitions[0], row, strict=True)) for row in repetitions[1:])
    assert first["predicted load [kg]"] == 61.5 and first["moving joint"] == "knee"
    assert first["range, left [deg]"] == 95 and first["range, right [deg]"] is None
    assert first["range, left - right [deg]"] is None
    assert first["score"] is None and first["no score because"] == "no head"
    assert second["score"] == 80 and second["moving joint"] is None
    left = dict(zip(activations[0], activations[1], strict=True))
    assert left["muscle"] == "left_soleus"
    assert left["mean, repetition 1"] == pytest.approx(0.2)
    assert left["mean, repetition 2"] == pytest.approx(0.4)
    assert left["peak, recording"] == pytest.approx(0.4)
    assert len(angles) == 1 + len(masked_track().times)
    row = dict(zip(angles[0], angles[1 + 12], strict=True))  # the left wrist is unknown
    assert row["elbow_flex_l [deg]"] is None and 0 < row["knee_angle_r [deg]"] < 120
    assert spans[1] == (3.0, 3.5, "the scene changes", "film in one take")


def test_a_name_is_never_a_formula(path):
    with zipfile.ZipFile(path) as parts:
        sheets = [parts.read(n).decode() for n in parts.namelist() if "/sheet" in n]
    assert any(EVIL in sheet for sheet in sheets)
    assert not any("<f>" in sheet or "<f " in sheet for sheet in sheets)


def test_all_files_of_a_prediction_are_written(tmp_path):
    paths = tables.write(prediction(), tmp_path)
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert {"prediction.xlsx", "angles.mot", "emg.sto", "pose.trc"} <= {p.name for p in paths}
    without = dataclasses.replace(prediction(), pose=None, torque=None)
    workbook.write(without, tmp_path / "b.xlsx")
    names = openpyxl.load_workbook(tmp_path / "b.xlsx").sheetnames
    assert names == ["about", "repetitions", "activations"]
