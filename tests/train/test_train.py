import json
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from jax.sharding import Mesh
from orbax.checkpoint import v1 as ocp

from video2emg import models
from video2emg.checkpoint import Checkpoints, load_params
from video2emg.data import emg, pipeline
from video2emg.data.augment import Augmentation
from video2emg.errors import UserError
from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import loop, losses, state
from video2emg.train.step import train_step

from ..conftest import make_clip
from ..data.test_pipeline import WINDOW
from ..models.test_models import config as model_config

ROOT = pathlib.Path(__file__).parents[2]
# Most tests need no parallelism, and eight fake devices share the cores of one machine.
ONE = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), mesh_lib.AXES)


def train_config(**changes):
    config = ml_collections.ConfigDict(
        dict(seed=0, steps=8, batch_size=8, optimiser="muon", learning_rate=1e-2, warmup_steps=2,
             weight_decay=0.01, clip=1.0, average_decay=0.9,
             loss=dict(emg=1.0, pose=0.1, torque=0.1, load=0.1),
             eval_every=4, save_every=4, log_every=3)
    )  # fmt: skip
    config.update(changes)
    return config


def setup():
    clips = [make_clip(i) for i in range(8)]
    examples = pipeline.Examples(clips, WINDOW, emg.Chain(), emg.Reference("mvc"), 2**30)
    model = models.build(
        model_config(), frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=21, dofs=2
    )
    return model, pipeline.train_batches(examples, Augmentation(), batch=8, seed=0)


def train(workdir, **changes):
    workdir.mkdir(exist_ok=True)
    model, data = setup()
    seen = []

    def validate(params):
        seen.append(params)
        return {"skill": float(len(seen))}

    loop.train(model, train_config(**changes), data, validate, ONE, workdir)


def leaves(workdir, step):
    """The arrays of a checkpoint, read without the training code."""
    model, data = setup()
    shapes = jax.eval_shape(
        lambda: state.create(model, state.optimiser(train_config()), next(iter(data)), 0)
    )
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), shapes)
    found = Checkpoints(workdir)
    assert found.latest_step == step
    restored, _ = found.restore(like, iter(data))
    found.close()
    return [
        np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
        for x in jax.tree.leaves(restored)
    ]


def log_of(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_is_bit_identical(tmp_path):
    train(tmp_path / "straight")
    calls = []

    def die(params):
        calls.append(params)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"skill": 1.0}

    (tmp_path / "broken").mkdir()
    model, data = setup()
    config = train_config()
    with pytest.raises(KeyboardInterrupt):
        loop.train(model, config, data, die, ONE, tmp_path / "broken")
    train(tmp_path / "broken")
    for a, b in zip(leaves(tmp_path / "straight", 8), leaves(tmp_path / "broken", 8), strict=True):
        np.testing.assert_array_equal(a, b)

    def losses_of(name):
        return {r["step"]: r["loss"] for r in log_of(tmp_path / name) if "loss" in r}

    assert losses_of("straight") == losses_of("broken")
    steps = [r["step"] for r in log_of(tmp_path / "broken") if "loss" in r]
    assert steps == sorted(set(steps))


def test_a_run_killed_at_any_moment_resumes_bit_identically(tmp_path):
    """SIGKILL, as a preempted machine gets it: no handler, no last words."""
    changes = dict(steps=60, save_every=3, eval_every=60)
    script = (
        "import pathlib; from tests.train.test_train import train; "
        f"train(pathlib.Path({str(tmp_path / 'broken')!r}), **{changes!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    complete = tmp_path / "broken" / "checkpoints"
    while process.poll() is None and not [p for p in complete.glob("*") if p.name.isdigit()]:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "ended before it could be killed"
    train(tmp_path / "broken", **changes)
    train(tmp_path / "straight", **changes)
    pairs = zip(leaves(tmp_path / "straight", 60), leaves(tmp_path / "broken", 60), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


def test_loss_on_eight_devices_equals_one():
    model, data = setup()
    batch = next(iter(data))
    config = train_config()
    tx = state.optimiser(config)
    found = []
    for mesh in (ONE, mesh_lib.make_mesh(4)):
        shapes = jax.eval_shape(lambda: state.create(model, tx, batch, 0))
        sharding = mesh_lib.state_sharding(mesh, shapes, min_size=64)
        current = jax.jit(lambda: state.create(model, tx, batch, 0), out_shardings=sharding)()
        step = jax.jit(train_step(model, tx, config))
        history = []
        for _ in range(3):
            current, metrics = step(current, mesh_lib.put_batch(mesh, batch))
            history.append(float(metrics["loss"]))
        found.append(history)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_big_leaves_are_sharded_and_small_ones_copied():
    mesh = mesh_lib.make_mesh(4)
    shapes = {"big": jnp.zeros((6, 512)), "odd": jnp.zeros((511, 3)), "small": jnp.zeros(4)}
    specs = jax.tree.map(lambda s: s.spec, mesh_lib.state_sharding(mesh, shapes, min_size=1000))
    assert tuple(specs["big"]) == (None, "fsdp")
    assert set(specs["odd"]) == {None} and set(specs["small"]) == {None}
    with pytest.raises(UserError, match="does not divide"):
        mesh_lib.make_mesh(3)
    with pytest.raises(UserError, match="batch_size=12 is not a multiple of the 8 devices"):
        mesh_lib.check_batch(mesh, 12, "batch_size")


def test_losses_are_masked_means_by_hand():
    rng = np.random.default_rng(0)
    out = Outputs(emg=jnp.asarray(rng.random((2, 5, 3)), jnp.float32), load=jnp.array([1.0, 2.0]))
    mask = rng.random((2, 5, 3)) > 0.4
    target = rng.random((2, 5, 3)).astype(np.float32)
    batch = dict(
        emg=jnp.asarray(target),
        emg_mask=jnp.asarray(mask),
        load=jnp.array([np.e - 1, 50.0], jnp.float32),
        load_mask=jnp.array([True, False]),
    )
    total, parts = losses.losses(out, batch, ml_collections.ConfigDict(dict(emg=2.0, load=1.0)))
    by_hand = ((np.asarray(out.emg) - target)[mask] ** 2).mean()
    assert float(parts["emg"]) == pytest.approx(by_hand, 1e-5)
    assert float(parts["load"]) == pytest.approx(0.0, abs=1e-6)
    assert float(total) == pytest.approx(2 * by_hand, 1e-5)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"not finite at step \d"):
        train(tmp_path, learning_rate=float("nan"), warmup_steps=0)


def test_a_run_that_is_further_than_asked_says_so(tmp_path):
    train(tmp_path)
    with pytest.raises(UserError, match="already trained for 8 steps"):
        train(tmp_path, steps=4)


def test_best_parameters_are_those_with_the_best_validation_skill(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    model, data = setup()
    kept, skills = [], iter([0.9, 0.1])

    def validate(params):
        kept.append(jax.device_get(params))
        return {"skill": next(skills)}

    loop.train(model, train_config(), data, validate, ONE, tmp_path)
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), kept[0])
    best = load_params(tmp_path, like)
    for a, b in zip(jax.tree.leaves(best), jax.tree.leaves(kept[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="no trained model"):
        load_params(tmp_path / "nowhere", like)


def test_a_full_disk_is_one_line_that_says_how_to_go_on(tmp_path, monkeypatch):
    def full(*_):
        raise ValueError("RESOURCE_EXHAUSTED: Failed writing: No space left on device")

    checkpoints = Checkpoints(tmp_path)
    monkeypatch.setattr(ocp, "save", full)
    with pytest.raises(UserError, match=r"disk full while saving a checkpoint.*resumes"):
        checkpoints.save_best({"w": jnp.zeros(3)})
    checkpoints.close()
    assert not (tmp_path / "best").exists()
