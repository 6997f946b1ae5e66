"""One repetition of FLEX → one Clip."""

import math
from pathlib import Path

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data.datasets.flex.layout import Facts, Sample, read_csv

# View-1 stands in front; where the others stand is not published beyond "the four corners".
_VIEWS = {"View-1": "front"}


def load_clip(
    root: Path, sample: Sample, facts: Facts, subject: str = "unknown", load: float = math.nan
) -> Clip:
    """Reads what there is of a repetition; a missing view or modality stays empty.

    Raises:
      UserError: naming the file that is not what it should be, or nothing is there at all.
    """
    emg = read_csv(root / "EMG" / sample.folder / "EMG.csv", False, (2, 4))
    pose = read_csv(root / "Skeleton" / sample.folder / "skeleton_points.csv", True, (63,))
    views = sorted(p for p in (root / sample.folder).glob("View-*") if p.is_dir())
    if emg is None and pose is None and not views:
        raise UserError(
            f"{root / sample.folder}: listed in Split_4, but neither frames nor "
            "skeleton nor EMG are there"
        )
    seconds = len(emg) / facts.emg_rate if emg is not None else math.nan
    fields: dict = {}
    if emg is not None:
        names = facts.muscles.get(sample.action) or _numbered(emg.shape[1])
        if len(names) != emg.shape[1]:
            raise UserError(
                f"{root / 'flex.yaml'}, muscles, {sample.action}: {len(names)} names, "
                f"but EMG.csv has {emg.shape[1]} columns"
            )
        fields |= dict(
            muscles=tuple(names),
            emg=emg.astype(np.float32),
            emg_unit=facts.emg_unit,
            emg_rate=facts.emg_rate,
            emg_max=np.full(len(names), np.nan, np.float32),
        )

    def times(count: int) -> np.ndarray:
        if facts.frame_rate:
            return np.arange(count) / facts.frame_rate
        if math.isnan(seconds):
            raise UserError(
                f"{root / sample.folder}: without EMG.csv the duration is unknown; set "
                "frame_rate in flex.yaml"
            )
        return np.arange(count) * seconds / count

    if pose is not None:
        joints = facts.pose_scale * pose.reshape(-1, 21, 3)
        fields |= dict(
            joints=vocabulary.FLEX_21, pose=joints.astype(np.float32), pose_time=times(len(pose))
        )
    frames, frame_view, frame_time, names = [], [], [], []
    for folder in views:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
        if not files:
            continue
        frames += [path.read_bytes() for path in files]
        frame_view.append(np.full(len(files), len(names), np.int32))
        frame_time.append(times(len(files)))
        names.append(_VIEWS.get(folder.name, folder.name.lower().replace("-", "_")))
    if frames:
        fields |= dict(
            views=tuple(names),
            frames=frames,
            frame_view=np.concatenate(frame_view),
            frame_time=np.concatenate(frame_time),
        )
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
            },
            **fields,
        )
    )


def _numbered(columns: int) -> list[str]:
    """The order that the authors' code implies: left first, then right."""
    muscles = vocabulary.UNNAMED[: columns // 2]
    return [f"{side}_{muscle}" for side in vocabulary.SIDES for muscle in muscles]
