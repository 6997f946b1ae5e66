"""Real walking and running as a folder of recordings, for the command `transfer`.

    python -m analyses.walking_folder --data ../shared/data/ceinms_rt_lowerlimb/data --out walking

Joint coordinates become joint positions of a body of usual proportions, of which only the legs are
measured well; hands are put where the wrists are. Each recording is cut into clips of 4 s that
begin at any phase. One person walked at 3.6 and 4.5 km/h and ran at 8.1 km/h. The three recordings
are named as three people, so that each is calibrated on its own; intervals over them mean nothing.
"""

import argparse
import csv
import pathlib
import shutil

import numpy as np

from analyses.walking import MUSCLES, RECORDINGS
from video2emg.core.vocabulary import FLEX_21
from video2emg.data.readers.poses import read_pose

SECONDS = 4.0  # of a clip


def write_pose(coordinates: pathlib.Path, path: pathlib.Path) -> float:
    """Writes the joints of FLEX's skeleton as CSV, in metres; returns the duration, s."""
    track = read_pose(coordinates)
    joints = [name.replace("hand", "wrist") for name in FLEX_21]
    pose = np.stack([track.at(name) for name in joints], 1)
    header = ["time", *(f"{name}_{axis}" for name in FLEX_21 for axis in "xyz")]
    values = np.column_stack([track.times, pose.reshape(len(pose), -1)])
    np.savetxt(path, values, "%.4f", ",", header=",".join(header), comments="")
    return float(track.times[-1])


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in RECORDINGS:
        # The reader knows joint coordinates by the ending that OpenSim gives to movements.
        coordinates = arguments.out / f"{name}.mot"
        shutil.copyfile(arguments.data / name / "ik.sto", coordinates)
        shutil.copyfile(arguments.data / name / "emgFilt.sto", arguments.out / f"{name}_emg.sto")
        seconds = write_pose(coordinates, arguments.out / f"{name}_pose.csv")
        shared = {
            "subject": name,
            "action": "walking",
            "emg": f"{name}_emg.sto",
            "emg_channels": "; ".join(f"{theirs}={ours}" for theirs, ours in MUSCLES.items()),
            "emg_unit": "fraction",
            "emg_kind": "envelope",
            "pose": f"{name}_pose.csv",
            "pose_skeleton": "flex_21",
        }
        starts = np.arange(0, seconds - SECONDS, SECONDS)
        rows += [shared | {"start": f"{s:.2f}", "end": f"{s + SECONDS:.2f}"} for s in starts]
    with (arguments.out / "clips.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
