"""EDF and BDF (European Data Format, and EDF+ of Kemp & Olivan 2003)."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.readers.channel import Channel

# The fields of a signal's header and their bytes; all signals' first field comes first.
_FIELDS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical_min": 8,
    "physical_max": 8,
    "digital_min": 8,
    "digital_max": 8,
    "filter": 80,
    "samples": 8,
    "reserved": 32,
}
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15[\d.]*)?\x14\x14")


@dataclasses.dataclass(frozen=True)
class _Header:
    """What is said before the first record.

    Attributes:
      signals: fields by name, per signal.
      size: of the header, bytes.
      records: number of records; -1 if the recorder did not know.
      seconds: length of a record.
      width: bytes per sample.
    """

    signals: list[dict[str, str]]
    size: int
    records: int
    seconds: float
    width: int


def read(path: Path, rate: float = math.nan) -> list[Channel]:
    """Reads every signal, each at its own rate, in physical units.

    Raises:
      UserError: the file is not EDF or BDF, is cut off, or has a gap between two records.
    """
    del rate  # the file always says it
    content = path.read_bytes()
    header = _header(content, path)
    counts = [int(signal["samples"]) for signal in header.signals]
    size = header.width * sum(counts)
    complete = (len(content) - header.size) // size if size else 0
    if complete < max(header.records, 1):
        raise UserError(f"{path}: cut off: {complete} of {header.records} records are in it")
    records = complete if header.records < 0 else header.records
    body = np.frombuffer(content, np.uint8, records * size, header.size).reshape(records, size)
    ends = header.width * np.cumsum(counts)
    parts = np.split(body, ends[:-1], axis=1)
    labels = [signal["label"] for signal in header.signals]
    notes = [part for part, label in zip(parts, labels, strict=True) if _is_notes(label)]
    start = _start(notes[0], header.seconds, path) if notes else 0.0
    return [
        Channel(
            signal["label"],
            _physical(part, signal, header.width),
            int(signal["samples"]) / header.seconds,
            start,
            signal["unit"],
        )
        for part, signal in zip(parts, header.signals, strict=True)
        if not _is_notes(signal["label"])
    ]


def _is_notes(label: str) -> bool:
    return label in ("EDF Annotations", "BDF Annotations")


def _header(content: bytes, path: Path) -> _Header:
    # Of the standard's ASCII, recorders leave one way: µ, in Latin-1 or UTF-8.
    text = content[:256].decode("latin-1")
    wide = content[:1] == b"\xff"
    try:
        count = int(text[252:256])
        size, records, seconds = int(text[184:192]), int(text[236:244]), float(text[244:252])
        signals: list[dict[str, str]] = [{} for _ in range(count)]
        place = 256
        for field, length in _FIELDS.items():
            for signal in signals:
                cell = content[place : place + length]
                signal[field] = _text(cell)
                place += length
        for signal in signals:
            for field in ("physical_min", "physical_max"):
                signal[field] = str(float(signal[field]))
            for field in ("digital_min", "digital_max", "samples"):
                signal[field] = str(int(signal[field]))
    except ValueError:
        raise UserError(f"{path}: not an EDF or BDF file (its header has no numbers)") from None
    if size != 256 * (1 + count) or seconds <= 0 or count < 1:
        raise UserError(
            f"{path}: not an EDF or BDF file ({count} signals in a header of {size} bytes, "
            f"records of {seconds:g} s)"
        )
    return _Header(signals, size, records, seconds, 3 if wide else 2)


def _text(cell: bytes) -> str:
    try:
        return cell.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return cell.decode("latin-1").strip(" \0")


def _physical(part: np.ndarray, signal: dict[str, str], width: int) -> np.ndarray:
    """[N] values of the bytes [records, n] of a signal."""
    if width == 2:
        digital = np.ascontiguousarray(part).view("<i2").astype(np.float64)
    else:
        low, middle, high = part[:, 0::3], part[:, 1::3], part[:, 2::3].astype(np.int8)
        digital = high * 65536.0 + middle * 256.0 + low
    limits = [
        float(signal[f"{kind}_{end}"]) for kind in ("physical", "digital") for end in ("min", "max")
    ]
    span = limits[3] - limits[2]
    gain = (limits[1] - limits[0]) / span if span else math.nan
    return (digital.ravel() - limits[2]) * gain + limits[0]


def _start(notes: np.ndarray, seconds: float, path: Path) -> float:
    """Start of the first record, s; the records must follow one another without a gap."""
    matches = [_ONSET.match(record.tobytes()) for record in notes]
    if not all(matches):
        raise UserError(f"{path}: a record without its time; not an EDF+ file")
    onsets = np.array([float(match[1]) for match in matches if match])
    gaps = np.abs(np.diff(onsets) - seconds) > 1e-3
    if gaps.any():
        first = int(gaps.argmax())
        raise UserError(
            f"{path}: the recording is discontinuous: after {onsets[first] + seconds:g} s it "
            f"goes on at {onsets[first + 1]:g} s; write each part into a file of its own"
        )
    return float(onsets[0])
