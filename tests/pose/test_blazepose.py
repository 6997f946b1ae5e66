"""Geometry of regions, crops, suppression and heat maps; the nets themselves: test_estimate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from video2emg.pose import blazepose
from video2emg.pose.blazepose import Region


def test_the_anchors_of_the_published_graph():
    anchors = blazepose._anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[:3], [[0.5 / 28] * 2] * 2 + [[1.5 / 28, 0.5 / 28]])
    np.testing.assert_allclose(anchors[-1], [6.5 / 7] * 2)


@given(st.floats(-math.pi, math.pi), st.floats(5, 200))
def test_a_region_leans_as_the_body(lean, length):
    hips = np.array([100.0, 50.0])
    region = Region.around(hips, hips + length * np.array([math.sin(lean), -math.cos(lean)]))
    assert math.cos(region.angle - lean) == pytest.approx(1)
    assert region.size == pytest.approx(2.5 * length)


@pytest.mark.parametrize("size", [60.0, 256.0, 900.0])
def test_a_crop_shows_the_region_upright(size):
    # A bar from the hips towards the head, which leans 90° to the right.
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    half = round(size / 40)
    pixels[500 - half : 500 + half, 500 : 500 + round(size / 2)] = 255
    crop = blazepose._crop(Image.fromarray(pixels), Region(500, 500, size, math.pi / 2))
    assert crop.shape == (256, 256, 3)
    row, column = np.argwhere(crop[..., 0] > 0.5).mean(0)
    assert row == pytest.approx(64, abs=3) and column == pytest.approx(128, abs=3)


def test_overlapping_boxes_are_one_person():
    boxes = np.array([[0, 0, 10, 10], [50, 0, 60, 10], [1, 0, 11, 10]], float)
    groups = blazepose._groups(boxes, np.array([0.7, 0.8, 0.9]))
    assert [group.tolist() for group in groups] == [[2, 0], [1]]


def test_landmarks_move_to_the_peak_of_their_heat_map():
    raw = np.zeros((2, 5), np.float32)
    raw[:, :2] = 120.0
    heat = np.full((64, 64, 2), -20.0, np.float32)
    heat[32, 31, 0] = 5.0  # near 120 px = cell 30
    refined = blazepose._refine(raw, heat)
    np.testing.assert_allclose(refined[0, :2], (31 * 4, 32 * 4), atol=0.05)
    np.testing.assert_allclose(refined[1, :2], 120)  # no peak
