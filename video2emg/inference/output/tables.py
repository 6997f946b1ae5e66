"""A prediction as files of many programs; docs/predict.md has keys and columns."""

import csv
import importlib.util
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.files import write_atomically, write_json, write_text
from video2emg.inference.output import pose_files, workbook
from video2emg.inference.output.c3d_file import Signals
from video2emg.inference.output.mechanics_files import TORQUES
from video2emg.inference.output.storage import storage
from video2emg.inference.prediction import Prediction

JSON, TABLE, WORKBOOK = "prediction.json", "emg", "prediction.xlsx"
_ROWS = 10_000  # of a CSV, written at a time


def columns(prediction: Prediction) -> dict[str, np.ndarray]:
    """Columns of the EMG table by name, each [N]."""
    number = np.zeros(len(prediction.time), np.int32)
    for n, repetition in enumerate(prediction.repetitions, 1):
        number[repetition.holds(prediction.time)] = n
    table = {
        "time_s": prediction.time,
        "repetition": number,
        "in_domain": prediction.sample_in_domain,
    }
    for c, muscle in enumerate(prediction.muscles):
        table[muscle] = prediction.emg[:, c]
        if prediction.low is not None and prediction.high is not None:
            table[f"{muscle}_low"] = prediction.low[:, c]
            table[f"{muscle}_high"] = prediction.high[:, c]
    return table


def write(prediction: Prediction, folder: Path) -> list[Path]:
    """Writes the tables and, last, the JSON; returns the paths."""
    table = columns(prediction)
    paths = [folder / f"{TABLE}.csv"]
    write_atomically(paths[0], lambda file: _write_csv(table, file))
    if importlib.util.find_spec("pyarrow"):
        import pyarrow
        from pyarrow import parquet

        path = folder / f"{TABLE}.parquet"
        write_atomically(path, lambda file: parquet.write_table(pyarrow.table(table), file))
        paths.append(path)
    paths.append(folder / f"{TABLE}.sto")
    write_text(paths[-1], storage(TABLE, prediction.time, prediction.muscles, prediction.emg))
    if prediction.torque is not None:
        paths.append(folder / TORQUES)
        text = storage("torques", prediction.time, vocabulary.DOFS, prediction.torque)
        write_text(paths[-1], text)
    if prediction.pose is not None:
        paths += pose_files.write(prediction.pose, folder, *_signals(prediction))
    paths.append(folder / WORKBOOK)
    workbook.write(prediction, paths[-1])
    write_json(folder / JSON, prediction.to_json())
    return [*paths, folder / JSON]


def _signals(prediction: Prediction) -> list[Signals]:
    """The EMG, and the torques if there are any, for a C3D file."""
    time = prediction.time
    signals = [Signals(prediction.muscles, prediction.normalisation, time, prediction.emg)]
    if prediction.torque is not None:
        signals.append(Signals(vocabulary.DOFS, "N.m", time, prediction.torque))
    return signals


def _write_csv(table: dict[str, np.ndarray], file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    # A table is many times larger as text, so only a part of it is text at a time.
    for first in range(0, len(table["time_s"]), _ROWS):
        cells = (_cells(column[first : first + _ROWS]) for column in table.values())
        writer.writerows(zip(*cells, strict=True))
    text.detach()  # flushes; the caller closes the file


def _cells(column: np.ndarray) -> list[str]:
    if column.dtype == bool:
        return ["true" if x else "false" for x in column]
    if column.dtype.kind == "f":
        return ["" if np.isnan(x) else f"{x:.6g}" for x in column]
    return [str(x) for x in column]
