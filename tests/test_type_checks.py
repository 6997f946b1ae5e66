"""pytest checks the annotations of the package (tests/__init__.py)."""

import jaxtyping
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation

from tests import _has_arrays
from video2emg.core import vocabulary
from video2emg.core.pose_track import PoseTrack
from video2emg.eval import ladder_scores


def test_shapes_that_do_not_agree_are_refused():
    with pytest.raises(jaxtyping.TypeCheckError):
        ladder_scores.spearman(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(jaxtyping.TypeCheckError):
        PoseTrack(("nose",), np.zeros(2), np.zeros((3, 1, 3)), np.ones((2, 1)))


def test_other_types_are_refused_where_there_is_no_array():
    with pytest.raises(BeartypeCallHintParamViolation):
        vocabulary.channel(3, "vastus_lateralis")


def test_arrays_are_found_in_annotations():
    assert _has_arrays(ladder_scores.spearman)
    assert not _has_arrays(vocabulary.channel)

    def text(x: "jaxtyping.Float[np.ndarray, 'N']") -> None: ...

    assert _has_arrays(text)
