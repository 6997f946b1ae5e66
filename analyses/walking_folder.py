"""Real walking and running as a folder of recordings, for the command `transfer`.

    python -m analyses.walking_folder --data ../shared/data/ceinms_rt_lowerlimb/data --out walking

The poses are joint coordinates, of which only those of the legs are measured well. Each recording
is a free movement, which the command cuts into pieces that begin at any phase. One person walked at
3.6 and 4.5 km/h and ran at 8.1 km/h. The three recordings are named as three people, so that each
is calibrated on its own; intervals over them mean nothing.
"""

import argparse
import csv
import pathlib
import shutil

from analyses.walking import MUSCLES, RECORDINGS


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in RECORDINGS:
        for theirs, ours in (("ik", "pose"), ("emgFilt", "emg")):
            shutil.copyfile(
                arguments.data / name / f"{theirs}.sto", arguments.out / f"{name}_{ours}.sto"
            )
        rows.append(
            {
                "subject": name,
                "action": "walking",
                "emg": f"{name}_emg.sto",
                "emg_channels": "; ".join(f"{theirs}={ours}" for theirs, ours in MUSCLES.items()),
                "emg_unit": "fraction",
                "emg_kind": "envelope",
                "pose": f"{name}_pose.sto",
                "repetitions": "none",
                "equipment": "none",
                "load": "0",
            }
        )
    with (arguments.out / "clips.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
