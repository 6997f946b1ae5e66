"""Films and weights for tests of the pose estimator; tests skip without them."""

import os
from pathlib import Path

import pytest

from video2emg.core.errors import UserError
from video2emg.pose import estimate, weights
from video2emg.pose.blazepose import BlazePose

VIDEOS = Path(__file__).parents[2].parent / "shared" / "data" / "videos"


def video(name: str) -> Path:
    """A film of `../shared/data/videos`."""
    path = VIDEOS / name
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    return path


def model(net: str = "full") -> BlazePose:
    """The estimator with real weights."""
    pytest.importorskip("ai_edge_litert", reason='needs pip install ".[pose]"')
    try:
        weights.find(net)
    except UserError as error:
        if os.environ.get(weights.VARIABLE):
            raise
        pytest.skip(str(error))
    return estimate.load(net)
