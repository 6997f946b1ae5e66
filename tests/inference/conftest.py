"""A small trained run and a head on top of it, made once, and pictures of an empty gym."""

import numpy as np
import pytest

from video2emg.data.store import open_dataset
from video2emg.sim import body
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.raster import Camera, Scene


@pytest.fixture(scope="session")
def test_split(tiny_dir):
    return open_dataset("gymsim/tiny", tiny_dir).splits["test"]


@pytest.fixture(scope="session")
def empty_room():
    """Frames [30, 48, 48, 3] of the simulated gym with nobody in it, and a camera's noise."""
    exercise = EXERCISES["barbell_squat"]
    model = body.build(subjects.sample(0, 0), exercise.equipment, 40.0).model
    camera = Camera(
        azimuth_deg=180.0, elevation_deg=-7.0, distance=3.05, look_at=(0, 0, 1.1), size=48
    )
    position = np.zeros((1, model.ngeom, 3))
    position[:, np.flatnonzero(model.geom_bodyid > 0)] = (0.0, 0.0, 500.0)
    rotation = np.tile(np.eye(3), (1, model.ngeom, 1, 1))
    room = Scene(model).film(position, rotation, camera)[0]
    assert room.std() > 5  # there is a floor to be seen
    noise = np.random.default_rng(0).normal(0, 1.0, (30, *room.shape))
    return np.clip(room + noise, 0, 255).astype(np.uint8)
