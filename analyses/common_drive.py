"""How much of the drive of the vasti rectus femoris has, in real walking and running.

    python -m analyses.common_drive --data ../shared/data/ceinms_rt_lowerlimb/data

The reason for `physics.constants.COMMON_DRIVE`: envelopes of one person's right leg, at 3.6, 4.5
and 8.1 km/h. Printed for each recording, and stored nowhere.
"""

import argparse
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from analyses.walking import RECORDINGS
from video2emg.data import readers

ACTIVE = 0.8  # quantile of the vasti's envelope above which they count as active


class Shared(NamedTuple):
    """Rectus femoris beside the mean of the vasti.

    Attributes:
      ratio: of the mean envelopes, where the vasti are active.
      r: Pearson's, over time.
    """

    ratio: float
    r: float


def shared(rectus: Float[np.ndarray, " T"], vasti: Float[np.ndarray, " T"]) -> Shared:
    """Compares two envelopes in the same unit."""
    active = vasti > np.quantile(vasti, ACTIVE)
    ratio = rectus[active].mean() / vasti[active].mean()
    return Shared(float(ratio), float(np.corrcoef(rectus, vasti)[0, 1]))


def measured(recording: pathlib.Path) -> Shared:
    """Reads the envelopes of one recording."""
    emg = {c.name: c.values for c in readers.read(recording / "emgFilt.sto")}
    return shared(emg["rect_fem_r"], (emg["vas_lat_r"] + emg["vas_med_r"]) / 2)


def main() -> None:
    """Prints a row for each recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    data = parser.parse_args().data
    for name in RECORDINGS:
        row = measured(data / name)
        print(f"{name}: rectus femoris / vasti {row.ratio:.2f}, r {row.r:.2f}")


if __name__ == "__main__":
    main()
