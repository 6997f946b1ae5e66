"""What all tests of inference share: opened runs, test clips as files, frames of an empty gym."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import one_window
from video2emg.data import video as video_lib
from video2emg.data.store import open_dataset
from video2emg.inference import live, predictor
from video2emg.inference.output import video
from video2emg.inference.run import open_run
from video2emg.sim import body
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.raster import Camera, Scene


@pytest.fixture(scope="session", autouse=True)
def _open_each_run_once():
    """A run is opened once per process, so that its model is compiled once."""
    open_path = functools.cache(open_run)
    with pytest.MonkeyPatch.context() as patch:
        for module in (predictor, live):
            patch.setattr(module, "open_run", lambda workdir: open_path(Path(workdir)))
        yield


@pytest.fixture(scope="session")
def test_sets(tiny_dir):
    return open_dataset("gymsim/tiny", tiny_dir).splits["test"]


@pytest.fixture(scope="session")
def test_split(test_sets):
    """Clips of one window."""
    return [one_window(clip) for clip in test_sets]


@pytest.fixture(scope="session")
def empty_room():
    """Frames [30, 48, 48, 3] of the simulated gym with nobody in it, with sensor noise."""
    exercise = EXERCISES["barbell_squat"]
    model = body.build(subjects.sample(0, 0), exercise.equipment, 40.0).model
    camera = Camera(
        azimuth_deg=180.0, elevation_deg=-7.0, distance=3.05, look_at=(0, 0, 1.1), size=48
    )
    position = np.zeros((1, model.ngeom, 3))
    position[:, np.flatnonzero(model.geom_bodyid > 0)] = (0.0, 0.0, 500.0)
    rotation = np.tile(np.eye(3), (1, model.ngeom, 1, 1))
    room = Scene(model).film(position, rotation, camera)[0]
    assert room.std() > 5  # the floor is visible
    noise = np.random.default_rng(0).normal(0, 1.0, (30, *room.shape))
    return np.clip(room + noise, 0, 255).astype(np.uint8)


def frames_of(clip, view, size=48):
    """(s, picture of `size` px) of one view of a clip."""
    for frame in np.flatnonzero(clip.frame_view == clip.views.index(view)):
        picture = Image.fromarray(video_lib.decode(clip, int(frame), size))
        yield float(clip.frame_time[frame]), picture


def arrays_of(clip):
    """[F, H, W, 3] frames of each view of a clip."""
    return {v: np.stack([np.asarray(p) for _, p in frames_of(clip, v)]) for v in clip.views}


def write_videos(clip, folder, size=48):
    """Writes a lossless video of each view of a clip; returns `view=path` of each."""
    for view in clip.views:
        video.write(folder / f"{view}.mkv", frames_of(clip, view, size), rate=6.0, lossless=True)
    return [f"{view}={folder / view}.mkv" for view in clip.views]


def moving_square(count=40, size=(64, 48), rate=10.0, times=None):
    """(s, picture) of a square that crosses the picture."""
    rng = np.random.default_rng(0)
    for n in range(count):
        pixels = np.full((size[1], size[0], 3), 90, np.uint8)
        x = int((size[0] - 8) * n / count)
        pixels[10:30, x : x + 8] = rng.integers(0, 255, 3)
        yield (n / rate if times is None else times[n]), Image.fromarray(pixels)


def write_audio_only(path):
    """Writes a file with sound and no picture."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for n in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.rate, frame.pts = 8000, 1024 * n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
