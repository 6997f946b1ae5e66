"""How an error moves the body: the rotation that it gives each segment, in simulated people."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core import interpolation
from video2emg.core.errors import UserError
from video2emg.core.segment_directions import SEGMENTS

SHIPPED = Path(__file__).parent / "graphs" / "gymsim_signatures.npz"


@dataclasses.dataclass(frozen=True)
class Signature:
    """The mean change of an error in simulated people.

    Attributes:
      rotation: [N, S, 3] rad, axis times angle, of each of `core.segment_directions.SEGMENTS`, from
        the direction without the error to that with it, where the body faces x. N is odd: the
        first half is the first phase of the repetition, the last half the second. An error of one
        side affects the left.
      duration: factors on the durations of both phases.
      severity: of the error.
    """

    rotation: Float[np.ndarray, "N S 3"]
    duration: tuple[float, float]
    severity: float

    def at(self, phase: Float[np.ndarray, " T"], severity: float) -> Float[np.ndarray, "T S 3"]:
        """The rotations at another severity, if they are proportional to it.

        Args:
          phase: 0 at the start of the repetition, 1 at its turn, 2 at its end; what is before the
            start or after the end is as there.
          severity: 0-1.
        """
        grid = np.linspace(0, 2, len(self.rotation))
        return interpolation.linear(self.rotation, grid, phase) * (severity / self.severity)

    def stretched(self, severity: float) -> tuple[float, float]:
        """`duration` at another severity."""
        first, second = (1 + (d - 1) * severity / self.severity for d in self.duration)
        return first, second


def read(path: Path = SHIPPED) -> dict[tuple[str, str], Signature]:
    """Signatures by action and error.

    Raises:
      UserError: the file is not one of `analyses.error_effects`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            severity = float(file["severity"])
            signatures = {}
            for name in file.files:
                if name.endswith("/rotation"):
                    action, error, _ = name.split("/")
                    rotation = np.asarray(file[name], np.float64)
                    if rotation.shape[1:] != (len(SEGMENTS), 3) or len(rotation) % 2 == 0:
                        raise ValueError(f"{name} has the shape {rotation.shape}")
                    first, second = np.asarray(file[f"{action}/{error}/duration"], np.float64)
                    signatures[action, error] = Signature(rotation, (first, second), severity)
            return signatures
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a file of signatures ({error})") from None


def write(path: Path, signatures: dict[tuple[str, str], Signature]) -> None:
    """Writes signatures of one severity in 16 bits."""
    (severity,) = {signature.severity for signature in signatures.values()}
    arrays: dict[str, np.ndarray] = {"severity": np.float32(severity)}  # pyright: ignore
    for (action, error), signature in signatures.items():
        arrays[f"{action}/{error}/rotation"] = signature.rotation.astype(np.float16)
        arrays[f"{action}/{error}/duration"] = np.array(signature.duration, np.float16)
    np.savez_compressed(path, allow_pickle=False, **arrays)
