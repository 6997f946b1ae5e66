"""Flax Linen modules, stateless. `build(config.model, …)` is the way in."""

from video2emg.models.build import build
from video2emg.models.outputs import Outputs

__all__ = ["Outputs", "build"]
