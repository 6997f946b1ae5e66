"""Pictures as every model sees them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import jpeg, make_clip
from video2emg.data import video
from video2emg.data.readers import film

RNG = np.random.default_rng(0)


def test_a_smaller_picture_holds_the_means_of_blocks():
    pixels = RNG.integers(0, 256, (24, 24, 3), np.uint8)
    means = pixels.reshape(8, 3, 8, 3, 3).mean((1, 3))
    small = np.asarray(video.letterbox(Image.fromarray(pixels), 8))
    assert np.abs(small - means).max() <= 1.0


def test_stored_frames_and_films_are_scaled_alike(tmp_path):
    pixels = RNG.integers(0, 256, (20, 30, 3), np.uint8)
    clip = make_clip(views=("front",))
    clip.frames[:] = [jpeg(pixels)] * len(clip.frames)
    for n, data in enumerate(clip.frames):
        (tmp_path / f"{n:04d}.jpg").write_bytes(data)
    shown = next(film.sample_frames(film.read_frames(tmp_path, 10.0), 5.0, 8))
    np.testing.assert_array_equal(video.decode(clip, 0, 8), shown)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([8, 48]))
@example(1, 1000, 48)
def test_any_shape_becomes_a_square_between_black_bars(width, height, size):
    white = Image.new("RGB", (width, height), "white")
    square = np.asarray(video.letterbox(white, size))
    assert square.shape == (size, size, 3) and square.dtype == np.uint8
    lit = square.all(-1)
    rows, columns = lit.any(1).sum(), lit.any(0).sum()
    assert lit.sum() == rows * columns and max(rows, columns) == size
    assert min(rows, columns) == pytest.approx(
        max(size * min(width, height) / max(width, height), 1), abs=0.5
    )
