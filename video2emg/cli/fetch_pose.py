"""Downloads the weights of the pose estimator BlazePose, once, and checks them.

The detector and the net `full` come from the wheel mediapipe 0.10.14 on PyPI (with pip), `lite` and
`heavy` from npm's @mediapipe/pose 0.5.1675469404 (with npm). Nothing is installed. No other command
uses the network.
"""

import dataclasses
from pathlib import Path

from video2emg.cli.flags import Words


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      nets: of lite (fastest), full and heavy (slowest); else full.
      out: folder; else the user's data folder, where the estimator looks for them.
    """

    nets: Words = ()
    out: str = ""


def run(options: Options) -> int:
    """Downloads what is missing; returns the exit status."""
    from video2emg.pose import weights

    folder = Path(options.out).expanduser() if options.out else weights.user_folder()
    weights.fetch(options.nets or ("full",), folder, print)
    if options.out:
        print(f"use them with --pose_weights {folder}, or set {weights.VARIABLE}={folder}")
    return 0
