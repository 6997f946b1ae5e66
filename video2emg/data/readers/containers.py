"""MATLAB, HDF5 and Parquet files: numeric arrays by name. Objects are never unpickled."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core import units
from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.readers import columns as columns_lib
from video2emg.data.readers.channel import Channel
from video2emg.data.readers.columns import Column

_RATES = ("rate", "fs", "srate", "sampling_rate", "samplingrate", "sample_rate", "samplerate")


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """Reads each vector as a channel, and each matrix as one channel per column (its shorter side).

    A scalar named `fs`, `rate`, `sampling_rate` … is the rate of all channels, Hz. A vector of
    times is the clock of the arrays that are as long as it.
    """
    arrays = {k: np.asarray(v) for k, v in _arrays(path) if not k.startswith("__")}
    numeric = {k: v.astype(float).squeeze() for k, v in arrays.items() if v.dtype.kind in "fiu"}
    columns = _acqknowledge(arrays) or _columns(numeric, _stated_rate(numeric, path))
    if not columns:
        nested = [name for name, values in arrays.items() if values.dtype.kind in "OV"]
        if nested:
            raise UserError(
                f"{path}: {nested[0]!r} is a structure or a cell, and these are not followed; save "
                "the arrays as variables of their own, or export C3D"
            )
    channels = []
    for length in dict.fromkeys(len(column.values) for column in columns):
        same = [column for column in columns if len(column.values) == length]
        channels += columns_lib.to_channels(same, str(path), rate)
    return channels


def _arrays(path: Path) -> Iterable[tuple[str, Any]]:
    if path.suffix.lower() == ".parquet":
        table = readers.library("pyarrow.parquet", path).read_table(path)
        return [
            (name, table.column(name).to_numpy(zero_copy_only=False)) for name in table.column_names
        ]
    if path.suffix.lower() == ".mat" and not path.read_bytes()[:512].startswith(b"MATLAB 7.3"):
        import scipy.io

        return scipy.io.loadmat(path, squeeze_me=True).items()
    return _hdf5(path)


def _stated_rate(numeric: Mapping[str, np.ndarray], path: Path) -> float:
    """The one scalar that is named as a rate, Hz; NaN without one."""
    rates = {
        float(values.ravel()[0])
        for name, values in numeric.items()
        if values.size == 1 and name.rpartition("/")[2].lower() in _RATES
    }
    if len(rates) > 1:
        raise UserError(f"{path}: several sampling rates {sorted(rates)}; give emg_rate instead")
    return rates.pop() if rates else math.nan


def _columns(numeric: Mapping[str, np.ndarray], rate: float) -> list[Column]:
    columns = []
    for name, values in numeric.items():
        folder, slash, last = name.rpartition("/")
        label, unit = columns_lib.split_unit(last)
        label = f"{folder}{slash}{label}"
        if values.ndim == 1 and values.size > 1:
            columns.append(Column(label, unit, values, rate, (name,)))
        elif values.ndim == 2:
            sides = values if values.shape[0] >= values.shape[1] else values.T
            columns += [
                Column(f"{label}[{i}]", unit, column, rate, (f"{name}[{i}]",))
                for i, column in enumerate(sides.T)
            ]
    return columns


def _acqknowledge(arrays: Mapping[str, np.ndarray]) -> list[Column]:
    """BIOPAC AcqKnowledge: `data`, the sampling interval `isi`, `labels` and `units`."""
    if not {"data", "isi", "isi_units"} <= set(arrays):
        return []
    data = np.asarray(arrays["data"], float)
    data = data[:, None] if data.ndim == 1 else data
    unit = units.find(str(arrays["isi_units"]))
    rate = 1 / (float(arrays["isi"]) * unit.scale) if unit and unit.kind == "time" else math.nan
    names, labels = (
        [str(text).strip() for text in np.atleast_1d(arrays.get(key, []))]
        for key in ("labels", "units")
    )
    return [
        Column(
            names[i] if i < len(names) else f"data[{i}]",
            labels[i] if i < len(labels) else "",
            values,
            rate,
            (f"data[{i}]",),
        )
        for i, values in enumerate(data.T)
    ]


def _hdf5(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    h5py = readers.library("h5py", path)
    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item) -> None:
        # A virtual dataset could refer to files elsewhere; visititems does not follow links.
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and not item.is_virtual:
            arrays[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return iter(arrays.items())
