"""Eight fake CPU devices, small clips, and one tiny dataset and run for all tests."""

import contextlib
import dataclasses
import functools
import importlib
import importlib.metadata
import io
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Tests compile the same small programs again and again, also in processes that they start.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
# They are small: compiling them well takes longer than running them.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Without it a training step compiles in half of the time. XLA refuses flags that it does not know.
_XLA_FLAG = "--xla_cpu_use_fusion_emitters=false"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAG}".strip()

import filelock  # noqa: E402
import hypothesis  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402
from PIL import Image  # noqa: E402

_LIBRARIES = (
    "flax.linen",
    "grain",
    "matplotlib.figure",
    "mujoco",
    "optax",
    "orbax.checkpoint.experimental.v1",
    "scipy.io",
    "scipy.signal",
    "scipy.stats",
    "tensorboardX",
    "tensorflow_datasets",
)
if TYPE_CHECKING:  # imported where they are needed: pytest's own process runs no test under xdist
    from video2emg.core.clip import Clip

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
# The same examples in every run, here and in CI; a time limit each would fail on a busy machine.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")
flags.FLAGS.mark_as_parsed()  # grain asks for a flag of its own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they need."""
    for item in items:
        if hasattr(getattr(item, "module", None), "torch"):
            item.add_marker("torch")
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each process neighbouring tests, which share fixtures; an idle process steals some."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Imports the large libraries before the package does.

    While jaxtyping's hook imports a module of the package, Python looks for bytecode of another
    name, also of the libraries that this module imports. It would compile all of them again.
    """
    if getattr(session.config.option, "numprocesses", None):
        return  # the processes of xdist run the tests
    for library in _LIBRARIES:
        importlib.import_module(library)


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def one_window(clip: "Clip") -> "Clip":
    """The first 3.9 s of a set, as a clip of a single repetition."""
    from video2emg.core.clip import Repetition
    from video2emg.data.repetitions import cut

    return cut(dataclasses.replace(clip, repetitions=(Repetition(start=0.5, end=3.4),)), 0)


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
) -> "Clip":
    """A clip of noise whose brightness and EMG amplitude swell together."""
    from video2emg.core import vocabulary
    from video2emg.core.clip import Clip, validate

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
def clips() -> "list[Clip]":
    return [make_clip(i, subject=f"s{i % 3}") for i in range(12)]


@pytest.fixture(scope="session")
def common_dir(tmp_path_factory) -> Path:
    """The folder of what is made once for all test processes."""
    base = tmp_path_factory.getbasetemp()  # under xdist a process has a folder of its own in it
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "common"


def build_once(path: Path, build: Callable[[], object]) -> Path:
    """Calls `build` in the first test process that asks for `path`; others wait for it.

    What lies at `path` is shared by all tests: a test that changes it works on a copy.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = path.with_name(f"{path.name}.done")
    with filelock.FileLock(path.with_name(f"{path.name}.lock")):
        if not done.exists():
            build()
            done.touch()
    return path


@pytest.fixture(scope="session")
def tiny_dir(common_dir) -> Path:
    """A data_dir that holds `gymsim/tiny`."""
    from video2emg.data.store import open_dataset

    folder = common_dir / "data"
    return build_once(folder, lambda: open_dataset("gymsim/tiny", folder))


# AdamW compiles faster than Muon.
STEPS = dict(steps=2, eval_every=2, save_every=2, log_every=1, warmup_steps=1, optimiser="adamw")


def small(config: Any, data_dir: Path, frame_rate: float = 5.0) -> Any:
    """Shortens a Video→EMG config to two steps on the dataset in `data_dir`; returns it."""
    config.data.update(dir=str(data_dir), frame_rate=frame_rate)
    config.train.update(STEPS)
    config.train.batch_size = config.eval.batch_size = 8
    return config


@contextlib.contextmanager
def fast_jobs(figures: bool = False) -> Iterator[None]:
    """Makes jobs run on one of the devices, draw no figures unless asked to, and few people.

    For one device programs compile faster than for eight, and states are saved faster. Intervals of
    all muscles and exercises need most of the time of an evaluation.
    """
    from video2emg.eval import results
    from video2emg.parallel import mesh as mesh_lib
    from video2emg.viz import run_figures

    def make_mesh(fsdp: int = 1, tensor: int = 1) -> jax.sharding.Mesh:
        axes = (*mesh_lib.AXES, mesh_lib.TENSOR)
        return jax.make_mesh((1, 1, 1), axes, axis_types=(jax.sharding.AxisType.Auto,) * 3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh_lib, "make_mesh", make_mesh)
        patch.setattr(results, "evaluate", functools.partial(results.evaluate, samples=50))
        if not figures:
            patch.setattr(run_figures, "figures", lambda *args: None)
        yield


def _run(workdir: Path, config: Any) -> Path:
    from video2emg.jobs import video2emg

    with fast_jobs():
        return build_once(workdir, lambda: video2emg.run(config, workdir))


@pytest.fixture(scope="session")
def run_dir(tiny_dir, common_dir) -> Path:
    """Workdir of a Video→EMG run on `gymsim/tiny`."""
    from configs import v2emg

    return _run(common_dir / "v2emg", small(v2emg.get_config("debug"), tiny_dir))


@pytest.fixture(scope="session")
def pose_dir(tiny_dir, common_dir) -> Path:
    """Workdir of a run that cleans poses as an estimator sees them, and is told the load."""
    from configs import v2emg
    from video2emg.data.pose_noise import ESTIMATOR

    config = small(v2emg.get_config("debug"), tiny_dir, frame_rate=25.0)
    config.data.views = ()
    config.model.encoder.name = "pose"
    config.model.clean_pose = True
    config.model.extra_inputs = ("load",)
    config.augment.pose.update(ESTIMATOR)
    return _run(common_dir / "pose", config)


@pytest.fixture(scope="session")
def causal_dir(tiny_dir, common_dir) -> Path:
    """Workdir of a run that does not look ahead."""
    from configs import v2emg

    config = small(v2emg.get_config("debug"), tiny_dir)
    config.model.causal = True
    return _run(common_dir / "causal", config)


@pytest.fixture(scope="session")
def late_dir(causal_dir) -> Path:
    """The same run, of a model that waits for two frames; it has the same parameters."""
    workdir = causal_dir.with_name("late")

    def build() -> None:
        shutil.copytree(causal_dir, workdir)
        config = json.loads((workdir / "config.json").read_text())
        config["model"]["lookahead_s"] = 0.4
        (workdir / "config.json").write_text(json.dumps(config))

    return build_once(workdir, build)


@pytest.fixture(scope="session")
def aqa_dir(tiny_dir, run_dir, common_dir) -> Path:
    """Workdir of an assessment run over `run_dir`."""
    from configs import aqa
    from video2emg.jobs import aqa as aqa_job

    config = aqa.get_config("debug")
    small(config.main, tiny_dir)
    config.train.update(STEPS)
    config.video2emg = str(run_dir)
    workdir = common_dir / "aqa"
    with fast_jobs():
        return build_once(workdir, lambda: aqa_job.run(config, workdir))


def shared(name: str) -> Path:
    """A real recording that lies beside the repository; the test is skipped aloud without it."""
    root = os.environ.get("VIDEO2EMG_SHARED", Path(__file__).parents[2] / "shared")
    path = Path(root) / name
    if not path.exists():
        pytest.skip(f"real recordings are not here: {path}")
    return path


@pytest.fixture
def no_network(monkeypatch):
    """Fails where a name is looked up or a socket connected; event loops have pairs of sockets."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    class Socket(socket.socket):
        connect = connect_ex = sendto = bind = refuse

    monkeypatch.setattr(socket, "socket", Socket)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
