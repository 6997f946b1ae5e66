"""Whether the EMG of a person is late or early against the movement, compared with the others."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data import sync
from video2emg.data import video as video_lib
from video2emg.data.findings import Finding

AGREE = 0.25  # s by which most clips of a person may differ from their median
LATE = 0.3  # s by which a person may differ: muscles act 50 ms before a movement, people vary
FEWEST = 3  # clips of a person, and people, below which nothing can be said
MOST = 30  # clips of a person that are looked at
_SEARCH = 2.0  # s
_FIT = 0.3  # correlation below which a lag means nothing
_SIZE = 32  # px


@dataclasses.dataclass(frozen=True)
class Lag:
    """By how much the EMG of a clip must be moved to fit the movement best, s."""

    subject: str
    action: str
    clip_id: str
    seconds: float


def lag_of(clip: Clip) -> Lag | None:
    """The lag of a clip with EMG; None if it shows none clearly."""
    try:
        envelope = emg_lib.clip_envelope(clip)
        motion, time = _motion(clip)
        size = np.maximum(envelope.std(0), np.finfo(np.float32).tiny)
        effort = (envelope / size).sum(1)
        # The bootstrap's interval is not used.
        found = sync.estimate_offset(motion, time, effort, clip.emg_time, _SEARCH, samples=1)
    except UserError:  # too short, constant, or better beyond the search
        return None
    if found.correlation < _FIT:
        return None
    return Lag(clip.subject, clip.action, clip.clip_id, found.seconds)


def _motion(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Speed of the joints, or change of the first view's pictures; and its times, s."""
    if len(clip.pose_time) > 1:
        step = np.diff(clip.pose[:, np.isfinite(clip.pose).all((0, 2))], axis=0)
        speed = np.linalg.norm(step, axis=-1).sum(1) / np.diff(clip.pose_time)
        return speed, (clip.pose_time[1:] + clip.pose_time[:-1]) / 2
    frames = np.flatnonzero(clip.frame_view == 0)
    if len(frames) < 2:
        raise UserError("no movement")
    grey = np.stack([video_lib.decode(clip, int(i), _SIZE).mean(-1) for i in frames])
    return sync.motion_energy(grey, clip.frame_time[frames])


def late_people(lags: Sequence[Lag]) -> Iterator[Finding]:
    """People whose EMG lies elsewhere against the movement than that of others.

    In each action, a clip's lag is compared with the median of the other people's. A person is late
    by the median over the clips, if most of them agree.
    """
    by_action = collections.defaultdict(list)
    for lag in lags:
        by_action[lag.action].append(lag)
    late = collections.defaultdict(list)
    for lag in lags:
        others = collections.defaultdict(list)
        for other in by_action[lag.action]:
            if other.subject != lag.subject:
                others[other.subject].append(other.seconds)
        if len(others) >= FEWEST - 1:
            usual = np.median([np.median(seconds) for seconds in others.values()])
            late[lag.subject].append((usual - lag.seconds, lag.clip_id))
    for subject, own in late.items():
        seconds = np.array([value for value, _ in own])
        typical = float(np.median(seconds))
        agree = (np.abs(seconds - typical) < AGREE).mean()
        if len(own) >= FEWEST and abs(typical) > LATE and agree > 0.5:
            word = "late" if typical > 0 else "early"
            message = (
                f"the EMG of {subject} is {abs(typical):.2f} s {word} against the movement, "
                f"compared with other people ({len(own)} clips): is its offset right?"
            )
            yield Finding("warning", "lag", own[0][1], "emg_start", message)
