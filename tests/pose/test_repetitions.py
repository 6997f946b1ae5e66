import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tests.pose.squats import NAMES, bends, filmed
from video2emg.pose.repetitions import repeated


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_squats_are_counted(count):
    knee = bends(2 + 2.5 * count, 15, count)
    found = repeated(filmed(knee)[0])
    assert found.is_exercise and len(found.turns) == count
    assert found.angle in ("knee", "hip") and found.range == pytest.approx(100, abs=15)
    np.testing.assert_allclose(found.turns, 1 + 2.5 * (np.arange(count) + 0.5), atol=0.15)


def test_one_late_time_does_not_fill_the_memory():
    """Evenly, at the rate of the track, there would be 5 · 10⁷ instants or more."""
    track, _ = filmed(bends(10, 15, 3))
    for late in (50.0, 24 * 3600.0):
        times = np.append(track.times[:-1] * 1e-5, late)
        assert not repeated(dataclasses.replace(track, times=times)).is_exercise


def test_fast_films_are_counted():
    assert len(repeated(filmed(bends(7, 1000, 2))[0]).turns) == 2


def test_a_start_and_end_in_the_middle_are_allowed():
    knee = 55 - 50 * np.cos(2 * np.pi * np.arange(0, 10, 1 / 15) / 2.5)
    assert len(repeated(filmed(knee)[0]).turns) == 4


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_standing_is_no_exercise(noise):
    track, _ = filmed(np.full(90, 5.0))
    shaken = track.joints + np.random.default_rng(0).normal(0, noise, track.joints.shape)
    assert not repeated(dataclasses.replace(track, joints=shaken)).is_exercise


def test_one_way_down_is_no_repetition():
    knee = np.interp(np.arange(90), [0, 20, 60, 90], [5, 5, 100, 100])
    assert not repeated(filmed(knee)[0]).is_exercise


def test_movements_that_differ_are_no_exercise():
    rng = np.random.default_rng(3)
    moves = [filmed(np.full(1, 5.0))[0].joints[0]]
    for _ in range(6):
        pose = moves[0].copy()
        limb = [
            i for i, name in enumerate(NAMES) if name.split("_")[-1] in ("elbow", "wrist", "knee")
        ]
        pose[limb] += rng.normal(0, 0.35, (len(limb), 3))
        moves += [pose, moves[0] + rng.normal(0, 0.15, pose.shape)]
    stack = np.stack(moves)
    grid = np.linspace(0, len(stack) - 1, 150)
    joints = np.stack(
        [
            (1 - g % 1) * stack[int(g)] + (g % 1) * stack[min(int(g) + 1, len(stack) - 1)]
            for g in grid
        ]
    )
    track = dataclasses.replace(filmed(np.full(150, 5.0))[0], joints=joints)
    assert not repeated(track).is_exercise


def test_a_missing_side_is_enough():
    track, _ = filmed(bends(8, 15))
    seen = np.ones_like(track.confidence, bool)
    seen[:, [i for i, name in enumerate(NAMES) if name.startswith("left")]] = False
    seen[:, NAMES.index("left_shoulder")] = seen[:, NAMES.index("left_hip")] = True
    assert len(repeated(track.masked(seen)).turns) == 3


def test_a_side_that_is_lost_during_a_repetition_is_taken_from_the_other():
    track, _ = filmed(bends(10, 15, 4))
    seen = np.ones_like(track.confidence, bool)
    left = [i for i, name in enumerate(NAMES) if name.startswith("left")]
    seen[np.ix_((track.times > 2.8) & (track.times < 5.2), left)] = False
    found = repeated(track.masked(seen))
    assert found.is_exercise and len(found.turns) == 4
    assert found.range == pytest.approx(100, abs=15)


def curls(left: np.ndarray, right: np.ndarray, knee: np.ndarray | None = None):
    """A body whose elbows are bent by so many degrees, at 15 Hz; it stands, or bends its knees."""
    track, _ = filmed(np.full(len(left), 5.0) if knee is None else knee)
    joints = track.joints.copy()
    for side, bend in (("left", left), ("right", right)):
        shoulder, elbow, wrist = (
            track.at(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")
        )
        arm, axis = elbow - shoulder, np.array([1.0, 0.0, 0.0])
        turn = Rotation.from_rotvec(np.radians(bend)[:, None] * axis)
        length = np.linalg.norm(wrist - elbow, axis=1, keepdims=True)
        moved = elbow + turn.apply(arm / np.linalg.norm(arm, axis=1, keepdims=True)) * length
        for part in ("wrist", "pinky", "index", "thumb"):
            joints[:, NAMES.index(f"{side}_{part}")] = moved
    return dataclasses.replace(track, joints=joints)


def test_bending_knees_and_elbows_at_random_is_seldom_an_exercise():
    """Half a minute each, by depths and at times that have nothing to do with each other."""
    accepted = 0
    for seed in range(20):
        slow = ndimage.gaussian_filter1d(np.random.default_rng(seed).normal(size=(450, 2)), 15, 0)
        elbow, knee = np.clip(55 + 45 * slow / slow.std(0), 5, 120).T
        accepted += repeated(curls(elbow, elbow, knee)).is_exercise
    assert accepted <= 4


@pytest.mark.parametrize("alternating", [False, True])
def test_a_side_that_does_not_move_with_the_other_is_not_made_of_it(alternating):
    """One arm curls, or both in turn; the one that moves is lost for a time in which it rests."""
    bend, rest = bends(20, 15, 8, 110), np.full(300, 5.0)
    even = (np.arange(300) - 15) * 8 // 270 % 2 == 0  # every second curl
    left, right = (np.where(turn, bend, rest) for turn in (even, ~even))
    track = curls(left, right if alternating else rest)
    whole = repeated(track)
    seen = np.ones_like(track.confidence, bool)
    lost = [i for i, name in enumerate(NAMES) if name.startswith("left")]
    seen[np.ix_(track.times > 19.0, lost)] = False
    found = repeated(track.masked(seen))
    assert whole.angle == found.angle == "elbow"
    assert len(found.turns) == len(whole.turns)
    assert found.range == pytest.approx(whole.range, abs=3)


def test_repetitions_that_are_broken_off_count():
    knee = np.r_[bends(4.5, 15, 1), bends(4.5, 15, 1, 40), bends(4.5, 15, 1), bends(4.5, 15, 1, 45)]
    found = repeated(filmed(knee)[0])
    assert found.is_exercise and len(found.turns) == 4


def test_too_little_is_nothing():
    track, _ = filmed(np.full(3, 5.0))
    assert not repeated(track).is_exercise
    assert not repeated(track.masked(np.zeros_like(track.confidence, bool))).is_exercise


def test_a_set_in_half_an_hour_of_standing_is_found():
    knee = np.concatenate([np.full(30 * 60 * 5, 5.0), bends(22, 5, 8), np.full(30 * 60 * 5, 5.0)])
    found = repeated(filmed(knee, 5)[0])
    assert found.is_exercise and len(found.turns) == 8
    assert found.range == pytest.approx(100, abs=20)
