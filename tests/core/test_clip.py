"""Inconsistent clips are refused."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.core.clip import validate
from video2emg.core.errors import UserError


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (dict(subject=""), "subject"),
        (dict(muscles=("left_nose", "right_nose")), "muscles"),
        (dict(emg_rate=0.0), "emg_rate"),
        (dict(frame_time=np.zeros(40)), "frame_time"),
        (dict(pose_time=np.zeros(100)), "pose_time"),
        (dict(score=101.0), "score"),
        (dict(errors=(("lift", "odd", 1.5),)), "errors"),
        (dict(phases=(("lift", 1.0, 0.5),)), "phases"),
        (dict(emg=np.zeros((2000, 3), np.float32)), "emg"),
    ],
)
def test_an_inconsistent_clip_is_refused_with_its_field(change, field):
    broken = dataclasses.replace(make_clip(3), **change)
    with pytest.raises(UserError, match=f"clip 'clip3', field {field}"):
        validate(broken)
