"""Persons whose EMG is late against the movement, compared with others."""

import dataclasses

import numpy as np
import pytest

from video2emg.data import store
from video2emg.data.check_lag import Lag, lag_of, late_people


def lags_of(**seconds):
    """Three clips of each person, of actions whose usual lags differ."""
    return [
        Lag(name, action, f"{name}_{action}", usual - late)
        for name, late in seconds.items()
        for action, usual in (("squat", -0.5), ("curl", 0.1), ("press", 0.0))
    ]


def test_the_late_person_is_named_and_by_how_much():
    assert list(late_people(lags_of(a=0.0, b=0.1, c=-0.1, d=0.05))) == []
    [finding] = late_people(lags_of(a=0.0, b=0.1, c=0.8, d=0.05))
    assert (finding.severity, finding.code, finding.clip_id) == ("warning", "lag", "c_squat")
    assert "EMG of c is 0.75 s late" in finding.message  # the others' median is 0.05
    [finding] = late_people(lags_of(a=0.0, b=0.0, c=-0.5))
    assert "EMG of c is 0.50 s early" in finding.message


def test_nothing_is_said_of_few_people_few_clips_or_clips_that_disagree():
    assert list(late_people(lags_of(a=0.0, b=0.8))) == []
    few = [lag for lag in lags_of(a=0.0, b=0.0, c=0.8) if lag.clip_id != "c_press"]
    assert list(late_people(few)) == []
    spread = lags_of(a=0.0, b=0.0, c=0.8)
    spread[-1] = dataclasses.replace(spread[-1], seconds=0.9)
    spread[-2] = dataclasses.replace(spread[-2], seconds=-1.9)
    assert list(late_people(spread)) == []


@pytest.mark.parametrize("pictures_only", [False, True])
def test_emg_that_is_moved_moves_the_lag(tiny_dir, pictures_only):
    clip = next(
        clip
        for clip in store.open_dataset("gymsim/tiny", tiny_dir).splits["train"]
        if clip.action == "dumbbell_front_raise"
    )
    if pictures_only:
        clip = dataclasses.replace(clip, pose_time=np.zeros(0))
    late = dataclasses.replace(clip, emg_start=clip.emg_start + 0.6)
    before, after = lag_of(clip), lag_of(late)
    assert before and after and abs(before.seconds) < 0.3
    assert before.seconds - after.seconds == pytest.approx(0.6, abs=0.02)
