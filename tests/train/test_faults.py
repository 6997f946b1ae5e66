"""Interrupted, killed and damaged runs resume exactly."""

import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time

import jax
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from video2emg.core.errors import Interrupted, UserError
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import feed as feed_lib
from video2emg.train.checkpoint import Checkpoints, load_params
from video2emg.train.feed import Feed

from . import tiny

STEPS = 24
# Saves overlap steps, and validations are between saves.
LONG = dict(steps=STEPS, save_every=3, eval_every=4, log_every=2)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run with the settings `LONG`."""
    workdir = tmp_path_factory.mktemp("uninterrupted")
    tiny.run(workdir, **LONG)
    return workdir


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run with the default settings."""
    workdir = tmp_path_factory.mktemp("short")
    tiny.run(workdir)
    return workdir


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have already imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.tiny"])
    return context


def scalars(workdir):
    """(tag, step, value) of all TensorBoard files, read from the raw records."""
    values = []
    for path in (workdir / "tensorboard").glob("events*"):
        data, start = path.read_bytes(), 0
        while start + 12 <= len(data):
            size = int.from_bytes(data[start : start + 8], "little")
            event = event_pb2.Event.FromString(data[start + 12 : start + 12 + size])
            values += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            start += 16 + size
    return sorted(values)


def assert_same(a, b, steps=STEPS):
    assert (a / "metrics.jsonl").read_text() == (b / "metrics.jsonl").read_text()
    for x, y in zip(tiny.arrays(a, steps), tiny.arrays(b, steps), strict=True):
        np.testing.assert_array_equal(x, y)
    bests = [sorted(p.name for p in (run / "best").iterdir()) for run in (a, b)]
    assert max(map(int, bests[0])) == max(map(int, bests[1]))
    for x, y in zip(*(best_of(run) for run in (a, b)), strict=True):
        np.testing.assert_array_equal(x, y)
    assert scalars(a) == scalars(b) and scalars(a)
    assert not list(b.rglob("*tmp*")), "incomplete checkpoints were left"


def best_of(workdir):
    from orbax.checkpoint import v1 as ocp

    newest = max(int(p.name) for p in (workdir / "best").iterdir())
    return [np.asarray(x) for x in jax.tree.leaves(ocp.load(workdir / "best" / str(newest)))]


def test_killed_at_random_moments_and_resumed_it_is_the_same_run(
    uninterrupted, tmp_path, processes
):
    rng, kills = random.Random(5), 0
    run = tmp_path / "run"
    while True:
        before = len(list(run.glob("checkpoints/*"))) if run.exists() else 0
        process = processes.Process(target=tiny.child, args=(str(run), LONG, str(tmp_path / "err")))
        process.start()
        if kills < 3:
            # Wait until the run proceeds, then kill it at a random moment.
            while process.is_alive() and len(list(run.glob("checkpoints/*"))) <= min(before, 1):
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL, (tmp_path / "err").read_text()
        kills += 1
    assert kills > 0
    assert_same(uninterrupted, run)


def test_signals_save_exit_75_and_the_resumed_run_is_the_same(uninterrupted, tmp_path, processes):
    run, err = tmp_path / "run", tmp_path / "err"
    for name, step in (("SIGTERM", 3), ("SIGINT", 15)):
        process = processes.Process(target=tiny.child, args=(str(run), LONG, str(err)))
        process.start()
        while process.is_alive() and not list(run.glob(f"checkpoints/{step}")):
            time.sleep(0.002)
        os.kill(process.pid, getattr(signal, name))
        process.join()
        assert process.exitcode == 75, err.read_text()
        assert f"stopped by {name} after step" in err.read_text()
    tiny.run(run, **LONG)
    assert_same(uninterrupted, run)


def test_a_signal_between_reports_loses_no_metrics(uninterrupted, tmp_path, monkeypatch):
    """Metrics since the last line of metrics.jsonl are saved in the checkpoint."""
    put, count = mesh_lib.put_batch, iter(range(STEPS))

    def put_and_signal(mesh, batch):
        if next(count) == 4:  # in the middle of the fifth step
            os.kill(os.getpid(), signal.SIGTERM)
        return put(mesh, batch)

    monkeypatch.setattr(mesh_lib, "put_batch", put_and_signal)
    with pytest.raises(Interrupted, match=f"stopped by SIGTERM after step 5 of {STEPS}"):
        tiny.run(tmp_path, **LONG)
    monkeypatch.undo()
    assert max(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == 5
    assert tiny.lines(tmp_path)[-1]["step"] == 4
    tiny.run(tmp_path, **LONG)
    assert_same(uninterrupted, tmp_path)


def test_a_signal_during_validation_saves_at_once_and_validates_again(uninterrupted, tmp_path):
    def check(params):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the validation went on")

    with pytest.raises(Interrupted, match="after step 4 of"):
        tiny.run(tmp_path, check=check, **LONG)
    tiny.run(tmp_path, **LONG)
    assert_same(uninterrupted, tmp_path)


def test_a_finished_run_is_not_validated_or_saved_again(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    tiny.run(tmp_path / "run", check=lambda params: pytest.fail("validated twice"), **LONG)
    assert_same(uninterrupted, tmp_path / "run")


def test_a_best_that_is_newer_than_the_checkpoint_is_deleted(tmp_path):
    skills = iter([0.1, 0.2, 0.9])
    changes = dict(steps=9, eval_every=2, save_every=5, log_every=1)

    def check(params):
        skill = next(skills)
        if skill == 0.9:
            raise KeyboardInterrupt  # as after a kill, nothing is saved
        return {"skill": skill}

    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path, check=check, **changes)
    # As if the third validation, at step 6, had been the best and had been logged.
    shutil.copytree(tmp_path / "best" / "4", tmp_path / "best" / "6")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 6, "validation_skill": 0.9}) + "\n")
    tiny.run(tmp_path, check=lambda params: {"skill": 0.0}, **changes)
    assert max(int(p.name) for p in (tmp_path / "best").iterdir()) == 4
    skills = {r["step"]: r["validation_skill"] for r in tiny.lines(tmp_path) if len(r) == 2}
    assert skills == {2: 0.1, 4: 0.2, 6: 0.0, 8: 0.0, 9: 0.0}


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "flipped":
        content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))
    if how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
def test_a_damaged_checkpoint_is_renamed_with_a_message_and_the_previous_one_used(
    uninterrupted, tmp_path, capsys, how
):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    files = [p for p in (run / "checkpoints" / str(STEPS) / "state").rglob("*") if p.is_file()]
    damage(max(files, key=lambda p: p.stat().st_size), how)
    tiny.run(run, **LONG)
    assert f"checkpoint of step {STEPS} is damaged" in capsys.readouterr().err
    assert (run / "checkpoints" / f"damaged-{STEPS}").is_dir()
    shutil.rmtree(run / "checkpoints" / f"damaged-{STEPS}")
    assert_same(uninterrupted, run)


def test_a_truncated_checkpoint_is_detected_without_its_checksums(uninterrupted, tmp_path, capsys):
    """Killed after the save and before the checksums were stored: orbax must detect it."""
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    (run / "checkpoints.json").unlink()
    for path in (run / "checkpoints" / str(STEPS) / "state").rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            damage(path, "truncated")
    tiny.run(run, **LONG)
    assert f"checkpoint of step {STEPS} is damaged" in capsys.readouterr().err


def test_a_checkpoint_of_another_model_is_refused_and_not_changed(uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    checkpoints = Checkpoints(run)
    with pytest.raises(UserError, match=rf"cannot restore any of steps \[{STEPS - 3}, {STEPS}\]"):
        checkpoints.restore({"w": jax.ShapeDtypeStruct((3,), np.float32)})
    checkpoints.close()
    assert {str(STEPS - 3), str(STEPS)} <= {p.name for p in (run / "checkpoints").iterdir()}


def test_a_loss_that_is_not_finite_names_the_clips_of_its_batch(tmp_path):
    clips = {}

    def data(step):
        for n, batch in enumerate(tiny.batches(step), step):
            if n == 6:
                batch["emg"] = np.where(np.arange(4)[:, None, None] == 2, np.nan, batch["emg"])
            clips[n] = sorted({f"clip{i}" for i in batch["index"]})
            yield batch

    with pytest.raises(UserError, match=r"loss not finite at step 7, batch of clips clip\d") as e:
        tiny.run(tmp_path, data=data)
    assert clips[6][0] in str(e.value)
    assert json.loads((tmp_path / "not_finite.json").read_text())["clips"] == clips[6]
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["5"], "the finite state stays"
    tiny.run(tmp_path)  # with correct data
    assert tiny.lines(tmp_path)[-1]["step"] == 12


def test_input_that_hangs_or_fails_ends_the_run_with_a_message_and_it_resumes(short, tmp_path):
    released = threading.Event()

    def data(step, fail):
        for n, batch in enumerate(tiny.batches(step), step):
            if n == 7:
                fail()
            yield batch

    def raise_error():
        raise UserError("record 3 is damaged")

    with pytest.raises(UserError, match=r"no training batch for .* s"):
        tiny.run(tmp_path, data=lambda step: data(step, released.wait), patience_s=1.0)
    released.set()
    with pytest.raises(UserError, match="record 3 is damaged"):
        tiny.run(tmp_path, data=lambda step: data(step, raise_error))
    tiny.run(tmp_path)
    assert_same(short, tmp_path, 12)


def test_a_run_with_more_steps_than_asked_for_is_refused(short):
    with pytest.raises(UserError, match="already trained for 12 steps"):
        tiny.run(short, steps=4)


def test_a_machine_that_slept_has_not_waited_for_input(monkeypatch):
    """The clock jumps by an hour at each turn of waiting, as after a sleep."""
    released = threading.Event()

    def late():
        released.wait()
        yield {"x": np.zeros(1)}

    clock = itertools.count(step=3600.0)
    turns = []

    def monotonic() -> float:
        turns.append(1)
        if len(turns) > 4:
            released.set()
        return next(clock)

    feed = Feed(late(), patience_s=60.0)
    monkeypatch.setattr(feed_lib.time, "monotonic", monotonic)
    assert next(feed)["x"].shape == (1,)
    assert feed.waited < 60
    feed.close()


def test_a_feed_returns_batches_in_order_and_measures_the_waiting():
    def slow():
        for n in range(3):
            time.sleep(0.05)
            yield n

    feed = Feed(slow())
    assert feed.peek() == 0 and list(feed) == [0, 1, 2]
    assert 0.05 < feed.waited < 5
    feed.close()


def test_an_error_of_a_background_save_is_raised_at_the_next_save(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    monkeypatch.setattr(
        "video2emg.train.checkpoint.write_json",
        lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    state = {"w": jax.numpy.zeros(3)}
    checkpoints.save(1, state)
    with pytest.raises(UserError, match=r"disk full while saving a checkpoint.*resumes"):
        checkpoints.save(2, state)
    checkpoints.close()


def test_load_params_gives_the_best_of_a_run(uninterrupted):
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    batch = next(iter(tiny.batches(0)))
    shapes = jax.eval_shape(lambda: tiny.Linear().init(jax.random.key(0), batch, train=False))
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), shapes["params"]
    )
    params = jax.tree.leaves(load_params(uninterrupted, abstract))
    for a, b in zip(params, best_of(uninterrupted), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="no trained model"):
        load_params(uninterrupted / "checkpoints", abstract)
