"""Who of several people exercises."""

import numpy as np
import pytest

from tests.pose.fakes import FakeModel, scene
from video2emg.core.errors import UserError
from video2emg.pose import people

TIMES = np.arange(0, 10, 0.25)
SQUAT = 60 - 60 * np.cos(2 * np.pi * TIMES / 4)  # degrees of knee flexion


def film(*courses):
    """Pictures of people: (x, scale, red, knee flexion at each instant)."""
    for i, time in enumerate(TIMES):
        yield time, scene(*((x[i], 120, scale, red, bend[i]) for x, scale, red, bend in courses))


def at(x):
    return np.full(len(TIMES), float(x))


def test_the_one_who_squats_is_chosen_of_two():
    still, squats = (at(80), 4, 50, at(5)), (at(240), 3, 60, SQUAT)
    found = people.find_people(film(still, squats), FakeModel(50, 60))
    assert [person.number for person in found] == [1, 2]
    chosen, why = people.choose(found)
    assert chosen.number == 2
    assert chosen.movement == pytest.approx(30, abs=3)  # 120° of two of eight angles
    assert "person 2 of 2" in why and "person 1 moves by 0°" in why


def test_a_reflection_is_not_a_second_person():
    found = people.find_people(
        film((at(80), 4, 50, SQUAT), (at(240), 2, 60, SQUAT)), FakeModel(50, 60)
    )
    chosen, why = people.choose(found)
    assert chosen.number == 1 and found[1].reflection and "mirror" in why


def test_who_walks_through_the_picture_is_not_chosen():
    walks = (np.linspace(20, 110, len(TIMES)), 3, 60, np.tile([0, 60], len(TIMES) // 2))
    found = people.find_people(film((at(240), 2, 50, SQUAT), walks), FakeModel(50, 60))
    chosen, why = people.choose(found)
    assert chosen.seen[0].region.x == pytest.approx(240, abs=2)
    assert "walks through" in why


def test_the_user_may_choose():
    found = people.find_people(
        film((at(80), 4, 50, at(5)), (at(240), 3, 60, SQUAT)), FakeModel(50, 60)
    )
    chosen, why = people.choose(found, 1)
    assert chosen.number == 1 and "--person" in why
    with pytest.raises(UserError, match="--person 3: 2 people"):
        people.choose(found, 3)


def test_nobody():
    assert people.find_people(film(), FakeModel(50)) == []
