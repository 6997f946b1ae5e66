"""One repetition of FLEX → one Clip."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data import pose_cache
from video2emg.data.datasets import poses
from video2emg.data.datasets.flex import tables
from video2emg.data.datasets.flex.layout import ROWS, Facts, Sample
from video2emg.data.datasets.flex.people import Person
from video2emg.data.datasets.flex.views import View, find_views
from video2emg.data.film_pose import FilmOptions

_NOBODY = Person("unknown")


def load_clip(
    root: Path,
    sample: Sample,
    facts: Facts,
    person: Person = _NOBODY,
    estimate_pose: str = "",
) -> Clip:
    """Reads a repetition; a missing view or modality stays empty.

    What is unusual about the files and could still be read is in the provenance, as `doubts`. With
    `estimate_pose`, the name of a net, a missing skeleton is estimated from the first view.

    Raises:
      UserError: a file is not as expected, or there is none at all; the message names it.
    """
    emg = tables.read_emg(root / "EMG" / sample.folder / "EMG.csv")
    pose, doubts = tables.read_skeleton(root / "Skeleton" / sample.folder / "skeleton_points.csv")
    views, view_doubts = find_views(root / sample.folder)
    if emg is None and pose is None and not views:
        raise UserError(
            f"{root / sample.folder}: listed in Split_4, but neither frames nor "
            "skeleton nor EMG are there"
        )
    doubts = [f"skeleton_points.csv: {doubt}" for doubt in doubts] + view_doubts
    rows = max([ROWS, *(view.numbers[-1] for view in views)])
    doubts += [
        f"{view.folder}: the pictures end at number {view.numbers[-1]} of {rows}"
        for view in views
        if view.numbers[-1] < rows
    ]
    if rows > ROWS:
        doubts.append(f"{rows} pictures; FLEX has {ROWS}")
    if pose is not None and len(pose) != rows:
        doubts.append(f"skeleton_points.csv: {len(pose)} poses, expected {rows}")
    fields = {} if emg is None else _emg(root, sample, facts, emg)
    if facts.frame_rate:
        step = 1 / facts.frame_rate
    elif emg is not None:
        step = len(emg) / facts.emg_rate / rows
    else:
        raise UserError(
            f"{root / sample.folder}: without EMG.csv the duration is unknown; set "
            "frame_rate in flex.yaml"
        )
    if pose is not None:
        given, lost = _pose(pose, facts, rows, step)
        fields, doubts = fields | given, doubts + lost
    elif estimate_pose and views:
        fields |= _estimated_pose(root, views[0], step, estimate_pose)
    return validate(
        Clip(
            clip_id=f"flex_{sample.action}_{sample.number:03d}",
            dataset="flex",
            subject=person.subject,
            action=facts.actions.get(sample.action, sample.action),
            score=sample.score,
            load=person.load,
            provenance={
                "simulated": facts.simulated,
                "emg_kind": facts.emg_kind,
                "assumed": {
                    "emg_rate_hz": facts.emg_rate,
                    "frame_rate_hz": facts.frame_rate,
                    "pose_scale_m": facts.pose_scale,
                    "pose_axes": facts.pose_axes,
                },
                "muscles_named": sample.action in facts.muscles,
                "doubts": doubts,
            }
            | ({"pose_estimated": estimate_pose} if pose is None and estimate_pose else {}),
            **fields,
            **_frames(views, step, facts.views),
        )
    )


def _pose(
    pose: Float[np.ndarray, "P J 3"], facts: Facts, rows: int, step: float
) -> tuple[dict[str, Any], list[str]]:
    """The fields of a skeleton file, and doubts about it."""
    pose = poses.without_lost(pose)
    lost = np.isnan(pose).any((1, 2)).sum()
    doubts = [f"skeleton_points.csv: {lost} poses with a joint at 0 0 0, not found there"]
    pose = facts.pose_scale * pose @ poses.axes(facts.pose_axes, "flex.yaml, pose_axes")
    # Fewer poses than pictures: the file is cut off. More: they were taken at another rate.
    spread = rows / len(pose) if len(pose) > rows and not facts.frame_rate else 1.0
    fields = {
        "joints": vocabulary.FLEX_21,
        "pose": pose.astype(np.float32),
        "pose_time": np.arange(len(pose)) * step * spread,
    }
    return fields, doubts if lost else []


def _estimated_pose(root: Path, view: View, step: float, net: str) -> dict[str, Any]:
    if len(view.numbers) < 2:
        return {}
    options = FilmOptions(net=net, folder_rate=1 / step)
    joints = vocabulary.FLEX_21
    folder = view.files[0].parent
    pose, time, _ = pose_cache.estimated_pose([folder], options, root, joints, str(folder))
    return {"joints": joints, "pose": pose, "pose_time": time}


def _emg(root: Path, sample: Sample, facts: Facts, emg: Float[np.ndarray, "N C"]) -> dict[str, Any]:
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


def _frames(views: list[View], step: float, names: dict[str, str]) -> dict[str, Any]:
    """The fields of all views.

    Args:
      views: with at least one picture each.
      step: s between pictures of neighbouring numbers.
      names: of views by folder.
    """
    if not views:
        return {}
    return {
        "views": tuple(
            names.get(view.folder, view.folder.lower().replace("-", "_")) for view in views
        ),
        "frames": [file.read_bytes() for view in views for file in view.files],
        "frame_view": np.repeat(
            np.arange(len(views), dtype=np.int32), [len(view.files) for view in views]
        ),
        "frame_time": np.concatenate([(np.array(view.numbers) - 1) * step for view in views]),
    }


def _numbered(columns: int) -> list[str]:
    """Channel names in the order that the authors' code implies: left first, then right."""
    muscles = vocabulary.UNNAMED[: columns // 2]
    return [f"{side}_{muscle}" for side in vocabulary.SIDES for muscle in muscles]
