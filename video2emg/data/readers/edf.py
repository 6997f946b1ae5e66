"""EDF and BDF (European Data Format), through pyedflib."""

from pathlib import Path

from video2emg.data import readers
from video2emg.data.readers.channel import Channel


def read(path: Path) -> list[Channel]:
    """Reads every signal, each at its own rate, in physical units."""
    pyedflib = readers.library("pyedflib", path)
    with pyedflib.EdfReader(str(path)) as file:
        return [
            Channel(
                file.getLabel(i).strip(),
                file.readSignal(i).astype(float),
                float(file.getSampleFrequency(i)),
                unit=file.getPhysicalDimension(i).strip(),
            )
            for i in range(file.signals_in_file)
        ]
