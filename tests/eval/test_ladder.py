import dataclasses

import numpy as np
import pytest

from tests.eval.people import MUSCLES, clip, curves_of
from video2emg.eval import ladder
from video2emg.eval.ladder import Ladder, Recording

PEOPLE = {"a": (np.array([1.0, 0.3, 5.0]), 0.0), "b": (np.array([2.0, 2.0, 0.5]), 0.6)}


def recordings(count: int = 8, late: bool = False, mvc: float = np.nan) -> list[Recording]:
    """Two people whom the model knows but for gains, and the delay of the second."""
    found = []
    for subject, (gains, delay) in PEOPLE.items():
        for number in range(count):
            series = clip(subject, number, gains, delay if late else 0.0)
            curves = curves_of(series)
            unit = np.full(len(MUSCLES), mvc)
            physics = {ladder.PHYSICS: 0.5 * curves}
            prime = np.array(["vastus" in name for name in series.muscles])
            found.append(Recording(series, curves, curves, physics, unit, prime))
    return found


def test_what_is_revealed_is_never_asked_and_all_are_asked_the_same():
    found = ladder.groups(recordings(9), 5, seed=0)
    assert [(group.subject, len(group.pool), len(group.asked)) for group in found] == [
        ("a", 5, 4),
        ("b", 5, 4),
    ]
    for group in found:
        assert len({*group.pool, *group.asked}) == 9
    # At least a third is never revealed.
    assert {len(group.pool) for group in ladder.groups(recordings(9), 10, 0)} == {6}
    assert ladder.groups(recordings(9), 5, 1) != found
    assert not ladder.groups(recordings(1), 5, 0)
    two = Ladder(recordings(6), 2)
    ids = [[one.clip_id for one in two.rung(k).series] for k in (0, 1, 2)]
    assert ids[0] == ids[1] == ids[2]


def test_the_model_follows_the_loads_of_one_person():
    loaded = [
        dataclasses.replace(one, load=load)
        for one, load in zip(recordings(3), (20.0, 40.0, 80.0, 10.0, 10.0, np.nan), strict=True)
    ]
    scaled = ladder.with_load_response(loaded, 0.5)
    factors = [float(np.median(b.own / a.own)) for a, b in zip(loaded, scaled, strict=True)]
    np.testing.assert_allclose(factors, [2**-0.5, 1, 2**0.5, 1, 1, 1], rtol=1e-6)
    for a, b, factor in zip(loaded, scaled, factors, strict=True):
        np.testing.assert_allclose(b.curves, a.curves * factor, rtol=1e-6)
        assert b.physics is a.physics


def test_pieces_are_repetitions_or_parts_of_free_movement():
    one = clip("a", 0, np.ones(3))
    assert ladder.pieces(one, 7) == [ladder.Piece(7, 0, 75)]
    phase = np.full(75, np.nan, np.float32)
    phase[10:30] = np.linspace(0, 1, 20)
    phase[40:70] = np.linspace(0, 1, 30)
    of_set = dataclasses.replace(one, phase=phase)
    assert ladder.pieces(of_set, 1) == [ladder.Piece(1, 10, 30), ladder.Piece(1, 40, 70)]
    free = dataclasses.replace(one, phase=np.full(75, np.nan, np.float32))
    assert ladder.pieces(free, 2) == [ladder.Piece(2, 0, 75)]


@pytest.mark.parametrize("k", [0, 1, 3])
def test_a_perfect_shape_is_found_by_every_way_to_scale_it(k):
    rung = Ladder(recordings(5), 3).rung(k)
    assert len(rung.series) == 2 * 2
    for name in (ladder.MODEL, ladder.PHYSICS):
        for one, predicted in zip(rung.series, rung.rows[name], strict=True):
            if k:
                np.testing.assert_allclose(predicted, one.target, atol=0.01)
            else:
                r = [
                    np.corrcoef(*pair)[0, 1] for pair in zip(predicted.T, one.target.T, strict=True)
                ]
                assert min(r) > 0.999
    assert rung.has_unit == bool(k)
    wanted = {"model", "physics", "ridge of other people"}
    if k:
        wanted |= set(ladder.ROWS) - {"angle of the joint", ladder.CLEANED}
    else:
        wanted |= {"angle of the joint"}
    assert set(rung.rows) == wanted


def test_a_known_mvc_gives_the_size_before_anything_is_measured():
    found = [dataclasses.replace(one, mvc=PEOPLE[one.series.subject][0]) for one in recordings()]
    rung = Ladder(found, 5).rung(0)
    assert rung.has_unit
    for one, predicted in zip(rung.series, rung.rows["model"], strict=True):
        np.testing.assert_allclose(predicted, one.target, atol=1e-4)
    assert min(weights["none"] for weights in Ladder(found, 2).rung(2).weights) > 0.1


def test_the_emg_that_is_asked_changes_no_prediction():
    plain = Ladder(recordings(4), 2)
    asked = {piece.recording for group in plain.groups for piece in group.asked}
    changed = []
    for i, one in enumerate(recordings(4)):
        if i in asked:
            target = 10 * one.series.target[::-1].copy()
            one = dataclasses.replace(one, series=dataclasses.replace(one.series, target=target))
        changed.append(one)
    other = Ladder(changed, 2)
    for k in (1, 2):
        before, after = plain.rung(k), other.rung(k)
        for name in before.rows.keys() - {"ridge of other people"}:
            triples = zip(before.series, before.rows[name], after.rows[name], strict=True)
            for i, (one, mine, theirs) in enumerate(triples):
                # In the unit of the source: only the unit of the scores knows the asked EMG.
                back = _p99(plain, one), _p99(other, after.series[i])
                np.testing.assert_allclose(mine * back[0], theirs * back[1], rtol=1e-4, atol=1e-5)


def _p99(of: Ladder, series):
    return of._data.p99[series.subject, series.action]


def test_a_delay_is_reported_and_applied_only_on_demand():
    found = recordings(5, late=True)
    as_recorded, moved = Ladder(found, 3).rung(3), Ladder(found, 3, apply_lag=True).rung(3)
    for rung in (as_recorded, moved):
        assert rung.delays["a"].seconds == pytest.approx(0.0, abs=0.05)
        assert rung.delays["b"].seconds == pytest.approx(0.6, abs=0.05)

    def error(rung, subject):
        own = [i for i, one in enumerate(rung.series) if one.subject == subject]
        off = [(rung.rows["model, gain and offset"][i] - rung.series[i].target) for i in own]
        known = [rung.series[i].mask for i in own]
        return np.mean([(x[mask] ** 2).mean() for x, mask in zip(off, known, strict=True)])

    assert error(moved, "b") < 0.05 * error(as_recorded, "b")
    assert error(moved, "a") < 1e-3 and error(as_recorded, "a") < 1e-3


def test_rows_are_scored_with_the_emg_that_they_were_fitted_to():
    found = recordings(5, late=True)
    for apply_lag in (False, True):
        own = Ladder(found, 3, apply_lag=apply_lag)
        for late, series in zip(own.rung(3).late, own.rung(3).series, strict=True):
            np.testing.assert_array_equal(late.target, series.target)
        zero = own.rung(0)
        for late, series in zip(zero.late, zero.series, strict=True):
            assert (np.corrcoef(late.target[:, 0], series.target[:, 0])[0, 1] > 0.95) == (
                series.subject == "a"
            )


def test_other_people_are_aligned_before_ridge_regression_learns_from_them():
    """The person who is not late is predicted by the one who is late by 0.6 s."""
    rung = Ladder(recordings(6, late=True), 3).rung(0)
    for late, predicted in zip(rung.late, rung.rows["ridge of other people"], strict=True):
        known = late.mask[:, 0]
        assert np.corrcoef(predicted[known, 0], late.target[known, 0])[0, 1] > 0.9


def test_a_row_that_some_exercises_lack_is_named():
    one, other = recordings(4), recordings(4)
    moved = [
        dataclasses.replace(x, series=dataclasses.replace(x.series, action="lunge"))
        for x in other
        if x.series.subject == "a"
    ]
    rung = Ladder([*one, *moved], 2).rung(1)
    assert rung.dropped == ("ridge of other people",)
    assert "ridge of other people" not in rung.rows


def test_without_a_pose_there_is_only_the_model():
    blind = [
        dataclasses.replace(one, physics={}, series=dataclasses.replace(one.series, angles=None))
        for one in recordings()
    ]
    found = Ladder(blind, 2)
    assert set(found.rung(0).rows) == {"model"}
    assert set(found.rung(2).rows) == {"model", "model, gain and offset", "mean curve"}
