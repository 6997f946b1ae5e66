"""The closed kinds of question."""

from video2emg.videoqa.kinds.base import Group, Kind
from video2emg.videoqa.kinds.effort import BETTER, MUSCLE, STRONGER
from video2emg.videoqa.kinds.errors import CORRECTION, IS_MADE, WHICH_ERROR
from video2emg.videoqa.kinds.scene import ACTION, MOMENT, SIDE

KINDS = (ACTION, IS_MADE, WHICH_ERROR, CORRECTION, MOMENT, MUSCLE, SIDE, BETTER, STRONGER)
BY_NAME = {kind.name: kind for kind in KINDS}

__all__ = ["BY_NAME", "KINDS", "Group", "Kind"]
