"""Real processes that form one run over gloo, against one process alone."""

import json
import multiprocessing
import os
import pathlib
import signal
import socket
import time

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from video2emg.core import emg
from video2emg.core.errors import Interrupted, UserError
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.eval import evaluate
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import checkpoint
from video2emg.train.step import predict_step

from ..train import tiny

DEVICES = 4
CHANGES = dict(steps=10, log_every=2, eval_every=4, save_every=4)


def predictions(mesh: Mesh) -> list[np.ndarray]:
    """Answers for all clips in batches of 8, of which the last is not full."""
    examples = Examples(tiny.clips()[:11], tiny.WINDOW, emg.Chain(), emg.Normalisation("mvc"))
    model = tiny.Linear()
    like = next(eval_batches(examples, 1))
    params = model.init(jax.random.key(0), like, train=False)["params"]
    predict = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))
    return evaluate.predict(predict, params, examples, 8, mesh)


def of_rows(mesh: Mesh):
    rows = mesh_lib.local_rows(mesh, 4).tolist()
    return lambda step: tiny.batches(step, rows)


def member(job: str, port: int, count: int, process: int, folder: str, changes: dict) -> None:
    """One of `count` processes; leaves `out<process>.json`."""
    jax.config.update("jax_num_cpu_devices", DEVICES // count)
    out = pathlib.Path(folder) / f"out{process}.json"
    try:
        hosts.join(f"localhost:{port}", count, process)
        found = JOBS[job](process, pathlib.Path(folder), changes)
        out.write_text(json.dumps({"found": found}))
    except (UserError, Interrupted) as error:
        out.write_text(json.dumps({"error": str(error)}))
    finally:
        # What JAX does when an interpreter ends, which processes of this module do without:
        # process 0 keeps what is shared, and waits here until all have read it.
        jax.distributed.shutdown()


def _train(process, folder, changes):
    mesh = mesh_lib.make_mesh()
    tiny.run(folder / "run", data=of_rows(mesh), mesh=mesh, **changes)
    return [p.tolist() for p in predictions(mesh)]


def _disagree(process, folder, changes):
    hosts.agree({"config.train.seed": 3, "config.train.steps": 5 + process, "the dataset": "a"})


def _one_fails(process, folder, changes):
    def work():
        raise UserError("no room")

    hosts.main_only(work)


def _first(process, folder, changes):
    def work():
        time.sleep(0.5 * (process == 0))
        with (folder / "order").open("a") as file:
            file.write(f"{process} ")
        return process

    return hosts.main_first(work)


def _save_both(process, folder, changes):
    rename = os.rename
    os.rename = lambda a, b: (time.sleep(0.5), rename(a, b))  # long enough for the two to meet
    saves = checkpoint.Checkpoints(folder)
    everywhere = mesh_lib.replicated(mesh_lib.make_mesh())
    state = {"w": jax.make_array_from_callback((3,), everywhere, lambda _: np.zeros(3))}
    for step in range(1, 3):
        saves.save(step, state)
        saves.save_best(step, state)
    saves.close()
    return saves.latest_step


JOBS = {
    "train": _train,
    "save_both": _save_both,
    "disagree": _disagree,
    "one_fails": _one_fails,
    "first": _first,
}


@pytest.fixture(scope="module")
def start():
    """Starts the processes of a job; they have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.multi_process.test_hosts"])

    def go(job, count, folder, **changes):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        members = [
            context.Process(target=member, args=(job, port, count, i, str(folder), changes))
            for i in range(count)
        ]
        for process in members:
            process.start()
        return members

    return go


def outcome(members, folder):
    for process in members:
        process.join(120)
    assert all(process.exitcode is not None for process in members), "a process hangs"
    return [json.loads((folder / f"out{i}.json").read_text()) for i in range(len(members))]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    mesh = Mesh(np.array(jax.devices()[:DEVICES]).reshape(-1, 1), mesh_lib.AXES)
    tiny.run(folder, mesh=mesh, **CHANGES)
    return folder, predictions(mesh)


def assert_same_curve(alone, run):
    a, b = tiny.lines(alone), tiny.lines(run)
    assert [sorted(line) for line in a] == [sorted(line) for line in b]
    for one, other in zip(a, b, strict=True):
        assert one["step"] == other["step"]
        assert one.get("loss_order") == other.get("loss_order"), "another order of examples"
        for name in one.keys() & {"loss", "grad_norm"}:
            assert one[name] == pytest.approx(other[name], rel=1e-5)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_train_and_evaluate_like_one(alone, start, tmp_path, count):
    found = outcome(start("train", count, tmp_path, **CHANGES), tmp_path)
    assert_same_curve(alone[0], tmp_path / "run")
    for process in found:
        for a, b in zip(process["found"], alone[1], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_signal_to_one_process_stops_all_at_the_same_step_and_they_resume(alone, start, tmp_path):
    members = start("train", 2, tmp_path, **CHANGES)
    while not list((tmp_path / "run").glob("checkpoints/4")) and members[0].is_alive():
        time.sleep(0.005)
    os.kill(members[1].pid, signal.SIGTERM)
    found = outcome(members, tmp_path)
    assert "stopped by SIGTERM after step" in found[0]["error"]
    assert found[0] == found[1]
    outcome(start("train", 2, tmp_path, **CHANGES), tmp_path)
    assert_same_curve(alone[0], tmp_path / "run")


def test_state_and_best_of_one_step_are_saved_at_once(start, tmp_path):
    assert outcome(start("save_both", 4, tmp_path), tmp_path) == [{"found": 2}] * 4
    assert (tmp_path / "best/2").exists()


def test_processes_that_disagree_all_stop_and_name_the_difference(start, tmp_path):
    for process in outcome(start("disagree", 2, tmp_path), tmp_path):
        assert process["error"] == (
            "the processes of this run disagree on config.train.steps: 5 in process 0, 6 in "
            "process 1"
        )


def test_an_error_of_process_0_is_everybodys(start, tmp_path):
    assert outcome(start("one_fails", 2, tmp_path), tmp_path) == [{"error": "no room"}] * 2


def test_process_0_goes_first(start, tmp_path):
    assert outcome(start("first", 2, tmp_path), tmp_path) == [{"found": 0}, {"found": 1}]
    assert (tmp_path / "order").read_text() == "0 1 "


def test_the_three_addresses_belong_together():
    with pytest.raises(UserError, match="give all three"):
        hosts.join("localhost:1")


def test_rows_of_one_process_are_all_rows():
    mesh = mesh_lib.make_mesh(fsdp=2, tensor=2)
    assert mesh_lib.local_rows(mesh, 8).tolist() == list(range(8))
