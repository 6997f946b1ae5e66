"""Vital signs and traits of the person in a clip."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.data import person


def with_person(**fields):
    """A clip with heart and breath rates and traits of the person."""
    subject = {"height_m": 1.8, "mass_kg": 75.5, "female": False}
    times = np.array([-3.0, 0.2, 0.6, 9.0])
    clip = dataclasses.replace(
        make_clip(0),
        provenance={"subject": subject},
        heart_rate=np.array([80, 100, 110, 180], np.float32),
        heart_time=times,
        breath_rate=np.array([12, np.nan, np.nan, 33], np.float32),
        breath_time=times,
    )
    return dataclasses.replace(clip, **fields)


def test_vitals_come_from_the_window_or_the_nearest_reading():
    value, mask = person.vitals(with_person(), 0.0, 1.0)
    np.testing.assert_allclose(value, [105, 12])  # the mean of two in the window; the nearest
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
def test_traits_are_read_from_the_provenance(provenance, expected, known):
    value, mask = person.traits(with_person(provenance=provenance))
    np.testing.assert_allclose(value, expected)
    np.testing.assert_array_equal(mask, np.array(known, bool))
