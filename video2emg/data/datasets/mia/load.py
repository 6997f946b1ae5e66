"""One clip of MIA → one Clip."""

from pathlib import Path

import numpy as np

from video2emg.core import skeleton as pose_lib
from video2emg.core.clip import Clip, validate
from video2emg.core.equipment import load_shares
from video2emg.core.errors import UserError
from video2emg.data.datasets.mia import layout
from video2emg.data.datasets.mia.layout import Facts, Sample


def load_clip(tree: Path, sample: Sample, facts: Facts) -> Clip:
    """Reads pose and EMG of a clip, which are both needed.

    Args:
      tree: from `layout.find_tree`.
      sample: the clip.
      facts: from `layout.read_facts`.

    Raises:
      UserError: a file is not as expected; the message names it.
    """
    folder = tree / sample.key
    emg = layout.read_array(folder / "emgvalues.npy", tree, (layout.FRAMES, layout.CHANNELS))
    if (emg < 0).any():
        raise UserError(
            f"{folder / 'emgvalues.npy'}: {(emg < 0).sum()} values are negative; an envelope is not"
        )
    joints = layout.read_array(folder / "joints3d.npy", tree, (layout.FRAMES, None, 3))
    names = pose_lib.OPENPOSE_25
    if joints.shape[1] < len(names):
        raise UserError(
            f"{folder / 'joints3d.npy'}: {joints.shape[1]} joints, expected the "
            f"{layout.JOINTS} of VIBE"
        )
    pose = joints[:, : len(names)] @ layout.AXES.T
    lost = (pose == 0).all(2)
    lost[:, names.index("pelvis")] = False  # the origin of poses without translation
    pose[lost] = np.nan
    equipment = facts.equipment.get(sample.exercise, layout.equipment_of(sample.exercise))
    held = load_shares(sample.exercise, equipment)
    columns = facts.muscles.get(sample.exercise, list(layout.MUSCLES))
    muscles = {name: c for c, name in enumerate(columns) if name is not None}
    return validate(
        Clip(
            clip_id=sample.key,
            dataset="mia",
            subject=facts.subjects.get(sample.subject, sample.subject),
            action=sample.exercise,
            muscles=tuple(muscles),
            emg=emg[:, list(muscles.values())],
            emg_unit=facts.emg_unit,
            emg_rate=layout.RATE,
            emg_max=np.full(len(muscles), np.nan, np.float32),
            joints=names,
            pose=pose,
            pose_time=np.arange(layout.FRAMES) / layout.RATE,
            load=0.0 if held is not None and not held.any() else np.nan,
            provenance={
                "simulated": facts.simulated,
                "equipment": equipment,
                # Rectified and smoothed by the authors, in an unpublished way.
                "emg_kind": "envelope",
                "pose": "estimated from video by VIBE; without translation"
                if not facts.simulated
                else "simulated; without translation",
            },
        )
    )
