"""A tree in MIA's layout for tests, and what tests ask of one."""

import pathlib

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data.datasets.mia import Builder

EXERCISES = ("Squat", "Running", "Shuffle")


def write_clip(root, key, seed=0):
    rng = np.random.default_rng(seed)
    folder = root / "MIADatasetOfficial" / key
    folder.mkdir(parents=True)
    np.save(folder / "emgvalues.npy", rng.integers(1, 200, (30, 8)).astype(float))
    np.save(folder / "joints3d.npy", rng.normal(size=(30, 49, 3)).astype(np.float32))
    # What our builder must never open.
    (folder / "verts.npy").write_bytes(b"poison")


def grow(root: pathlib.Path) -> pathlib.Path:
    """Three people, three exercises, four clips each in train and two in val, with the same ids."""
    seed = 0
    for subject in range(3):
        for exercise in EXERCISES:
            for name, count in (("train", 4), ("val", 2)):
                for number in range(count):
                    seed += 1
                    write_clip(root, f"{name}/Subject{subject}/{exercise}/{number + 9}", seed)
    return root


def read(clips):
    for clip in clips:
        if isinstance(clip, UserError):
            raise clip
        yield clip


def clips_of(root, config="cross_subject"):
    return [c for part in Builder.source(root, config).values() for c in read(part)]


def hips_of(clip):
    return [clip.joints.index(f"{side}_hip") for side in vocabulary.SIDES]
