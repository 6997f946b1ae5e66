"""Films and folders of pictures: order, times and pixels as they are shown."""

import fractions
import struct

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.test_recordings import grey, write_video
from video2emg.core.errors import UserError
from video2emg.data.readers import film

# Where the display matrix (a, b, c, d) puts the corner at the top left: (right, bottom).
CORNERS = {
    (1, 0, 0, 1): (False, False),
    (-1, 0, 0, 1): (True, False),
    (1, 0, 0, -1): (False, True),
    (-1, 0, 0, -1): (True, True),
    (0, 1, -1, 0): (True, False),
    (0, -1, 1, 0): (False, True),
    (0, 1, 1, 0): (False, False),
    (0, -1, -1, 0): (True, True),
}


def corner(size=(32, 48)):
    picture = np.full((*size, 3), 20, np.uint8)
    picture[: size[0] // 4, : size[1] // 2] = 250
    return picture


def with_matrix(path, matrix):
    """Overwrites the display matrix in an MP4's track header."""
    a, b, c, d = (0x10000 * x for x in matrix)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # version 0: the matrix begins 40 bytes into the box
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("matrix", CORNERS)
def test_mirrored_and_turned_films_are_shown_as_players_do(tmp_path, matrix):
    write_video(tmp_path / "v.mp4", [corner()] * 5, np.arange(5) / 10)
    with_matrix(tmp_path / "v.mp4", matrix)
    _, decode = next(film.read_frames(tmp_path / "v.mp4"))
    pixels = np.asarray(decode().convert("L"), float)
    assert pixels.shape == ((32, 48) if matrix[0] else (48, 32))
    # The bar is 1/4 high and 1/2 wide, or the other way round if the picture is turned by 90°.
    y, x = (np.argwhere(pixels > 130).mean(0)) / pixels.shape
    assert (bool(x > 0.5), bool(y > 0.5)) == CORNERS[matrix]


def test_pixels_that_are_not_square(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = fractions.Fraction(4, 3)
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(corner((48, 64)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _, decode = next(film.read_frames(tmp_path / "v.mp4"))
    assert decode().size == (85, 48)
    with pytest.raises(UserError, match=r"1\.33 times as wide as high"):
        film.frame_times(tmp_path / "v.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_half_copied_film_is_refused_after_its_last_frame(tmp_path, ending):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(60)]
    whole = tmp_path / f"v.{ending}"
    options = {"movflags": "faststart"} if ending == "mp4" else {}
    with av.open(str(whole), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert len(list(film.read_frames(whole))) == 60
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    times = []
    with pytest.raises(UserError, match=r"cut\.\w+: cut off: its frames end at 1\.\d+ s, but"):
        for time, _ in film.read_frames(cut):
            times.append(time)
    assert 20 < len(times) < 50


def test_a_raw_stream_needs_its_rate(tmp_path):
    path = tmp_path / "v.h264"
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for picture in grey(range(0, 200, 10)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="have no times, as in a raw stream; set video_rate"):
        list(film.read_frames(path))
    assert [t for t, _ in film.read_frames(path, 10.0)][:3] == [0.0, 0.1, 0.2]


def test_a_film_that_says_another_rate(tmp_path):
    write_video(tmp_path / "v.mp4", grey([10] * 30), np.arange(30) / 30)
    film.check_rate(tmp_path / "v.mp4", 29.97)
    with pytest.raises(UserError, match="video_rate is 240 Hz, but the video says 30"):
        film.check_rate(tmp_path / "v.mp4", 240.0)


def pictures(folder, names):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    "names, times",
    [
        ([f"frame{i}.png" for i in range(1, 13)], range(12)),
        ([f"f_{i:03}.png" for i in (0, 1, 2, 7, 8)], [0, 1, 2, 7, 8]),
        ([f"{i}.png" for i in (0, 3, 6, 15, 18)], [0, 1, 2, 5, 6]),
        (["a.png", "b.png", "d.png"], [0, 1, 2]),
        (["a1.png", "b9.png"], [0, 1]),
        ([f"{1_700_000_000_000 + 33 * i + i % 2}.png" for i in range(5)], range(5)),
    ],
)
def test_pictures_stand_at_the_places_of_their_numbers(tmp_path, names, times):
    folder = pictures(tmp_path / "v", names)
    (folder / "._0.png").write_bytes(b"Mac OS X")
    read = list(film.read_frames(folder, 1.0))
    assert [t for t, _ in read] == list(times)
    assert [int(np.asarray(decode())[0, 0, 0]) for _, decode in read] == list(range(len(names)))


def test_numbers_without_a_common_step_are_refused(tmp_path):
    folder = pictures(tmp_path / "v", [f"{i}.png" for i in (0, 10, 20, 24, 30)])
    with pytest.raises(UserError, match=r"24\.png: follows 20\.png, but .* rise by 8"):
        list(film.read_frames(folder, 1.0))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_pictures_of_any_depth(tmp_path, bits):
    (tmp_path / "v").mkdir()
    for i in range(3):
        values = np.linspace(0, (2**bits - 1) * (i + 1) / 3, 64).reshape(8, 8)
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "v" / f"{i}.png")
    shown = [np.asarray(decode())[..., 0] for _, decode in film.read_frames(tmp_path / "v", 1.0)]
    for i, pixels in enumerate(shown):
        np.testing.assert_allclose(
            pixels, np.linspace(0, 255 * (i + 1) / 3, 64).reshape(8, 8), atol=1.5
        )
