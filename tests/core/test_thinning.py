import math

import numpy as np
import pytest

from video2emg.core.thinning import thinned


@pytest.mark.parametrize("film, wanted", [(30.0, 15.0), (59.94, 15.0), (60.0, 10.0)])
@pytest.mark.parametrize("start", [0.0, -0.4, 7.3])
def test_pictures_that_are_left_out_leave_even_steps(film, wanted, start):
    timed = [(start + i / film, i) for i in range(100)]
    kept = [i for _, i in thinned(timed, wanted)]
    assert set(np.diff(kept)) == {round(film / wanted)} and kept[0] == 0


def test_without_a_rate_only_pictures_that_step_back_are_left_out():
    timed = [(0.0, "a"), (0.1, "b"), (0.05, "c"), (0.2, "d")]
    assert [item for _, item in thinned(timed, math.inf)] == ["a", "b", "d"]


def test_the_rate_may_change_over_time():
    timed = [(i / 10, i) for i in range(31)]
    kept = [i for _, i in thinned(timed, lambda time: 10.0 if time < 1 else 2.0)]
    assert kept == [*range(10), 10, 15, 20, 25, 30]
