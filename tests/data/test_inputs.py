"""What a model may be given beside pictures, and hiding some of it."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.conftest import make_clip
from tests.data.test_pipeline import WINDOW, examples, same
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS
from video2emg.data import person
from video2emg.data.augment import Augmentation, Mirror


def worn(**fields):
    """A clip whose person wears a vest and has been measured."""
    told = {"subject": {"height_m": 1.8, "mass_kg": 75.5, "female": False}}
    times = np.array([-3.0, 0.2, 0.6, 9.0])
    clip = dataclasses.replace(
        make_clip(0),
        provenance=told,
        heart_rate=np.array([80, 100, 110, 180], np.float32),
        heart_time=times,
        breath_rate=np.array([12, np.nan, np.nan, 33], np.float32),
        breath_time=times,
    )
    return dataclasses.replace(clip, **fields)


def test_vitals_are_of_the_window_or_the_nearest():
    value, mask = person.vitals(worn(), 0.0, 1.0)
    np.testing.assert_allclose(value, [105, 12])  # two readings within; none, so the nearest
    assert mask.all()
    value, mask = person.vitals(make_clip(0), 0.0, 1.0)
    assert not mask.any() and not value.any()


@pytest.mark.parametrize(
    ("provenance", "expected", "known"),
    [
        (
            {"subject": {"height_m": 1.8, "mass_kg": 75.5, "female": True}},
            [1.8, 75.5, 1],
            [1, 1, 1],
        ),
        ({"subject": {"height_m": 1.8, "mass_kg": None}}, [1.8, 0, 0], [1, 0, 0]),
        ({"subject": "s01"}, [0, 0, 0], [0, 0, 0]),
        ({}, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_traits_are_what_the_source_tells(provenance, expected, known):
    value, mask = person.traits(worn(provenance=provenance))
    np.testing.assert_allclose(value, expected)
    np.testing.assert_array_equal(mask, np.array(known, bool))


def test_what_is_hidden_is_masked_and_the_rest_is_as_it_was():
    plain = examples([worn()], cache=1 << 20)
    shown, full = (
        plain.drop_inputs(("left", "load", "vitals")).read_window(0, 0.0),
        plain.read_window(0, 0.0),
    )
    assert full["video_mask"].all() and full["load_mask"] and full["vitals_mask"].all()
    np.testing.assert_array_equal(shown["video_mask"].any(1), [True, False])
    assert not shown["load_mask"] and not shown["vitals_mask"].any()
    changed = ("video_mask", "load_mask", "vitals_mask")
    same(
        {n: v for n, v in shown.items() if n not in changed},
        {n: v for n, v in full.items() if n not in changed},
    )


@hypothesis.given(
    st.integers(0, 10_000),
    st.dictionaries(st.sampled_from(("views", *INPUTS)), st.floats(0, 1), max_size=5),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_something_is_always_left_to_look_at(seed, hide):
    example = examples([worn()]).read_window(0, 0.0)
    before = {name: value.copy() for name, value in example.items()}
    change = Augmentation(flip=0, shift=0, colour=0, time=0, hide=hide)
    got = change(example, np.random.default_rng(seed), Mirror(WINDOW.joints, WINDOW.dofs))
    same(example, before)
    pose = bool(hide.get("pose")) and got["pose_mask"].any()
    assert got["video_mask"].any() or pose
    for name in INPUTS:
        if not hide.get(name):
            np.testing.assert_array_equal(got[f"{name}_mask"], example[f"{name}_mask"])
    if not hide.get("views"):
        np.testing.assert_array_equal(got["video_mask"], example["video_mask"])


def test_each_is_hidden_as_often_as_asked():
    example = examples([worn()]).read_window(0, 0.0)
    change = Augmentation(flip=0, shift=0, colour=0, hide={"views": 0.5, "load": 0.25})
    rng, mirror = np.random.default_rng(0), Mirror(WINDOW.joints, WINDOW.dofs)
    got = [change(example, rng, mirror) for _ in range(2000)]
    assert np.mean([not g["load_mask"] for g in got]) == pytest.approx(0.25, abs=0.03)
    # Each view in half of the cases, but for the quarter in which both would be.
    hidden = np.mean([~g["video_mask"].any(1) for g in got], 0)
    np.testing.assert_allclose(hidden, 0.375, atol=0.03)


def test_unknown_inputs_are_named():
    with pytest.raises(UserError, match="smell"):
        Augmentation(hide={"smell": 0.5})
