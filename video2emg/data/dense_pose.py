"""Poses of few instants per second, as smooth movements of more.

Between two instants a straight line has no acceleration, and all of it at the instants. Models and
mechanics that read accelerations need a smooth curve.
"""

import dataclasses

import numpy as np

from video2emg.core.clip import Clip
from video2emg.core.pose_track import interpolate

_LEAST = 4  # instants of a cubic curve
_SLIGHT = 1e-9  # rounding


def dense(clip: Clip, rate: float) -> Clip:
    """The clip without torques, with a pose of at least `rate` Hz.

    Cubic splines go through the pose's own instants. A joint that is unknown at times (NaN) is
    interpolated linearly where both neighbours in time are known, and stays unknown elsewhere.
    """
    empty = np.zeros((0, 0), np.float32)
    clip = dataclasses.replace(clip, dofs=(), torque=empty, drive=empty)
    time = clip.pose_time
    if len(time) < _LEAST or np.median(np.diff(time)) <= 1.05 / rate:
        return clip
    count = int(np.floor((time[-1] - time[0]) * rate + 1e-6)) + 1
    new = time[0] + np.arange(count) / rate
    if time[-1] - new[-1] > 1e-6:
        new = np.append(new, time[-1])
    pose = interpolate(time, clip.pose.astype(np.float64), new, smooth=True)
    known = np.isfinite(clip.pose).all(2).astype(float)
    for j, column in enumerate(known.T):
        pose[np.interp(new, time, column) < 1 - _SLIGHT, j] = np.nan
    return dataclasses.replace(clip, pose=pose.astype(np.float32), pose_time=new)
