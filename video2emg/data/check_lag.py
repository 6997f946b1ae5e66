"""By how much the EMG of each person is late against the movement, and whether recording did it.

Muscles act some 50 ms before the movement that they cause. An EMG that is clearly later, by the
same time in all exercises and by another one in each person, was made late by the recording.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.core.joint_angles import angles_of_muscles, joint_angles
from video2emg.data import delay as delay_lib
from video2emg.data import sync
from video2emg.data import video as video_lib
from video2emg.data.delay import Delay
from video2emg.data.findings import Finding
from video2emg.data.sync import Recording

LATE = 0.3  # s by which EMG may differ from the movement
FEWEST = 3  # clips of a person, and people, below which nothing can be said
MOST = 30  # clips of a person that are looked at
_AGREE = 0.15  # s between the delays of the exercises of a person, if recording causes them
_RATE = 50.0  # Hz, at which envelopes are kept
_SEEN = 0.8  # share of the instants at which an angle must be known
_SIZE = 32  # px


@dataclasses.dataclass(frozen=True)
class Sample:
    """The movement and the EMG of a clip.

    Attributes:
      subject, action, clip_id: of the clip.
      recording: joint angles of the muscles and their envelopes; or, of pictures without a pose,
        how much they change and the sum of the envelopes.
      by_angles: whether the movement is one of joint angles.
    """

    subject: str
    action: str
    clip_id: str
    recording: Recording
    by_angles: bool


@dataclasses.dataclass(frozen=True)
class PersonLag:
    """How late the EMG of a person is.

    Attributes:
      delay: over all clips.
      clips: number of clips.
      first: id of the first of them.
      by_action: delay of each exercise that shows one, s.
      by_angles: whether the movement is one of joint angles. Else the delay can only be compared
        with that of other people, since pictures change most between rest and turning point.
    """

    delay: Delay
    clips: int
    first: str
    by_action: dict[str, float]
    by_angles: bool

    def to_json(self) -> dict[str, Any]:
        """Facts of the report; what is unknown is null."""
        own = dataclasses.asdict(self.delay)
        known = {k: v if isinstance(v, str) or math.isfinite(v) else None for k, v in own.items()}
        return known | {"clips": self.clips, "by_action": self.by_action}


def sample_of(clip: Clip) -> Sample | None:
    """The movement and the EMG of a clip; None if it has not both."""
    try:
        movement, time, by_angles = _movement(clip)
    except UserError:
        return None
    envelope = emg_lib.clip_envelope(clip)
    every = max(round(clip.emg_rate / _RATE), 1)
    effort, effort_time = envelope[::every].astype(np.float32), clip.emg_time[::every]
    if not by_angles:
        size = np.maximum(envelope.std(0), np.finfo(np.float32).tiny)
        effort = (effort / size).sum(1, keepdims=True)
    recording = movement, time, effort, effort_time
    return Sample(clip.subject, clip.action, clip.clip_id, recording, by_angles)


def _movement(clip: Clip) -> tuple[np.ndarray, np.ndarray, bool]:
    """Joint angles of the muscles, or change of the first view's pictures; times, s; which."""
    if len(clip.pose_time) > 1:
        angles = angles_of_muscles(joint_angles(clip.pose, clip.joints), clip.muscles)
        filled = _filled(angles, clip.pose_time)
        if np.isfinite(filled).any():
            return filled, clip.pose_time, True
    frames = np.flatnonzero(clip.frame_view == 0)
    if len(frames) < 2:
        raise UserError("no movement")
    grey = np.stack([video_lib.decode(clip, int(i), _SIZE).mean(-1) for i in frames])
    motion, time = sync.motion_energy(grey, clip.frame_time[frames])
    return motion[:, None], time, False


def _filled(angles: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Angles with short gaps filled by straight lines."""
    filled = np.full(angles.shape, np.nan)
    for c in range(angles.shape[1]):
        known = np.isfinite(angles[:, c])
        if known.mean() >= _SEEN:
            filled[:, c] = np.interp(time, time[known], angles[known, c])
    return filled


def person_lags(samples: Sequence[Sample]) -> dict[str, PersonLag]:
    """The delay of each person, from all clips together."""
    people = collections.defaultdict(list)
    for sample in samples:
        people[sample.subject].append(sample)
    lags = {}
    for subject, own in sorted(people.items()):
        exercises = collections.defaultdict(list)
        for sample in own:
            exercises[sample.action].append(sample)
        delays = {action: _delay(part) for action, part in exercises.items()}
        lags[subject] = PersonLag(
            _delay(own),
            len(own),
            own[0].clip_id,
            {action: delay.seconds for action, delay in delays.items() if delay.fits},
            all(sample.by_angles for sample in own),
        )
    return lags


def _delay(samples: Sequence[Sample]) -> Delay:
    """Of all clips together.

    A muscle counts by how much its joint moves and by how much its EMG varies about its mean.
    """
    recordings = [sample.recording for sample in samples]
    weights = []
    for movement, _, emg, _ in recordings:
        mean = np.maximum(emg.mean(0), np.finfo(np.float32).tiny)
        weights.append(movement.std(0) * emg.std(0) / mean)
    return delay_lib.estimate(recordings, weights)


def late_people(lags: dict[str, PersonLag]) -> Iterator[Finding]:
    """People whose EMG is late or early, with what speaks for an artefact of recording.

    EMG is not later than a joint angle, so it is late by itself. It may be earlier, above all in
    curls and raises, so it is early only in comparison with other people.
    """
    for subject, lag in lags.items():
        others = [
            other.delay.seconds
            for name, other in lags.items()
            if name != subject and other.delay.fits
        ]
        usual = float(np.median(others)) if len(others) >= FEWEST - 1 else np.nan
        own, away = lag.delay.seconds, lag.delay.seconds - usual
        late = own > LATE if lag.by_angles else away > LATE
        early = away < -LATE and (own < -LATE or not lag.by_angles)
        sure = lag.delay.fits and lag.delay.high - lag.delay.low <= delay_lib.WIDE
        if not (sure and lag.clips >= FEWEST and (late or early)):
            continue
        seconds, compared = own, ""
        if early or not lag.by_angles:
            seconds, compared = away, ", compared with other people"
        message = (
            f"the EMG of {subject} is {abs(seconds):.2f} s {'late' if late else 'early'} against "
            f"the movement{compared} ({lag.clips} clips): is its offset right? "
            f"{_evidence(lag, others)}"
        )
        yield Finding("warning", "lag", lag.first, "emg_start", message)


def _evidence(lag: PersonLag, others: Sequence[float]) -> str:
    """What speaks for, or against, an artefact of recording."""
    words = ["Muscles act some 50 ms before a movement"]
    values = list(lag.by_action.values())
    if len(values) > 1:
        spread = max(values) - min(values)
        same = "alike" if spread < _AGREE else "not alike"
        words.append(
            f"its {len(values)} exercises are {same} ({min(values):+.2f} to {max(values):+.2f} s)"
        )
    if others:
        words.append(f"other people have {min(others):+.2f} to {max(others):+.2f} s")
    return "; ".join(words)
