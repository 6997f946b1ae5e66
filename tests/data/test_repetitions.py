"""Single repetitions that are cut out of sets."""

import dataclasses
import math

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.core.clip import Repetition, validate
from video2emg.data.repetitions import MARGIN, Repetitions, cut

BOUNDS = ((0.8, 2.2), (2.4, 5.4), (6.9, 8.0))


def make_set():
    clip = make_clip(0, seconds=9.0)
    repetitions = tuple(
        Repetition(
            start=start,
            end=end,
            phases=(("stand", start - 0.9, start), ("rise", start, end)),
            errors=(("rise", "too_fast", 0.5),),
            score=70.0 + start,
        )
        for start, end in BOUNDS
    )
    blank = dict(phases=(), errors=(), score=math.nan)
    return validate(dataclasses.replace(clip, repetitions=repetitions, **blank))


def test_a_cut_is_the_repetition_with_its_labels_and_signals():
    whole = make_set()
    for number, (start, end) in enumerate(BOUNDS):
        one = validate(cut(whole, number))
        assert one.repetitions is None and one.score == 70.0 + start
        steps = {step: (a, b) for step, a, b in one.phases}
        first = start - steps["rise"][0]  # of the cut, on the clock of the set
        assert steps["rise"][1] == pytest.approx(end - first) and steps["stand"][0] >= 0
        rows = np.searchsorted(whole.emg_time, first + one.emg_time + 1e-6) - 1
        np.testing.assert_array_equal(one.emg, whole.emg[rows])
        last = min(end + MARGIN, 2.3) if number == 0 else end + MARGIN
        assert one.end == pytest.approx(last - first, abs=0.11)
    # The pause of 0.2 s between the first two is shared.
    assert cut(whole, 1).phases[1][1] == pytest.approx(0.1)


def test_long_repetitions_keep_their_middle():
    whole = make_set()
    one = validate(cut(whole, 1, longest=2.0))
    assert one.phases == (("rise", 0.0, pytest.approx(2.0)),)
    assert one.end == pytest.approx(2.0, abs=0.11)
    source = Repetitions([whole], longest=2.0)
    assert source.shortened == 1 and len(source) == 3
    # Only the margins of the first are shorter: 1.4 s of movement in 2 s.
    assert source[0].phases[1][1:] == (pytest.approx(0.3), pytest.approx(1.7))


def test_single_repetitions_stay_and_free_movement_has_none():
    single = make_clip(1)
    free = dataclasses.replace(make_set(), repetitions=())
    source = Repetitions([single, free, make_set()])
    assert len(source) == 4 and source[0] is single
    assert [source[i].clip_id for i in (1, 3)] == ["clip0_r01", "clip0_r03"]
    with pytest.raises(IndexError):
        source[4]
