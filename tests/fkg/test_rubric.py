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
    one_sided = rubric(
        pairs=((("lift", "left_lean"),), (("lift", "too_fast"),)),
        weights=((5.0,), (5.0,)),
        tiers=(("",), ("",)),
    )
    with pytest.raises(UserError, match=r"'squat': lift/right_lean is missing"):
        _ = one_sided.mirror


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(weights=((5.0, 0.0, 9.0), (5.0,))), "left_knee_caving.*weight 0.0"),
        (dict(weights=((5.0, -1.0, 9.0), (5.0,))), "weight -1.0"),
        (dict(weights=((5.0, 9.0), (5.0,))), "2 weights and 3 tiers for 3 errors"),
        (
            dict(
                pairs=((("jump", "too_fast"),), (("lift", "too_fast"),)),
                weights=((1.0,), (1.0,)),
                tiers=(("",), ("",)),
            ),
            "key step 'jump'",
        ),
        (
            dict(
                pairs=((("lift", "too_fast"),) * 2, (("lift", "too_fast"),)),
                weights=((1.0, 1.0), (1.0,)),
                tiers=(("", ""), ("",)),
            ),
            "listed twice",
        ),
    ],
)
def test_bad_tables_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        rubric(**changes)


def test_a_rubric_can_be_restricted_to_some_actions():
    curl = rubric().only({"curl", "somersault"})
    assert curl.actions == ("curl",) and curl.version == rubric().version
    np.testing.assert_array_equal(curl.weight, [[5]])
    assert curl.step_names == ("lift", "lower", "stand") and curl.error_names == ("too_fast",)
