"""A folder of recordings of one person, without a film: joint angles and EMG."""

import pathlib

import numpy as np

CHANNELS = "A=left_vastus_lateralis; B=right_vastus_lateralis"


def write_emg(path: pathlib.Path, values: np.ndarray, rate: float) -> None:
    """Two channels, mV, with the same values [N]."""
    rows = ["time [s],A [mV],B [mV]"]
    rows += [f"{i / rate:.9f},{v:.6g},{v:.6g}" for i, v in enumerate(values)]
    path.write_text("\n".join(rows) + "\n")


def angles_file(path: pathlib.Path, seconds: float, rate: float = 60.0) -> np.ndarray:
    """Squats of 2 s as joint angles of OpenSim; returns the times of the lowest points, s."""
    time = np.arange(round(seconds * rate)) / rate
    depth = 50 - 50 * np.cos(np.pi * time)
    columns = {"time": time, "pelvis_tilt": -0.3 * depth, "pelvis_ty": 0.9 + 0 * time}
    for side in "rl":
        columns |= {f"hip_flexion_{side}": 0.9 * depth, f"knee_angle_{side}": depth}
        columns |= {f"ankle_angle_{side}": 0.2 * depth}
    header = f"coordinates\nnRows={len(time)}\nnColumns={len(columns)}\ninDegrees=yes\nendheader\n"
    rows = ["\t".join(columns)]
    rows += ["\t".join(f"{x:.6f}" for x in row) for row in zip(*columns.values(), strict=True)]
    path.write_text(header + "\n".join(rows) + "\n")
    return np.arange(1.0, seconds, 2.0)


def lifter(
    root: pathlib.Path,
    repetitions: str = "find",
    extra: str = "",
    cells: str = "",
    seconds: float = 6.0,
) -> np.ndarray:
    """Writes the folder; the EMG swells with the depth.

    Args:
      root: of the new folder.
      repetitions: cell of that column.
      extra, cells: further columns, and their cells.
      seconds: of the set.

    Returns:
      The times of the lowest points, s.
    """
    root.mkdir()
    lowest = angles_file(root / "ik.mot", seconds)
    time = np.arange(round(1000 * seconds)) / 1000
    depth = 0.5 - 0.5 * np.cos(np.pi * time)
    noise = np.random.default_rng(0).normal(size=len(time))
    write_emg(root / "emg.csv", (0.05 + depth) * noise, 1000.0)
    (root / "clips.csv").write_text(
        f"subject,action,emg,emg_channels,pose,repetitions,equipment,load,height{extra}\n"
        f"me,my_squat,emg.csv,{CHANNELS},ik.mot,{repetitions},barbell_back,80,1.90{cells}\n"
    )
    return lowest
