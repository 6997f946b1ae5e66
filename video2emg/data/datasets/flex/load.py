"""One repetition of FLEX → one Clip."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data import pose_cache
from video2emg.data.datasets.flex.layout import Facts, Sample, read_csv
from video2emg.data.film_pose import FilmOptions

# View-1 is the front camera; of the others only "the four corners" is published.
_VIEWS = {"View-1": "front"}


def load_clip(
    root: Path,
    sample: Sample,
    facts: Facts,
    subject: str = "unknown",
    load: float = math.nan,
    estimate_pose: str = "",
) -> Clip:
    """Reads a repetition; a missing view or modality stays empty.

    With `estimate_pose`, the name of a net, a missing skeleton is estimated from the first view.

    Raises:
      UserError: a file is not as expected, or there is none at all; the message names it.
    """
    emg = read_csv(root / "EMG" / sample.folder / "EMG.csv", False, (2, 4))
    pose = read_csv(root / "Skeleton" / sample.folder / "skeleton_points.csv", True, (63,))
    views = sorted(p for p in (root / sample.folder).glob("View-*") if p.is_dir())
    if emg is None and pose is None and not views:
        raise UserError(
            f"{root / sample.folder}: listed in Split_4, but neither frames nor "
            "skeleton nor EMG are there"
        )
    fields = {} if emg is None else _emg(root, sample, facts, emg)

    def times(count: int) -> np.ndarray:
        if facts.frame_rate:
            return np.arange(count) / facts.frame_rate
        if emg is None:
            raise UserError(
                f"{root / sample.folder}: without EMG.csv the duration is unknown; set "
                "frame_rate in flex.yaml"
            )
        return np.arange(count) * (len(emg) / facts.emg_rate) / count

    if pose is not None:
        joints = facts.pose_scale * pose.reshape(-1, 21, 3)
        fields["joints"], fields["pose"] = vocabulary.FLEX_21, joints.astype(np.float32)
        fields["pose_time"] = times(len(pose))
    elif estimate_pose and views:
        fields |= _estimated_pose(root, views[0], times, estimate_pose)
    return validate(
        Clip(
            clip_id=f"flex_{sample.action}_{sample.number:03d}",
            dataset="flex",
            subject=subject,
            action=facts.actions.get(sample.action, sample.action),
            score=sample.score,
            load=load,
            provenance={
                "simulated": facts.simulated,
                "assumed": {
                    "emg_rate_hz": facts.emg_rate,
                    "frame_rate_hz": facts.frame_rate,
                    "pose_scale_m": facts.pose_scale,
                },
                "muscles_named": sample.action in facts.muscles,
            }
            | ({"pose_estimated": estimate_pose} if pose is None and estimate_pose else {}),
            **fields,
            **_frames(views, times),
        )
    )


def _estimated_pose(
    root: Path, view: Path, times: Callable[[int], np.ndarray], net: str
) -> dict[str, Any]:
    files = [p for p in view.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")]
    if len(files) < 2:
        return {}
    options = FilmOptions(net=net, folder_rate=1 / float(np.diff(times(len(files)))[0]))
    joints = vocabulary.FLEX_21
    pose, time, _ = pose_cache.estimated_pose([view], options, root, joints, str(view))
    return {"joints": joints, "pose": pose, "pose_time": time}


def _emg(root: Path, sample: Sample, facts: Facts, emg: np.ndarray) -> dict[str, Any]:
    names = facts.muscles.get(sample.action) or _numbered(emg.shape[1])
    if len(names) != emg.shape[1]:
        raise UserError(
            f"{root / 'flex.yaml'}, muscles, {sample.action}: {len(names)} names, "
            f"but EMG.csv has {emg.shape[1]} columns"
        )
    return {
        "muscles": tuple(names),
        "emg": emg.astype(np.float32),
        "emg_unit": facts.emg_unit,
        "emg_rate": facts.emg_rate,
        "emg_max": np.full(len(names), np.nan, np.float32),
    }


def _frames(folders: list[Path], times: Callable[[int], np.ndarray]) -> dict[str, Any]:
    """The fields of all views; `times` gives the times of a number of frames."""
    frames, frame_view, frame_time, names = [], [], [], []
    for folder in folders:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
        if not files:
            continue
        frames += [path.read_bytes() for path in files]
        frame_view.append(np.full(len(files), len(names), np.int32))
        frame_time.append(times(len(files)))
        names.append(_VIEWS.get(folder.name, folder.name.lower().replace("-", "_")))
    if not frames:
        return {}
    return {
        "views": tuple(names),
        "frames": frames,
        "frame_view": np.concatenate(frame_view),
        "frame_time": np.concatenate(frame_time),
    }


def _numbered(columns: int) -> list[str]:
    """Channel names in the order that the authors' code implies: left first, then right."""
    muscles = vocabulary.UNNAMED[: columns // 2]
    return [f"{side}_{muscle}" for side in vocabulary.SIDES for muscle in muscles]
