"""Runs everything on eight fake CPU devices, and makes small clips."""

import io
import json
import os
import pathlib
import shutil

# Tests compile the same small programs again and again, also in processes that they start.
_CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
# They are small: compiling them well takes longer than running them.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

import jax  # noqa: E402

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402
from PIL import Image  # noqa: E402

from configs import aqa, v2emg  # noqa: E402
from video2emg.core import vocabulary  # noqa: E402
from video2emg.core.clip import Clip, validate  # noqa: E402
from video2emg.data.store import open_dataset  # noqa: E402
from video2emg.jobs import aqa as aqa_job  # noqa: E402
from video2emg.jobs import video2emg  # noqa: E402

flags.FLAGS.mark_as_parsed()  # grain asks for a flag of its own


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def make_clip(
    index: int = 0,
    *,
    seconds: float = 2.0,
    fps: float = 10.0,
    emg_rate: float = 1000.0,
    views: tuple[str, ...] = ("front", "left"),
    size: int = 16,
    subject: str = "s0",
    action: str = "squat",
) -> Clip:
    """A clip of noise whose brightness and EMG amplitude swell together."""
    rng = np.random.default_rng(index)
    times = np.arange(0, seconds, 1 / fps)
    swell = np.sin(np.pi * times / seconds) ** 2
    frames = [
        jpeg(np.full((size, size, 3), 40 + 150 * s + v, np.uint8))
        for v in range(len(views))
        for s in swell
    ]
    emg_time = np.arange(round(seconds * emg_rate)) / emg_rate
    amplitude = 0.05 + np.sin(np.pi * emg_time / seconds) ** 2
    emg = amplitude[:, None] * rng.normal(size=(len(emg_time), 2))
    pose_time = np.arange(0, seconds, 0.02)
    return validate(
        Clip(
            clip_id=f"clip{index}",
            dataset="test",
            subject=subject,
            action=action,
            views=views,
            frames=frames,
            frame_view=np.repeat(np.arange(len(views), dtype=np.int32), len(times)),
            frame_time=np.tile(times, len(views)),
            muscles=("left_vastus_lateralis", "right_vastus_lateralis"),
            emg=emg.astype(np.float32),
            emg_unit="mV",
            emg_rate=emg_rate,
            emg_max=np.ones(2, np.float32),
            joints=vocabulary.FLEX_21,
            pose=rng.normal(size=(len(pose_time), 21, 3)).astype(np.float32),
            pose_time=pose_time,
            dofs=("left_knee_flexion", "right_knee_flexion"),
            torque=rng.normal(size=(len(pose_time), 2)).astype(np.float32),
            drive=np.zeros((len(pose_time), 2), np.float32),
            load=20.0 + index,
            phases=(("lift", 0.0, 1.0), ("lower", 1.0, 2.0)),
            errors=(("lift", "too_fast", 0.5),),
            score=80.0,
            provenance={"simulated": True},
        )
    )


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    return [make_clip(i, subject=f"s{i % 3}") for i in range(12)]


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory) -> pathlib.Path:
    """A data_dir that holds `gymsim/tiny`, built once per test process; not to be written to."""
    folder = tmp_path_factory.mktemp("data")
    open_dataset("gymsim/tiny", folder)
    return folder


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
    video2emg.run(config, workdir)
    return workdir


@pytest.fixture(scope="session")
def causal_dir(tiny_dir, run_dir):
    """Workdir of a run that does not look ahead."""
    config = v2emg.get_config("debug")
    config.data.dir, config.model.causal = str(tiny_dir), True
    _small(config)
    workdir = run_dir.with_name("causal")
    video2emg.run(config, workdir)
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
    aqa_job.run(config, workdir)
    return workdir


def shared(name: str) -> pathlib.Path:
    """A real recording that lies beside the repository; the test is skipped aloud without it."""
    root = os.environ.get("VIDEO2EMG_SHARED", pathlib.Path(__file__).parents[2] / "shared")
    path = pathlib.Path(root) / name
    if not path.exists():
        pytest.skip(f"real recordings are not here: {path}")
    return path
