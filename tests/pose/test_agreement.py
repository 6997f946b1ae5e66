"""Whether two cameras show the same person."""

import dataclasses

import numpy as np
import pytest

from tests.pose.squats import bends, filmed
from video2emg.core.vocabulary import mirror
from video2emg.pose import gravity
from video2emg.pose.agreement import SAME, agreement, groups


def view(knee, facing, noise=0.0, seed=0):
    """A body as one camera sees it, z up."""
    track, _ = filmed(knee, facing=facing)
    upright = gravity.upright(track, 10.0, 0.0)
    errors = np.random.default_rng(seed).normal(0, noise, upright.joints.shape)
    return dataclasses.replace(upright, joints=upright.joints + errors)


SQUATS = bends(8, 15)


def test_one_person_from_two_sides():
    assert agreement(view(SQUATS, 30, 0.02), view(SQUATS, -110, 0.02, 1)) > 0.8


def test_an_exchange_of_left_and_right_does_not_matter():
    track = view(SQUATS, 30)
    other = [
        track.names.index(m) if (m := mirror(n)) in track.names else i
        for i, n in enumerate(track.names)
    ]
    exchanged = dataclasses.replace(track, joints=track.joints[:, other])
    assert agreement(track, exchanged) == pytest.approx(1)


@pytest.mark.parametrize("knee", [np.full(len(SQUATS), 5.0), np.roll(SQUATS, 15)])
def test_who_rests_or_moves_at_another_time_is_somebody_else(knee):
    assert agreement(view(SQUATS, 30, 0.01), view(knee, -60, 0.01, 1)) < SAME


def test_what_is_not_known_is_not_judged():
    rests = view(np.full(len(SQUATS), 5.0), 30, 0.002)
    assert np.isnan(agreement(rests, view(np.full(len(SQUATS), 5.0), 0, 0.002, 1)))
    later = dataclasses.replace(rests, times=rests.times + 100)
    assert np.isnan(agreement(view(SQUATS, 30), later))
    armless = view(SQUATS, 30)
    arms = [i for i, n in enumerate(armless.names) if "wrist" in n or "elbow" in n]
    joints = armless.joints.copy()
    joints[:, arms] = np.nan
    assert agreement(dataclasses.replace(armless, joints=joints), view(SQUATS, 90)) > 0.9


def test_cameras_are_grouped_by_what_they_show():
    squats, rests = view(SQUATS, 30), view(np.full(len(SQUATS), 5.0), 30, 0.01)
    assert groups([squats, rests, view(SQUATS, 120), view(SQUATS, -60)]) == [[0, 2, 3], [1]]
    assert groups([squats, view(SQUATS, -60)]) == [[0, 1]]
