"""Several processes that form one run over gloo, against one process."""

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


def member(job: str, port: int, count: int, process: int, folder: str, changes: dict) -> None:
    """One of `count` processes; writes `out<process>.json`."""
    jax.config.update("jax_num_cpu_devices", DEVICES // count)
    out = pathlib.Path(folder) / f"out{process}.json"
    try:
        hosts.join(f"localhost:{port}", count, process)
        result = JOBS[job](process, pathlib.Path(folder), changes)
        out.write_text(json.dumps({"result": result}))
    except (UserError, Interrupted) as error:
        out.write_text(json.dumps({"error": str(error)}))
    finally:
        # JAX does this at the exit of the interpreter, which these processes skip. Process 0 holds
        # the shared values, and waits here until all have read them.
        jax.distributed.shutdown()


def _train(process, folder, changes):
    mesh = mesh_lib.make_mesh()
    rows = mesh_lib.local_rows(mesh, 4).tolist()
    tiny.run(folder / "run", data=lambda step: tiny.batches(step, rows), mesh=mesh, **changes)
    return [p.tolist() for p in predictions(mesh)]


def _communicate(process, folder, changes):
    """The error or the result of each function of `hosts`, by its name."""

    def agree():
        facts = {"config.train.seed": 3, "config.train.steps": 5 + process, "the dataset": "a"}
        hosts.agree(facts)

    def fail():
        raise UserError("no space")

    def append():
        time.sleep(0.5 * (process == 0))
        with (folder / "order").open("a") as file:
            file.write(f"{process} ")
        return process

    calls = {
        "share": lambda: hosts.share(process),
        "agree": agree,
        "main_only": lambda: hosts.main_only(fail),
        "main_first": lambda: hosts.main_first(append),
    }
    results = {}
    for name, call in calls.items():
        try:
            results[name] = call()
        except UserError as error:
            results[name] = str(error)
    return results


def _save_both(process, folder, changes):
    rename = os.rename
    os.rename = lambda a, b: (time.sleep(0.5), rename(a, b))  # so that the two saves overlap
    checkpoints = checkpoint.Checkpoints(folder)
    everywhere = mesh_lib.replicated(mesh_lib.make_mesh())
    state = {"w": jax.make_array_from_callback((3,), everywhere, lambda _: np.zeros(3))}
    for step in range(1, 3):
        checkpoints.save(step, state)
        checkpoints.save_best(step, state)
    checkpoints.close()
    return checkpoints.latest_step


JOBS = {"train": _train, "communicate": _communicate, "save_both": _save_both}


@pytest.fixture(scope="module")
def start():
    """Starts the processes of a job; they have already imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.multi_process.test_hosts"])

    def start(job, count, folder, **changes):
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

    return start


def results(members, folder):
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
    for x, y in zip(a, b, strict=True):
        assert x["step"] == y["step"]
        assert x.get("loss_order") == y.get("loss_order"), "another order of examples"
        for name in x.keys() & {"loss", "grad_norm"}:
            assert x[name] == pytest.approx(y[name], rel=1e-5)


def assert_same_predictions(alone, processes):
    for process in processes:
        for a, b in zip(process["result"], alone[1], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_four_processes_train_and_evaluate_like_one(alone, start, tmp_path):
    processes = results(start("train", 4, tmp_path, **CHANGES), tmp_path)
    assert_same_curve(alone[0], tmp_path / "run")
    assert_same_predictions(alone, processes)


def test_a_signal_to_one_of_two_processes_stops_both_and_they_resume(alone, start, tmp_path):
    members = start("train", 2, tmp_path, **CHANGES)
    while not list((tmp_path / "run").glob("checkpoints/4")) and members[0].is_alive():
        time.sleep(0.005)
    os.kill(members[1].pid, signal.SIGTERM)
    stopped = results(members, tmp_path)
    assert "stopped by SIGTERM after step" in stopped[0]["error"]
    assert stopped[0] == stopped[1]
    processes = results(start("train", 2, tmp_path, **CHANGES), tmp_path)
    assert_same_curve(alone[0], tmp_path / "run")
    assert_same_predictions(alone, processes)


def test_state_and_best_of_one_step_can_be_saved_at_the_same_time(start, tmp_path):
    assert results(start("save_both", 4, tmp_path), tmp_path) == [{"result": 2}] * 4
    assert (tmp_path / "best/2").exists()


def test_processes_share_values_and_errors(start, tmp_path):
    processes = results(start("communicate", 2, tmp_path), tmp_path)
    for number, process in enumerate(processes):
        assert process["result"] == {
            "share": [0, 1],
            "agree": "the processes of this run disagree on config.train.steps: 5 in process 0, "
            "6 in process 1",
            "main_only": "no space",
            "main_first": number,
        }
    assert (tmp_path / "order").read_text() == "0 1 "


def test_all_three_flags_are_needed():
    with pytest.raises(UserError, match="give all three"):
        hosts.join("localhost:1")


def test_a_single_process_has_all_rows():
    mesh = mesh_lib.make_mesh(fsdp=2, tensor=2)
    assert mesh_lib.local_rows(mesh, 8).tolist() == list(range(8))
