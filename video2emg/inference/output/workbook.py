"""A prediction as a workbook for spreadsheet programs (.xlsx)."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from video2emg.core import vocabulary
from video2emg.core.files import write_atomically
from video2emg.inference.prediction import Prediction
from video2emg.pose.opensim_angles import angles_from_joints

_WIDTH = 14  # of a column, characters
_MOVEMENT = (
    "range_left_deg",
    "range_right_deg",
    "range_left_minus_right_deg",
    "first_half_s",
    "second_half_s",
)

Rows = Iterable[Sequence[Any]]


def write(prediction: Prediction, path: Path) -> None:
    """Writes the sheets of a prediction; what is unknown is an empty cell.

    They are `about`, `repetitions` and `activations`; `peak torques` if the load is told; and
    `pose angles` and `refused spans` if the model reads poses.
    """
    book = Workbook(write_only=True)
    _sheet(book, "about", ("", ""), _about(prediction))
    _sheet(book, "repetitions", *_repetitions(prediction))
    _sheet(book, "activations", *_activations(prediction))
    if prediction.torque is not None:
        _sheet(book, "peak torques", *_torques(prediction))
    if prediction.pose is not None:
        _sheet(book, "pose angles", *_angles(prediction))
        rows = [(s.start, s.end, s.reason, s.advice) for s in prediction.pose.gated.spans]
        _sheet(book, "refused spans", ("start [s]", "end [s]", "reason", "advice"), rows)
    write_atomically(path, book.save)


def _about(prediction: Prediction) -> Rows:
    refused = "" if prediction.pose is None else prediction.pose.gated.refused
    facts = {
        "recording": prediction.name,
        "duration [s]": prediction.duration,
        "exercise": prediction.action,
        "load [kg]": prediction.load,
        "score": prediction.score,
        "in domain": prediction.in_domain,
        "refused": refused or None,
        "unit of the activations": prediction.unit,
        "model": "trained on simulated recordings" if prediction.simulated else None,
    }
    lines = [("followed", line) for line in prediction.followed]
    return [*facts.items(), *lines, *(("warning", line) for line in prediction.warnings)]


def _repetitions(prediction: Prediction) -> tuple[Sequence[str], Rows]:
    header = ["number", "start [s]", "end [s]", "in domain", "predicted load [kg]", "score"]
    header += ["no score because", "moving joint", "range, left [deg]", "range, right [deg]"]
    header += ["range, left - right [deg]", "to the turning point [s]", "back [s]"]
    rows = []
    for number, one in enumerate(prediction.repetitions, 1):
        movement = {} if one.movement is None else one.movement.to_json()
        facts = (one.start, one.end, one.in_domain, one.predicted_load, one.score)
        moved = [movement.get(name) for name in ("joint", *_MOVEMENT)]
        rows.append([number, *facts, one.no_score_reason or None, *moved])
    return header, rows


def _activations(prediction: Prediction) -> tuple[Sequence[str], Rows]:
    """By muscle the mean and the peak of the recording and of each repetition."""
    numbers = range(1, len(prediction.repetitions) + 1)
    spans = ["recording", *(f"repetition {number}" for number in numbers)]
    header = ["muscle", *(f"{what}, {span}" for what in ("mean", "peak") for span in spans)]
    within = [prediction.emg[one.holds(prediction.time)] for one in prediction.repetitions]
    parts = [prediction.emg, *within]
    means = [_of_known(part, np.mean) for part in parts]
    peaks = [_of_known(part, np.max) for part in parts]
    columns = np.stack([*means, *peaks], 1)
    return header, ([m, *row] for m, row in zip(prediction.muscles, columns.tolist(), strict=True))


def _torques(prediction: Prediction) -> tuple[Sequence[str], Rows]:
    """The largest torque of each joint in each repetition."""
    peaks = [prediction.peak_torque(one) for one in prediction.repetitions]
    header = ["joint", *(f"repetition {n} [N.m]" for n in range(1, len(peaks) + 1))]
    return header, ([name, *(round(one[name], 1) for one in peaks)] for name in vocabulary.DOFS)


def _of_known(values: np.ndarray, of: Any) -> np.ndarray:
    """[C] of the samples of each channel that are known; NaN without any."""
    columns = [column[np.isfinite(column)] for column in values.T]
    return np.array([of(column) if len(column) else math.nan for column in columns])


def _angles(prediction: Prediction) -> tuple[Sequence[str], Rows]:
    """The angles of `angles.mot` at each instant of the pose."""
    assert prediction.pose is not None
    track = prediction.pose.track
    angles = angles_from_joints(track.joints, track.names)
    header = ["time [s]", *(f"{name} [deg]" for name in angles)]
    table = np.stack([track.times, *(np.round(values, 2) for values in angles.values())], 1)
    return header, (row.tolist() for row in table)


def _sheet(book: Workbook, name: str, header: Sequence[str], rows: Rows) -> None:
    sheet = book.create_sheet(name)
    sheet.freeze_panes = "B2"
    for column in range(1, len(header) + 1):
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTH
    sheet.append([_cell(sheet, text, Font(bold=True)) for text in header])
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])


def _cell(sheet: Any, value: Any, font: Font | None = None) -> Any:
    """A cell; a text is never taken for a formula, and an unknown number leaves it empty."""
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, str):
        cell.data_type = "s"
    if font is not None:
        cell.font = font
    return cell
