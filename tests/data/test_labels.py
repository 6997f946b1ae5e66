import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data.augment import Augmentation
from video2emg.data.examples import Examples
from video2emg.data.labels import Labels

from ..fkg.rubrics import rubric
from .windows import WINDOW

LABELS = Labels(rubric(), rate=10.0, seconds=1.0)


def test_labels_are_on_the_windows_clock():
    clip = make_clip()  # lift 0-1 s, too fast with severity 0.5; lower 1-2 s
    labels = LABELS(clip, 0.5)
    assert labels["action"] == 0 and labels["score"] == 80 and labels["score_mask"]
    np.testing.assert_array_equal(labels["severity"], np.float32([0.5, 0, 0]))
    np.testing.assert_array_equal(labels["error_mask"], [True, True, True])
    np.testing.assert_array_equal(labels["phase"], [0] * 5 + [1] * 5)
    np.testing.assert_array_equal(labels["boundary"], np.float32([-0.5, 0.5, np.nan]))
    late = LABELS(clip, 1.55)
    np.testing.assert_array_equal(late["phase_mask"], [True] * 4 + [False] * 6)


def test_an_unlabelled_score_is_masked():
    labels = LABELS(dataclasses.replace(make_clip(), score=float("nan")), 0.0)
    assert not labels["score_mask"] and labels["score"] == 0


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(action="swim"), "field action: 'swim' is not in graph test-1"),
        (dict(errors=(("lower", "too_fast", 0.5),)), "field errors: 'too_fast' at 'lower'"),
        (dict(phases=(("fly", 0.0, 1.0),)), "field phases: 'fly'"),
        (dict(provenance={"graph": "test-0"}), "labelled with graph 'test-0', not 'test-1'"),
    ],
)
def test_labels_of_another_graph_are_refused(changes, message):
    with pytest.raises(UserError, match=f"clip 'clip0'.*{message}"):
        LABELS(dataclasses.replace(make_clip(), **changes), 0.0)


def test_a_flip_changes_only_the_side_of_errors():
    clips = [dataclasses.replace(make_clip(), errors=(("lower", "left_knee_caving", 0.7),))]
    reference = emg.Normalisation("mvc")
    labels = Labels(rubric(), rate=10.0, seconds=WINDOW.seconds)
    examples = Examples(clips, WINDOW, emg.Chain(), reference, labels=labels)
    example = examples.read_window(0, 0.0)
    flip = Augmentation(flip=1.0, shift=0, colour=0)
    flipped = flip(example, np.random.default_rng(0), examples.mirror)
    np.testing.assert_array_equal(example["severity"], np.float32([0, 0.7, 0]))
    np.testing.assert_array_equal(flipped["severity"], np.float32([0, 0, 0.7]))
    for name in ("score", "phase", "boundary", "action"):
        np.testing.assert_array_equal(flipped[name], example[name])
