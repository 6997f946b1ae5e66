import numpy as np
import pytest

from video2emg.sim import tempo


@pytest.fixture(scope="module")
def sets() -> list[tempo.Tempo]:
    return [
        tempo.draw(np.random.default_rng(seed), [(1.0, 1.0)] * 6, concentric=1, can_be_racked=True)
        for seed in range(200)
    ]


def test_repetitions_do_not_overlap_and_lie_between_pauses(sets):
    for one in sets:
        starts, ends = ([getattr(c, name) for c in one.cycles] for name in ("start", "end"))
        assert starts[0] > 0.5 and one.duration - ends[-1] > 0.5
        assert (np.array(starts[1:]) - ends[:-1] > 0.05).all()


def test_progress_reaches_the_depth_at_the_turning_point_and_rests_between(sets):
    for one in sets[:20]:
        turns = np.array([c.turn for c in one.cycles])
        np.testing.assert_allclose(one.progress(turns), [c.depth for c in one.cycles], atol=1e-9)
        rests = np.array([0.0, *(c.end for c in one.cycles), one.duration])
        np.testing.assert_allclose(one.progress(rests), 0, atol=1e-9)


def test_progress_is_never_negative(sets):
    """Some movements take its root; the difference of two curves is rounded near the end."""
    near = np.linspace(-1e-4, 0, 1000)
    for one in sets[:20]:
        assert all((one.progress(c.end + near) >= 0).all() for c in one.cycles)


def test_manners_are_cross_faded_in_the_pauses(sets):
    for one in sets[:20]:
        weights = one.weights()
        np.testing.assert_allclose(weights.sum(0), 1, atol=1e-9)
        for k, cycle in enumerate(one.cycles):
            during = (one.time >= cycle.start) & (one.time <= cycle.end)
            np.testing.assert_allclose(weights[k, during], 1, atol=1e-9)


def test_sets_have_what_real_sets_have(sets):
    cycles = [cycle for one in sets for cycle in one.cycles]
    short = np.mean([not cycle.complete for cycle in cycles])
    assert 0.03 < short < 0.12
    assert 0.05 < np.mean([cycle.hold > 0.5 for cycle in cycles]) < 0.2
    first, last = (np.median([one.cycles[k].second for one in sets]) for k in (0, -1))
    assert 1.1 < last / first < 1.6  # velocity loss in the concentric phase
    assert 0.2 < np.mean([one.racked for one in sets]) < 0.4


def test_a_rack_carries_the_load_at_both_ends(sets):
    one = next(one for one in sets if one.racked)
    carried = one.carried()
    assert carried[0] < 0.5 and carried[-1] == 0 and (carried >= 0).all() and (carried <= 1).all()
    inside = (one.time >= one.cycles[0].start) & (one.time <= one.cycles[-1].end)
    np.testing.assert_array_equal(carried[inside], 1)
    free = next(one for one in sets if not one.racked)
    np.testing.assert_array_equal(free.carried(), 1)
