"""Windows of small clips, for tests."""

import dataclasses

import numpy as np

from video2emg.core import emg, vocabulary
from video2emg.core.batch import Window
from video2emg.data.augment import Augmentation
from video2emg.data.examples import Examples

WINDOW = Window(
    seconds=1.0,
    frame_rate=10.0,
    emg_rate=50.0,
    size=8,
    views=("front", "left"),
    channels=4,
    joints=vocabulary.FLEX_21,
    dofs=("left_knee_flexion", "right_knee_flexion"),
)
POSE_WINDOW = dataclasses.replace(WINDOW, views=())
NO_AUGMENTATION = Augmentation(flip=0.0, shift=0.0, colour=0.0, time=0.0)


def examples(clips, window=WINDOW, cache=0):
    return Examples(clips, window, emg.Chain(), emg.Normalisation("mvc"), cache)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
