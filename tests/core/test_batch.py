import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from tests.fkg.rubrics import rubric
from video2emg.core import emg, vocabulary
from video2emg.core.batch import FIELDS, INPUT_FIELDS, Window, blank_batch, drop_inputs
from video2emg.core.errors import UserError
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.labels import Labels

WINDOW = Window(
    seconds=1.0,
    frame_rate=10.0,
    emg_rate=50.0,
    size=8,
    views=("front", "left", "ceiling"),
    channels=4,
    joints=vocabulary.FLEX_21,
    dofs=("left_knee_flexion", "right_knee_flexion"),
)


def test_examples_have_the_fields_of_the_table():
    labels = Labels(rubric(), rate=10.0, seconds=1.0)
    examples = Examples([make_clip()], WINDOW, emg.Chain(), emg.Normalisation("mvc"), labels=labels)
    example = examples.read_window(0, 0.0)
    assert example.keys() == FIELDS.keys()
    lengths = WINDOW.axes | {"E": 3, "P": 3, "Q": 10}
    for name, field in FIELDS.items():
        shape = tuple(axis if isinstance(axis, int) else lengths[axis] for axis in field.axes)
        assert (example[name].shape, example[name].dtype) == (shape, field.dtype), name


def test_a_blank_batch_has_the_shapes_of_a_batch():
    examples = Examples([make_clip()], WINDOW, emg.Chain(), emg.Normalisation("mvc"))
    [batch] = list(eval_batches(examples, 3, clips=[0]))[:1]
    blank = blank_batch(WINDOW, 3)
    assert tuple(blank) == INPUT_FIELDS
    for name, value in blank.items():
        assert (value.shape, value.dtype) == (batch[name].shape, batch[name].dtype)
        assert not value.any()


def test_a_blank_batch_asks_for_muscles_by_name():
    blank = blank_batch(WINDOW, 2, ("left_soleus", "right_biceps_brachii"))
    names = [[vocabulary.MUSCLES[muscle] for muscle in row] for row in blank["muscle"]]
    assert names == [["soleus", "biceps_brachii"]] * 2
    assert blank["side"].tolist() == [[0, 1]] * 2 and blank["emg_mask"].shape == (2, 50, 2)


def test_dropped_inputs_are_masked_and_the_original_stays():
    example = Examples([make_clip()], WINDOW, emg.Chain(), emg.Normalisation("mvc")).read_window(
        0, 0
    )
    dropped = drop_inputs(example, np.array([True, False, False]), ["load"])
    assert not dropped["load_mask"] and example["load_mask"]
    assert dropped["video_mask"].any(1).tolist() == [False, True, False]
    assert example["video_mask"].any(1).tolist() == [True, True, False]


def test_cameras_that_the_vocabulary_lacks_are_other():
    assert [vocabulary.VIEWS[i] for i in WINDOW.view_index] == ["front", "left", "other"]


@pytest.mark.parametrize("change", [{"seconds": 0.0}, {"size": -1}, {"channels": 0}])
def test_a_window_that_cannot_be_is_refused(change):
    with pytest.raises(UserError, match=f"config.data.{next(iter(change))}"):
        dataclasses.replace(WINDOW, **change)
