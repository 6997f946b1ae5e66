import numpy as np
import pytest

from video2emg.core.errors import UserError

from .rubrics import rubric


def test_tables_are_padded_rectangles():
    r = rubric()
    assert r.step_names == ("lift", "lower", "stand")
    assert r.error_names == ("left_knee_caving", "right_knee_caving", "too_fast")
    np.testing.assert_array_equal(r.weight, [[5, 9, 9], [5, 0, 0]])
    np.testing.assert_array_equal(r.pair_error, [[2, 0, 1], [2, 0, 0]])
    np.testing.assert_array_equal(r.step_mask, [[True, True, False], [True, True, True]])
    np.testing.assert_array_equal(r.step, [[0, 1, 0], [2, 0, 1]])


def test_a_flip_exchanges_errors_with_a_side():
    np.testing.assert_array_equal(rubric().mirror, [[0, 2, 1], [0, 1, 2]])
    one_sided = rubric(pairs=((("lift", "left_lean"),), (("lift", "too_fast"),)),
                       weights=((5.0,), (5.0,)), tiers=(("",), ("",)))  # fmt: skip
    with pytest.raises(UserError, match=r"'squat': lift/right_lean is missing"):
        _ = one_sided.mirror


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(weights=((5.0, 0.0, 9.0), (5.0,))), "left_knee_caving.*weight 0.0"),
        (dict(weights=((5.0, -1.0, 9.0), (5.0,))), "weight -1.0"),
        (dict(weights=((5.0, 9.0), (5.0,))), "2 weights and 3 tiers for 3 errors"),
        (dict(pairs=((("jump", "too_fast"),), (("lift", "too_fast"),)), weights=((1.0,), (1.0,)),
              tiers=(("",), ("",))),
         "key step 'jump'"),
        (dict(pairs=((("lift", "too_fast"),) * 2, (("lift", "too_fast"),)),
              weights=((1.0, 1.0), (1.0,)), tiers=(("", ""), ("",))), "listed twice"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(changes, says):
    with pytest.raises(UserError, match=says):
        rubric(**changes)


def test_only_some_actions_are_what_was_there_before_others_came():
    one = rubric().only({"curl", "somersault"})
    assert one.actions == ("curl",) and one.version == rubric().version
    np.testing.assert_array_equal(one.weight, [[5]])
    assert one.step_names == ("lift", "lower", "stand") and one.error_names == ("too_fast",)
