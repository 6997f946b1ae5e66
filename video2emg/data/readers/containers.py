"""MATLAB, HDF5 and Parquet files: numeric arrays by name. Objects are never unpickled."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data import readers
from video2emg.data.readers.channel import Channel

_RATES = ("rate", "fs", "srate", "sampling_rate", "samplingrate", "sample_rate", "samplerate")


def read(path: Path) -> list[Channel]:
    """Reads each vector as a channel, and each matrix as one channel per column (its shorter side).

    A scalar named `fs`, `rate`, `sampling_rate` … is the rate of all channels, Hz.
    """
    if path.suffix.lower() == ".parquet":
        table = readers.library("pyarrow.parquet", path).read_table(path)
        arrays = {
            name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names
        }
    elif path.suffix.lower() == ".mat" and not path.read_bytes()[:512].startswith(b"MATLAB 7.3"):
        import scipy.io

        arrays = scipy.io.loadmat(path, squeeze_me=True)
    else:
        arrays = dict(_hdf5(path))
    arrays = {k: np.asarray(v) for k, v in arrays.items() if not k.startswith("__")}
    numeric = {k: v.astype(float) for k, v in arrays.items() if v.dtype.kind in "fiu"}
    rates = {
        float(v.ravel()[0])
        for k, v in numeric.items()
        if v.size == 1 and k.rpartition("/")[2].lower() in _RATES
    }
    if len(rates) > 1:
        raise UserError(f"{path}: several sampling rates {sorted(rates)}; give emg_rate instead")
    rate = rates.pop() if rates else float("nan")
    channels = []
    for name, values in numeric.items():
        values = values.squeeze()
        if values.ndim == 1 and values.size > 1:
            channels.append(Channel(name, values, rate))
        elif values.ndim == 2:
            columns = values if values.shape[0] >= values.shape[1] else values.T
            channels += [
                Channel(f"{name}[{i}]", column, rate) for i, column in enumerate(columns.T)
            ]
    return channels


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
