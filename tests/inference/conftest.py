"""A small trained run and a head on top of it, made once, and pictures of an empty gym."""

import json
import shutil

import numpy as np
import pytest

from configs import aqa, v2emg
from video2emg import assessment, experiment
from video2emg.data.store import open_dataset
from video2emg.sim import body
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.raster import Camera, Scene


def _small(config):
    config.train.update(steps=2, eval_every=2, save_every=2, log_every=1, warmup_steps=1)
    config.train.batch_size = config.eval.batch_size = 8


@pytest.fixture(scope="session")
def run_dir(tiny_dir, tmp_path_factory):
    """Workdir of a Video→EMG run on `gymsim/tiny`."""
    config = v2emg.get_config("debug")
    config.data.dir = str(tiny_dir)
    _small(config)
    workdir = tmp_path_factory.mktemp("runs") / "v2emg"
    experiment.run(config, workdir)
    return workdir


@pytest.fixture(scope="session")
def causal_dir(tiny_dir, run_dir):
    """Workdir of a run that does not look ahead."""
    config = v2emg.get_config("debug")
    config.data.dir, config.model.causal = str(tiny_dir), True
    _small(config)
    workdir = run_dir.with_name("causal")
    experiment.run(config, workdir)
    return workdir


@pytest.fixture(scope="session")
def late_dir(causal_dir):
    """The same run, of a model that waits for two frames; it has the same parameters."""
    workdir = shutil.copytree(causal_dir, causal_dir.with_name("late"))
    config = json.loads((workdir / "config.json").read_text())
    config["model"]["lookahead_s"] = 0.4
    (workdir / "config.json").write_text(json.dumps(config))
    return workdir


@pytest.fixture(scope="session")
def judge_dir(tiny_dir, run_dir):
    """Workdir of an assessment run over it."""
    config = aqa.get_config("debug")
    config.main.data.dir = str(tiny_dir)
    _small(config.main)
    _small(config)
    config.video2emg, config.joint.batch_size = str(run_dir), 8
    workdir = run_dir.with_name("aqa")
    assessment.run(config, workdir)
    return workdir


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
