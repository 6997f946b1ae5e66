import numpy as np
import pytest

from tests.eval.clips import make_clip
from video2emg.core.errors import UserError
from video2emg.eval.series import check_predictions


def test_masked_targets_may_be_nan_and_measured_ones_may_not():
    target = np.zeros((10, 2))
    target[3, 1] = np.nan
    mask = np.isfinite(target)
    make_clip(target, mask=mask)
    with pytest.raises(UserError, match=r"c0.*target.*not finite"):
        make_clip(target)


def test_repetitions_end_where_the_phase_falls_or_is_unknown():
    phase = np.float32([np.nan, 0, 0.5, 1, np.nan, 0.1, 0.9, 0, 0.4, 0.4])
    clip = make_clip(np.zeros((10, 1)), phase=phase)
    assert clip.repetitions == (slice(1, 4), slice(5, 7), slice(7, 10))
    assert make_clip(np.zeros((10, 1))).repetitions == (slice(0, 10),)
    with pytest.raises(UserError, match="'c0', field descriptor: 1 for 3 repetitions"):
        make_clip(np.zeros((10, 1)), phase=phase, descriptor=np.zeros((1, 4), np.float32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", np.zeros(10)),
        ("phase", np.full(10, 1.5, np.float32)),
        ("phase", np.full(10, -np.inf, np.float32)),
        ("muscles", ("left_biceps_brachii", "left_biceps_brachii")),
        ("starts", np.zeros(0)),
        ("angles", np.zeros((10, 3), np.float32)),
    ],
)
def test_bad_fields_are_named(field, value):
    with pytest.raises(UserError, match=f"'c0', field {field}"):
        make_clip(np.zeros((10, 2)), **{field: value})


def test_predictions_must_be_finite_even_where_masked():
    clip = make_clip(np.zeros((10, 2)), mask=np.zeros((10, 2), bool))
    bad = np.zeros((10, 2))
    bad[0, 0] = np.nan
    with pytest.raises(UserError, match=r"'c0'.*not finite"):
        check_predictions([clip], [bad])


def test_predictions_must_fit():
    clip = make_clip(np.zeros((10, 2)))
    with pytest.raises(UserError, match=r"'c0'.*\(9, 2\).*\(10, 2\)"):
        check_predictions([clip], [np.zeros((9, 2))])
    with pytest.raises(UserError, match="2 predictions for 1 clips"):
        check_predictions([clip], [np.zeros((10, 2))] * 2)
